//! A disk of some megabytes that can be filled, for the database: a tmpfs, which only root may mount.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A new cluster takes some 40 MB, and its write-ahead log as much again.
const SIZE: &str = "size=192m,mode=0711";
const BALLAST: &str = "ballast";

/// A mounted disk; unmounted when dropped.
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts an empty one there.
    ///
    /// # Errors
    /// Why this machine does not let us: not Linux, not root, or a container without the right to.
    pub(crate) fn mount(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(path).output()?;
        if !mounted.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&mounted.stderr).into_owned()));
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o711))?;
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.path.join(BALLAST)).unwrap();
        // By pages in the end, so that really none is left.
        for size in [1 << 20, 1 << 12] {
            let zeros = vec![0; size];
            while ballast.write_all(&zeros).is_ok() {}
        }
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.path.join(BALLAST)).unwrap();
    }
}

/// So that the server soon needs room that it does not have: little of the write-ahead log is kept in advance.
pub(crate) fn settings() -> Vec<(String, String)> {
    let settings = [("max_wal_size", "32MB"), ("min_wal_size", "32MB"), ("wal_recycle", "off")];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Detached at once, and gone when the last of the server's processes is.
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.path.display());
        }
    }
}
