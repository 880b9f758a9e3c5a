//! Data folders: made with care for who may enter them, and locked while in use.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf, absolute};
use std::time::{Duration, Instant};

use super::error::DevError;
use super::user::ServerUser;

/// The lock's name within a data folder.
pub(super) const LOCK: &str = "lock";
/// Between two looks at a lock that somebody else holds.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Makes `folder` where missing and returns its canonical path. Under root, everybody may pass through it (the servers'
/// own folders within it are private), else it is ours alone.
pub(super) fn make(folder: &Path, user: Option<&ServerUser>) -> Result<PathBuf, DevError> {
    let folder = absolute(folder).map_err(DevError::io("find", folder))?;
    if let Some(user) = user {
        user.check_reach(&folder)?;
    }
    make_missing(&folder, if user.is_some() { 0o711 } else { 0o700 })?;
    fs::canonicalize(&folder).map_err(DevError::io("find", &folder))
}

/// Makes the private folder `folder` (its parent exists) where missing, the server's own.
pub(super) fn make_private(folder: &Path, user: Option<&ServerUser>) -> Result<(), DevError> {
    make_missing(folder, 0o700)?;
    user.map_or(Ok(()), |user| user.own(folder))
}

fn make_missing(folder: &Path, mode: u32) -> Result<(), DevError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_missing(parent, mode)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        outcome => outcome.map_err(DevError::io("make the folder", folder))?,
    }
    // Not left to the umask, which may be anything.
    fs::set_permissions(folder, Permissions::from_mode(mode)).map_err(DevError::io("set the mode of", folder))
}

/// Writes a file that only its owner can read, at once or not at all; under root the owner is `user`.
pub(super) fn write_private(path: &Path, text: &str, user: Option<&ServerUser>) -> Result<(), DevError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(DevError::io("write into", folder))?;
    file.write_all(text.as_bytes()).map_err(DevError::io("write", path))?;
    file.as_file().sync_all().map_err(DevError::io("write", path))?;
    if let Some(user) = user {
        user.own(file.path())?;
    }
    file.persist(path).map_err(|error| DevError::io("write", path)(error.error))?;
    Ok(())
}

/// Removes a folder or file that may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), DevError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DevError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Opens the lock of `folder` and takes it, waiting until `patience` is over for whoever holds it to let go.
///
/// The lock belongs to the open file: a process that gets it as its standard input holds it too, until it ends.
pub(super) fn lock(folder: &Path, patience: Duration) -> Result<File, DevError> {
    let path = folder.join(LOCK);
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(DevError::io("open", &path))?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(DevError::io("lock", &path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(DevError::InUse { folder: folder.to_path_buf(), holder: holder(&mut file) });
            }
        }
    }
}

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Taken(File);

/// Takes `folder`, and writes our process id where those look who find it taken.
pub(super) fn take(folder: &Path) -> Result<Taken, DevError> {
    let taken = Taken(lock(folder, Duration::ZERO)?);
    let mut file = &taken.0;
    let signed =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    signed.map_err(DevError::io("write", &folder.join(LOCK)))?;
    Ok(taken)
}

impl Drop for Taken {
    /// Closing the file would not do: a process that another thread has just forked has the file too until it becomes
    /// its program.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "a data folder stays locked until this process has ended");
        }
    }
}

fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_taken_names_its_holder_and_is_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let taken = take(folder.path()).unwrap();
        let error = take(folder.path()).unwrap_err();
        assert!(
            matches!(error, DevError::InUse { holder: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        // As a process has it that was forked meanwhile.
        let forked = taken.0.try_clone().unwrap();
        drop(taken);
        take(folder.path()).unwrap();
        drop(forked);
    }

    #[test]
    fn private_files_and_folders_are_private() {
        let root = tempfile::tempdir().unwrap();
        let made = make(&root.path().join("a/b"), None).unwrap();
        let secret = made.join("secret");
        write_private(&secret, "hidden", None).unwrap();
        let bits = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((bits(&made), bits(&secret)), (0o700, 0o600));
        assert_eq!(fs::read_to_string(&secret).unwrap(), "hidden");
    }
}
