//! Copies of a private PostgreSQL: base backups, and standbys that stream from it and can be promoted. For the tests.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::binaries::PostgresBinaries;
use super::error::DevError;
use super::folder;
use super::postgres::{PostgresOptions, PostgresServer};
use super::user::ServerUser;

impl PostgresServer {
    /// Copies the running cluster into `options.folder`, from which a server can then be started. With a `slot`, which is
    /// made, the copy is a standby that streams from this server; without, it is a base backup, its WAL with it.
    ///
    /// # Errors
    /// The folder in use or out of reach, or PostgreSQL's refusal.
    pub async fn copy_into(&self, options: &PostgresOptions, slot: Option<&str>) -> Result<(), DevError> {
        let (options, slot) = (options.clone(), slot.map(str::to_owned));
        let (url, password) = (self.url("postgres"), self.password().to_owned());
        tokio::task::spawn_blocking(move || copy(&options, slot.as_deref(), &url, &password)).await?
    }

    /// Has the standby in `options.folder` become a primary; returns once it takes writes.
    ///
    /// # Errors
    /// `pg_ctl`'s refusal.
    pub async fn promote(&self, options: &PostgresOptions) -> Result<(), DevError> {
        let options = options.clone();
        tokio::task::spawn_blocking(move || {
            let data = options.folder.join("data");
            let arguments: [&OsStr; 4] = ["promote".as_ref(), "-w".as_ref(), "-D".as_ref(), data.as_os_str()];
            run(&options, "pg_ctl", &arguments)
        })
        .await?
    }
}

fn copy(options: &PostgresOptions, slot: Option<&str>, url: &str, password: &str) -> Result<(), DevError> {
    let data = options.folder.join("data");
    let user = ServerUser::choose(&data)?;
    let made = folder::make(&options.folder, user.as_ref())?;
    folder::write_private(&made.join("password"), &format!("{password}\n"), user.as_ref())?;
    // Empty, and its owner's: who runs the servers can't make it in our folder.
    let place = made.join("data");
    folder::make_private(&place, user.as_ref())?;
    let mut arguments: Vec<&OsStr> = vec!["-D".as_ref(), place.as_os_str(), "-d".as_ref(), url.as_ref()];
    arguments.extend(["-X", "stream", "-c", "fast"].map(OsStr::new));
    if let Some(slot) = slot {
        arguments.extend(["-R", "-C", "-S", slot].map(OsStr::new));
    }
    run(options, "pg_basebackup", &arguments)
}

/// Runs one of PostgreSQL's programs to its end, as the servers' user. None has a guard: they end by themselves.
fn run(options: &PostgresOptions, program: &'static str, arguments: &[&OsStr]) -> Result<(), DevError> {
    let path = PostgresBinaries::find(options.binaries.as_deref())?.folder()?.join(program);
    let data = options.folder.join("data");
    let mut command = Command::new(&path);
    command.args(arguments).current_dir("/").process_group(0).env("LC_ALL", "C");
    if let Some(user) = ServerUser::choose(&data)? {
        user.apply(&mut command);
    }
    let output = command.output().map_err(DevError::io("run", &path))?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(DevError::Program { program, folder: options.folder.clone(), output: text })
}
