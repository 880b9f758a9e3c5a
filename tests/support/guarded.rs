//! Other people's servers under the project's own guard: they end with the test, however that ends.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Uid, User};

use super::program;

/// Below the ports that outgoing connections are given, and those of our own servers: who is down for a while must not find his
/// taken by one of them.
const PORTS: std::ops::Range<u16> = 14_000..20_000;

/// A running one. Dropping it stops it, and removes its folder.
pub(crate) struct Guarded {
    guard: Child,
    pid: u32,
}

impl Guarded {
    /// Starts `command`, of which the program and the arguments count, as an ordinary user. What it prints goes to
    /// `server.log` in its folder, which is the guard's to remove.
    pub(crate) fn start(folder: &Path, command: &Command) -> Self {
        let mut guard = Command::new(program());
        guard.args(["guard", "--signal", "term", "--patience-ms", "10000", "--folder"]).arg(folder);
        if let Some(user) = user() {
            guard.args(["--uid", &user.uid.to_string(), "--gid", &user.gid.to_string()]);
        }
        guard.arg("--throw-away").arg(folder).arg("--").arg(command.get_program()).args(command.get_args());
        guard.env("LC_ALL", "C");
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            guard.env_remove(name);
        }
        let log = File::options().append(true).create(true).open(folder.join("server.log")).unwrap();
        let mut guard = guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut report = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut report).unwrap();
        let pid = report.strip_prefix("started ").and_then(|pid| pid.trim().parse().ok());
        Self { guard, pid: pid.unwrap_or_else(|| panic!("the guard says: {report}")) }
    }

    /// The process id of what it was told to run.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended by itself: then its folder stays.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.guard.try_wait().unwrap().is_some()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A free one of 127.0.0.1.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..200).map(|_| fastrand::u16(PORTS)).find(free).expect("a free port")
}

/// A program that `make test-deps` installs.
pub(crate) fn program_named(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = ["/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools").join(name).join("bin");
    let found = env::split_paths(&path).chain(places).chain([tools]).map(|place| place.join(name));
    found
        .into_iter()
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: run `make test-deps`"))
}

/// Whom these servers run as: most of them refuse root.
fn user() -> Option<User> {
    let find = |name: &&str| User::from_name(name).ok().flatten();
    let of_root = || ["postgres", "_postgres", "nobody"].iter().find_map(find).expect("an ordinary user");
    Uid::effective().is_root().then(of_root)
}

/// Makes a file or a folder theirs.
pub(crate) fn own(path: &Path) {
    if let Some(user) = user() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

/// Writes a file that is theirs; gives where it is.
pub(crate) fn write_own(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    own(path);
    path.to_path_buf()
}
