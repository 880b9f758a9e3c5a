//! `vtid-ledger serve`: production.

use clap::Args;

use crate::app::{App, AppOptions, StartError};
use crate::auth::settings::{AuthArgs, AuthSettings};
use crate::clock::Clock;
use crate::config::{ConfigError, DatabaseArgs, ListenArgs, LogArgs, TuningArgs};
use crate::oasis::connect::NatsArgs;
use crate::oasis::stream::StreamArgs;
use crate::sealer::settings::{AuditArgs, AuditSettingError};
use crate::telemetry::{self, LogFormat, TelemetryError};

/// Serve the ledger: an existing, migrated PostgreSQL, an existing NATS
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    auth: AuthArgs,
    #[command(flatten)]
    tuning: TuningArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Why the ledger does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What seals the log.
    #[error(transparent)]
    Audit(#[from] AuditSettingError),
    /// The log's settings.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Something that it needs.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A bug.
    #[error(transparent)]
    Broken(#[from] super::Broken),
    /// Signals can't be received.
    #[error("signals: {0}")]
    Signal(#[from] std::io::Error),
}

/// Serves until Ctrl-C or SIGTERM; then answers what is under way, and leaves within 10 seconds.
///
/// # Errors
/// [`ServeError`], naming the setting or the part that stands in the way.
pub async fn run(args: ServeArgs) -> Result<(), ServeError> {
    telemetry::init(args.log.format.unwrap_or(LogFormat::Json), &args.log.filter)?;
    let auth = args.auth.settings().map_err(ConfigError::from)?;
    let open = auth == AuthSettings::Open;
    let keys_in_the_clear = auth.keys_in_the_clear();
    let audit = args.audit.settings(&args.stream)?;
    let sealed = audit.is_some();
    let settings = AppOptions {
        database_url: args.database.url()?.to_owned(),
        nats: args.nats,
        stream: args.stream,
        audit,
        listen: args.listen.address(),
        auth,
        tuning: args.tuning,
    };
    let app = App::start(settings, Clock::system()).await?;
    if open {
        tracing::warn!("AUTH=off: no token is asked for, and every caller may do everything");
    }
    if !sealed {
        tracing::info!(
            "AUDIT_KEY is not set: this process does not seal the log (vtid-ledger keygen makes a key)"
        );
    }
    if let Some(url) = keys_in_the_clear {
        tracing::warn!(
            host = url,
            "JWKS_URL is http: whoever is on the way can put keys of their own into the answer"
        );
    }
    tracing::info!(address = %app.address(), "serving");
    super::run_until_told(app).await
}
