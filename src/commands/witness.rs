//! `vtid-ledger witness`: a witness of transparency logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::LogArgs;
use crate::http::{serve, witness_app};
use crate::telemetry::{self, LogFormat, TelemetryError};
use crate::tlog::key::{KeyError, PublicKey, SecretKey};
use crate::witness::service::{Witness, WitnessError};
use crate::witness::store::{Store, StoreError};

/// Bytes of a key's file at most.
const KEY_BYTES_MAX: u64 = 4_096;

/// Run a witness (C2SP tlog-witness): it signs a log's checkpoint if it goes on where the last one ended that it signed
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// The file with the witness's key, from `vtid-ledger keygen --witness`
    #[arg(long, env = "WITNESS_KEY_FILE", value_name = "FILE")]
    key_file: PathBuf,
    /// The verifier key of a log, NAME+ID+KEY; may be given for several logs, and several times for one
    #[arg(long = "log-key", alias = "log-vkey", required = true, value_name = "KEY", value_parser = parse_key)]
    logs: Vec<PublicKey>,
    /// The address to serve HTTP on
    #[arg(long, env = "WITNESS_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The folder in which it keeps what it has signed; lost, it could be shown another past
    #[arg(long, value_name = "FOLDER", default_value = ".vtid-witness")]
    data: PathBuf,
    #[command(flatten)]
    log: LogArgs,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum WitnessFailure {
    /// The log's settings.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The key's file can't be read.
    #[error("{path}: {error}")]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// What the machine said.
        error: std::io::Error,
    },
    /// It holds no key. What is in it is not repeated.
    #[error("{path}: {error}; `vtid-ledger keygen --witness` makes one")]
    Key {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: KeyError,
    },
    /// The folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The port is in use, or may not be taken.
    #[error("can't listen on {address}: {error} (another address: --listen ADDRESS:PORT)")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the machine said.
        error: std::io::Error,
    },
    /// Signals can't be received.
    #[error("signals: {0}")]
    Signal(#[from] std::io::Error),
}

/// Runs until Ctrl-C or SIGTERM; then answers what is under way.
///
/// # Errors
/// [`WitnessFailure`]
pub async fn run(args: WitnessArgs) -> Result<(), WitnessFailure> {
    telemetry::init(args.log.format.unwrap_or(LogFormat::Json), &args.log.filter)?;
    let key = read_key(&args.key_file)?;
    let witness = Witness::open(key, args.logs, Store::open(&args.data)?, Clock::system())?;
    let refused = |error| WitnessFailure::Listen { address: args.listen, error };
    let listener = TcpListener::bind(args.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    tracing::info!(%address, key = %witness.public(), "witnessing");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, witness_app(Arc::new(witness)), stop.clone()));
    let told = super::told_to_stop().await;
    stop.cancel();
    if let Err(error) = serving.await {
        tracing::error!(cause = %error, "HTTP ended badly");
    }
    Ok(told?)
}

fn read_key(path: &Path) -> Result<SecretKey, WitnessFailure> {
    let read = || {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)?.take(KEY_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| WitnessFailure::KeyFile { path: path.to_owned(), error })?;
    SecretKey::parse(text.trim()).map_err(|error| WitnessFailure::Key { path: path.to_owned(), error })
}

fn parse_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text.trim()).map_err(|error| error.to_string())
}
