//! `vtid-ledger dev`: everything in one command, with a private PostgreSQL and NATS.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::keygen::{KeygenFailure, write_new};
use crate::app::{App, AppOptions, StartError};
use crate::auth::settings::{AuthArgs, AuthSettingError, AuthSettings};
use crate::clock::Clock;
use crate::config::{LogArgs, TuningArgs};
use crate::database::{self, DatabaseError};
use crate::dev::{DevError, DevServers};
use crate::log::connect::pool;
use crate::log::schema::ledger_id;
use crate::oasis::connect::NatsArgs;
use crate::oasis::stream::StreamArgs;
use crate::sealer::settings::{AuditArgs, AuditSettingError, AuditSettings};
use crate::telemetry::{self, LogFormat, TelemetryError};
use crate::tlog::key::{KeyKind, MalformedName, SecretKey};

/// The database in the private cluster.
const DATABASE: &str = "vtid_ledger";
/// The file of the key that signs checkpoints, in the folder of the data.
const AUDIT_KEY: &str = "audit.key";

/// Run the ledger with a private PostgreSQL and NATS; no token is needed, unless a secret or keys are given
#[derive(Debug, Args)]
pub struct DevArgs {
    /// The address to serve HTTP on
    #[arg(long, env = "LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The folder in which everything is kept; it lasts between runs
    #[arg(long, value_name = "FOLDER", default_value = ".vtid")]
    data: PathBuf,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    auth: AuthArgs,
    #[command(flatten)]
    tuning: TuningArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Why `dev` does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevFailure {
    /// The private servers.
    #[error(transparent)]
    Servers(#[from] DevError),
    /// Who may call.
    #[error(transparent)]
    Auth(#[from] AuthSettingError),
    /// The log's settings.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// What seals the log.
    #[error(transparent)]
    Audit(#[from] AuditSettingError),
    /// Its key can't be made.
    #[error(transparent)]
    Key(#[from] KeygenFailure),
    /// The database's schema.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The ledger itself.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A bug.
    #[error(transparent)]
    Broken(#[from] super::Broken),
    /// Signals can't be received, or our own program can't be found.
    #[error("{0}")]
    Machine(#[from] std::io::Error),
}

/// Runs until Ctrl-C or SIGTERM; then stops everything.
///
/// # Errors
/// [`DevFailure`]; what had been started is stopped.
pub async fn run(args: DevArgs) -> Result<(), DevFailure> {
    telemetry::init(args.log.format.unwrap_or(LogFormat::Pretty), &args.log.filter)?;
    let auth = args.auth.settings_or_open()?;
    if auth == AuthSettings::Open && !args.listen.ip().is_loopback() {
        tracing::warn!(listen = %args.listen, "whoever reaches this address may do everything: no token is asked for");
    }
    let servers = DevServers::start(&args.data, &std::env::current_exe()?).await?;
    let ran = run_on(&servers, args, auth).await;
    servers.stop().await?;
    ran
}

async fn run_on(servers: &DevServers, args: DevArgs, auth: AuthSettings) -> Result<(), DevFailure> {
    servers.postgres.create_database_if_missing(DATABASE).await?;
    database::migrate(&servers.postgres.url(DATABASE)).await?;
    let login = servers.postgres.service_login().await?;
    let audit = audit(&args, servers).await?;
    let verifiers = audit.keys.public();
    let settings = AppOptions {
        database_url: servers.postgres.service_url(&login, DATABASE),
        nats: NatsArgs::plain(&servers.nats.url()),
        stream: args.stream,
        audit: Some(audit),
        listen: args.listen,
        auth,
        tuning: args.tuning,
    };
    let app = App::start(settings, Clock::system()).await?;
    app.until_ready().await;
    let endpoints = servers.write_endpoints(&format!("http://{}", app.address()), DATABASE)?;
    println!("HTTP        {}", endpoints.http);
    println!("PostgreSQL  {}", endpoints.postgres);
    println!("NATS        {}", endpoints.nats);
    for verifier in verifiers {
        println!("Audit key   {verifier}");
    }
    println!("Ctrl-C stops all three; the data in {} stays.", servers.data().display());
    super::run_until_told(app).await
}

/// What seals the log: the keys that are given, else one that is made once and kept with the data.
async fn audit(args: &DevArgs, servers: &DevServers) -> Result<AuditSettings, DevFailure> {
    if let Some(given) = args.audit.settings(&args.stream)? {
        return Ok(given);
    }
    let path = servers.data().join(AUDIT_KEY);
    if !path.exists() {
        let owner = database::options(&servers.postgres.url(DATABASE), "vtid-ledger dev")?;
        let ledger = ledger_id(&pool(owner, 1)).await.map_err(DatabaseError::from)?;
        let name = format!("localhost/{}", ledger.0);
        let name = name.parse().map_err(|error: MalformedName| std::io::Error::other(error.to_string()))?;
        let key = SecretKey::generate(name, KeyKind::Log).map_err(KeygenFailure::from)?;
        write_new(&path, &key)?;
    }
    let kept = AuditArgs { audit_key: None, audit_key_file: Some(path), ..args.audit.clone() };
    match kept.settings(&args.stream)? {
        Some(kept) => Ok(kept),
        // Not reached: a file is given.
        None => Err(std::io::Error::other("no audit key").into()),
    }
}
