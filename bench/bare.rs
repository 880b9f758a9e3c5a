//! The yardstick for reads: a bare axum route that answers "ok", in a process of its own, which is this program again.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::BenchError;

const ARGUMENT: &str = "bare-axum";

/// Whether this process is to be the yardstick.
pub(crate) fn is_asked() -> bool {
    std::env::args().any(|argument| argument == ARGUMENT)
}

/// Serves until standard input ends; the first line of its output is where.
pub(crate) async fn serve() -> Result<(), BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(lost)?;
    println!("http://{}", listener.local_addr().map_err(lost)?);
    // The path of a GET, so that the same requests come in.
    let router = Router::new().route("/vtid/{vtid}", get(async || "ok"));
    // However it ends, there is nobody left to serve.
    let parent = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served.map_err(lost),
        _ = parent => Ok(()),
    }
}

/// The running yardstick; killed when dropped.
pub(crate) struct Bare {
    _child: Child,
    base: String,
}

impl Bare {
    /// Starts it.
    pub(crate) async fn start() -> Result<Self, BenchError> {
        let mut child = Command::new(std::env::current_exe().map_err(lost)?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(lost)?;
        let mut base = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut base).await.map_err(lost)?;
        }
        let base = base.trim().to_owned();
        if base.is_empty() {
            return Err(BenchError::Output { program: ARGUMENT.to_owned(), output: base });
        }
        Ok(Self { _child: child, base })
    }

    /// Where it is served.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }
}

fn lost(error: std::io::Error) -> BenchError {
    BenchError::Program { program: PathBuf::from(ARGUMENT), error }
}
