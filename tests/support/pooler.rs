//! A private `PgBouncer` before a test's database, under the project's own guard: it ends with the test, however that ends.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use reqwest::Url;

use super::guarded::{Guarded, free_port, program_named, write_own};
use super::{eventually, folder};

const TRIES: usize = 8;

/// When a client's session is the next client's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PoolMode {
    Session,
    Transaction,
    Statement,
}

impl PoolMode {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }
}

/// What else it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooling {
    pub(crate) mode: PoolMode,
    pub(crate) sessions: u32,
    /// Lends them in turn, rather than the one given back last.
    pub(crate) in_turn: bool,
    /// Lets pass, and drops, what the driver says of the session when it connects.
    pub(crate) ignores_options: bool,
}

/// A running one.
pub(crate) struct Pooler {
    guarded: Guarded,
    port: u16,
}

impl Pooler {
    /// Starts one before the server of these addresses, whose logins it lets in without asking.
    pub(crate) async fn start(pooling: Pooling, addresses: &[&str]) -> Self {
        for _ in 0..TRIES {
            let port = free_port();
            let mut pooler = Self { guarded: spawn(pooling, addresses, port), port };
            let listens = eventually("the pooler to listen, or to end", async || {
                let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
                let ended = pooler.guarded.has_ended();
                (listens || ended).then_some(!ended)
            });
            if listens.await {
                return pooler;
            }
        }
        panic!("no pooler came up")
    }

    /// The same address behind it.
    pub(crate) fn before(&self, address: &str) -> String {
        let mut url = Url::parse(address).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.into()
    }
}

fn spawn(pooling: Pooling, addresses: &[&str], port: u16) -> Guarded {
    // The guard's to remove.
    let folder = folder().keep();
    let urls: Vec<Url> = addresses.iter().map(|address| Url::parse(address).unwrap()).collect();
    let logins = urls.iter().map(|url| format!("\"{}\" \"{}\"\n", url.username(), url.password().unwrap()));
    let logins = write_own(&folder.join("logins"), &logins.collect::<String>());
    let config = settings(pooling, urls[0].port().unwrap(), port, &logins);
    let config = write_own(&folder.join("pgbouncer.ini"), &config);
    Guarded::start(&folder, Command::new(program_named("pgbouncer")).arg("-q").arg(config))
}

fn settings(pooling: Pooling, server: u16, port: u16, logins: &Path) -> String {
    let ignored = if pooling.ignores_options { "options" } else { "" };
    format!(
        "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {}\ndefault_pool_size = {}\n\
         server_round_robin = {}\nignore_startup_parameters = {ignored}\n",
        logins.display(),
        pooling.mode.name(),
        pooling.sessions,
        u8::from(pooling.in_turn)
    )
}
