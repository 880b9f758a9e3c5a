//! A PostgreSQL cluster's files: made once by `initdb`, with a password of its own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use uuid::Uuid;

use super::binaries::PostgresBinaries;
use super::error::DevError;
use super::folder;
use super::user::ServerUser;

/// The cluster's owner, PostgreSQL's customary name.
pub(super) const OWNER: &str = "postgres";

/// How long `initdb` may still be at work for somebody who was killed meanwhile.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);

/// A cluster on disk.
pub(super) struct Cluster {
    /// Canonical; holds everything below.
    pub(super) folder: PathBuf,
    /// What PostgreSQL calls the data directory.
    pub(super) data: PathBuf,
    /// The owner's password.
    pub(super) password: String,
    /// Whom the server has to run as.
    pub(super) user: Option<ServerUser>,
}

impl Cluster {
    /// Opens the cluster in `folder`, and makes it where missing. Blocks for a second or two in that case.
    pub(super) fn open_or_make(
        folder: &Path,
        binaries: &PostgresBinaries,
        sync: bool,
    ) -> Result<Self, DevError> {
        let user = ServerUser::choose(&folder.join("data"))?;
        let folder = folder::make(folder, user.as_ref())?;
        let data = folder.join("data");
        let password = folder.join("password");
        if !data.exists() {
            if let Some(user) = &user {
                user.check_reach(&binaries.postgres)?;
            }
            make(&folder, binaries, user.as_ref(), sync)?;
        }
        let password =
            fs::read_to_string(&password).map_err(DevError::io("read", &password))?.trim().to_owned();
        Ok(Self { folder, data, password, user })
    }
}

/// Runs `initdb` beside the final place and renames: a cluster that is there is whole.
fn make(
    folder: &Path,
    binaries: &PostgresBinaries,
    user: Option<&ServerUser>,
    sync: bool,
) -> Result<(), DevError> {
    let lock = folder::lock(folder, LOCK_PATIENCE)?;
    let data = folder.join("data");
    if data.exists() {
        return Ok(());
    }
    let new = folder.join("data.new");
    folder::remove(&new)?;
    folder::make_private(&new, user)?;
    let password = folder.join("password");
    folder::write_private(&password, &format!("{}\n", Uuid::new_v4().simple()), user)?;

    let mut command = Command::new(&binaries.initdb);
    command
        .arg("-D")
        .arg(&new)
        .args(["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--data-checksums"])
        .arg(format!("--username={OWNER}"))
        .arg("--pwfile")
        .arg(&password)
        .args((!sync).then_some("--no-sync"))
        .current_dir("/")
        .process_group(0)
        // As with the server: the lock is held as long as initdb works, even if we are killed meanwhile.
        .stdin(lock);
    if let Some(user) = user {
        user.apply(&mut command);
    }
    let output = command.output().map_err(DevError::io("run", &binaries.initdb))?;
    if !output.status.success() {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        return Err(DevError::Initdb { folder: folder.to_path_buf(), output: text });
    }
    fs::rename(&new, &data).map_err(DevError::io("rename", &new))?;
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(DevError::io("sync", folder))
}
