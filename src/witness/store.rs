//! What a witness has signed last, on disk: a file for each log. Whoever forgets it could be shown another past.

use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::tlog::checkpoint::Checkpoint;

/// A folder that one witness has for itself.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: File,
}

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The machine said so.
    #[error("{path}: {error}")]
    Machine {
        /// What was to be used.
        path: PathBuf,
        /// What was said.
        error: io::Error,
    },
    /// Another witness works in it.
    #[error("another witness works in {0}")]
    InUse(PathBuf),
    /// A file is not what was written.
    #[error(
        "{0} is not the checkpoint of its log: it was damaged, and without it this witness could sign another past; put it \
         back from a copy"
    )]
    Damaged(PathBuf),
}

impl Store {
    /// Opens the folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Machine { path, error }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let folder = folder.canonicalize().map_err(failed(folder))?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent).map_err(failed(parent))?;
        }
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(folder)),
            Err(TryLockError::Error(error)) => Err(failed(&path)(error)),
        }
    }

    /// The last checkpoint of a log that was kept.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn load(&self, origin: &str) -> Result<Option<Checkpoint>, StoreError> {
        let path = self.path(origin);
        let note = match std::fs::read(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::Machine { path, error }),
        };
        let checkpoint = Checkpoint::parse(&note).ok().filter(|checkpoint| checkpoint.origin == origin);
        checkpoint.map(Some).ok_or(StoreError::Damaged(path))
    }

    /// Keeps a checkpoint in place of the last one. When this returns, a power cut does not undo it; where it fails, either
    /// of the two is there.
    ///
    /// # Errors
    /// What the machine says.
    pub fn keep(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let path = self.path(&checkpoint.origin);
        let unfinished = path.with_extension("new");
        let mut file = File::create(&unfinished)?;
        file.write_all(checkpoint.note.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        sync_folder(&self.folder)
    }

    /// An origin may have any characters.
    fn path(&self, origin: &str) -> PathBuf {
        let mut name = String::with_capacity(75);
        for byte in Sha256::digest(origin) {
            // Writing to a string can't fail.
            let _ = write!(name, "{byte:02x}");
        }
        name.push_str(".checkpoint");
        self.folder.join(name)
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
