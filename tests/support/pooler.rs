//! A private `PgBouncer` before a test's database, under the project's own guard: it ends with the test, however that ends.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Uid, User};
use reqwest::Url;

use super::{eventually, folder, program};

/// Below the ports that outgoing connections are given.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
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
    guard: Child,
    port: u16,
}

impl Pooler {
    /// Starts one before the server of these addresses, whose logins it lets in without asking.
    pub(crate) async fn start(pooling: Pooling, addresses: &[&str]) -> Self {
        for _ in 0..TRIES {
            let port = free_port();
            let mut pooler = Self { guard: spawn(pooling, addresses, port), port };
            let listens = eventually("the pooler to listen, or to end", async || {
                let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
                let ended = pooler.guard.try_wait().unwrap().is_some();
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

impl Drop for Pooler {
    fn drop(&mut self) {
        // The guard stops it and removes its folder.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..200).map(|_| fastrand::u16(PORTS)).find(free).expect("a free port")
}

fn binary() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = ["/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let found = env::split_paths(&path).chain(places).map(|place| place.join("pgbouncer"));
    found.into_iter().find(|file| file.is_file()).expect("pgbouncer is missing: run `make test-deps`")
}

/// It refuses to run as root, as `PostgreSQL` does.
fn user() -> Option<User> {
    let find = |name: &&str| User::from_name(name).ok().flatten();
    let of_root = || ["postgres", "_postgres", "nobody"].iter().find_map(find).expect("an ordinary user");
    Uid::effective().is_root().then(of_root)
}

fn spawn(pooling: Pooling, addresses: &[&str], port: u16) -> Child {
    // The guard's to remove.
    let folder = folder().keep();
    let user = user();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        if let Some(user) = &user {
            chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        path
    };
    let urls: Vec<Url> = addresses.iter().map(|address| Url::parse(address).unwrap()).collect();
    let logins = urls.iter().map(|url| format!("\"{}\" \"{}\"\n", url.username(), url.password().unwrap()));
    let logins = write("logins", logins.collect());
    let config = write("pgbouncer.ini", settings(pooling, urls[0].port().unwrap(), port, &logins));
    let mut command = Command::new(program());
    command.args(["guard", "--signal", "term", "--patience-ms", "5000", "--folder"]).arg(&folder);
    if let Some(user) = &user {
        command.args(["--uid", &user.uid.to_string(), "--gid", &user.gid.to_string()]);
    }
    command.arg("--throw-away").arg(&folder).arg("--").arg(binary()).arg("-q").arg(config);
    let log = fs::File::create(folder.join("server.log")).unwrap();
    let mut guard = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut report = String::new();
    BufReader::new(guard.stdout.take().unwrap()).read_line(&mut report).unwrap();
    assert!(report.starts_with("started "), "{report}");
    guard
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
