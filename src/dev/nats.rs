//! A private NATS server with JetStream, its store under a folder, on a free port of 127.0.0.1.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::binaries;
use super::error::DevError;
use super::folder;
use super::guard::StopSignal;
use super::guarded::{Guarded, ServerCommand};
use super::port;
use super::user::ServerUser;

const SERVER: &str = "nats-server";
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// The server's greeting is one line of some 400 bytes.
const GREETING_LIMIT_BYTES: u64 = 16 * 1024;

/// How to start a private NATS server.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Holds the JetStream store, the settings and the server's log; made where missing, private.
    pub folder: PathBuf,
    /// Our own binary, which is run as the guard.
    pub guard: PathBuf,
    /// The `nats-server` file; `None` searches for it.
    pub binary: Option<PathBuf>,
    /// A port of 127.0.0.1 that the server must get, for a start again where clients expect it; `None` takes a free one.
    pub port: Option<u16>,
    /// What the server calls itself, for one that has to be the same to its cluster when it is started again; `None` gives
    /// it a name of this one start.
    pub name: Option<String>,
    /// Appended to the settings file (accounts, permissions, …).
    pub extra_config: String,
    /// Whether dropping the server, or the end of our process, removes the folder.
    pub remove_on_drop: bool,
}

impl NatsOptions {
    /// A server on a free port with a store in `folder` that lasts; `guard` is our own binary.
    pub fn new(folder: impl Into<PathBuf>, guard: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            guard: guard.into(),
            binary: None,
            port: None,
            name: None,
            extra_config: String::new(),
            remove_on_drop: false,
        }
    }
}

/// A running private NATS server. Dropping it stops it in the background; [`NatsServer::stop`] waits.
///
/// It is not bound to the async runtime it was started in.
#[derive(Debug)]
pub struct NatsServer {
    guarded: Guarded,
    port: u16,
}

impl NatsServer {
    /// Starts the server and returns when it answers with JetStream on.
    ///
    /// # Errors
    /// The program missing, the folder in use or out of reach, the given port taken, or a server that does not come
    /// up: then the error holds the end of its log.
    pub async fn start(options: &NatsOptions) -> Result<Self, DevError> {
        if let Some(port) = options.port {
            return Self::start_once(options.clone(), port).await;
        }
        for _ in 1..port::START_TRIES {
            match Self::start_once(options.clone(), port::free()?).await {
                Err(DevError::PortInUse { .. }) => {}
                other => return other,
            }
        }
        Self::start_once(options.clone(), port::free()?).await
    }

    async fn start_once(options: NatsOptions, port: u16) -> Result<Self, DevError> {
        // A name for this one start, so that nobody else's server on this port can pass for it.
        let name = options.name.clone().unwrap_or_else(|| format!("vtid-{}", Uuid::new_v4().simple()));
        let expected = name.clone();
        let guarded = tokio::task::spawn_blocking(move || spawn(&options, port, &name)).await??;
        let guarded = guarded
            .ready(|| async { greeting(port).await.is_some_and(|info| info.is_ready(&expected)) })
            .await?;
        Ok(Self { guarded, port })
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guarded.pid()
    }

    /// Whether the server's process still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.guarded.is_running()
    }

    /// Stops the server in good order and returns when it has ended; its store is kept.
    ///
    /// # Errors
    /// Only if the system fails us; the guard has been told either way.
    pub async fn stop(self) -> Result<(), DevError> {
        self.guarded.stop().await
    }
}

fn spawn(options: &NatsOptions, port: u16, name: &str) -> Result<Guarded, DevError> {
    let program = binaries::find_nats(options.binary.as_deref())?;
    let user = ServerUser::choose(&options.folder.join("jetstream"))?;
    if let Some(user) = &user {
        user.check_reach(&program)?;
    }
    let folder = folder::make(&options.folder, user.as_ref())?;
    let store = folder.join("jetstream");
    folder::make_private(&store, user.as_ref())?;
    let config = folder.join("nats.conf");
    folder::write_private(&config, &settings(name, port, &store, &options.extra_config)?, user.as_ref())?;
    ServerCommand {
        server: SERVER,
        port,
        guard: options.guard.clone(),
        folder,
        user,
        signals: vec![StopSignal::Int, StopSignal::Term],
        patience: STOP_PATIENCE,
        scratch: None,
        remove_on_drop: options.remove_on_drop,
        program,
        args: vec!["-c".into(), config.into()],
    }
    .spawn()
}

fn settings(name: &str, port: u16, store: &Path, extra: &str) -> Result<String, DevError> {
    let store = store.to_str().ok_or_else(|| DevError::NotUtf8(store.to_path_buf()))?;
    let store = store.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!(
        "server_name: \"{name}\"\nlisten: \"{}:{port}\"\njetstream {{\n  store_dir: \"{store}\"\n}}\n",
        Ipv4Addr::LOCALHOST
    );
    // Writing to a string can't fail.
    let _ = writeln!(text, "{extra}");
    Ok(text)
}

/// What we need of the line that a NATS server greets every connection with.
#[derive(Debug, Deserialize)]
struct Info {
    server_name: String,
    #[serde(default)]
    jetstream: bool,
}

impl Info {
    fn is_ready(&self, expected: &str) -> bool {
        self.server_name == expected && self.jetstream
    }
}

async fn greeting(port: u16) -> Option<Info> {
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let mut line = String::new();
    BufReader::new(connection.take(GREETING_LIMIT_BYTES)).read_line(&mut line).await.ok()?;
    serde_json::from_str(line.strip_prefix("INFO ")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_quote_stays_within_its_string() {
        let text = settings("n", 1, Path::new("/a\"b\\c"), "debug: true").unwrap();
        assert!(text.contains(r#"store_dir: "/a\"b\\c""#), "{text}");
        assert!(text.ends_with("debug: true\n"), "{text}");
    }
}
