//! Whom the servers run as. PostgreSQL refuses root, so under root they run as an ordinary user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Uid, User};

use super::error::DevError;

/// Tried in this order: the user of Debian's PostgreSQL package, the one of macOS, and the one that owns nothing.
const CANDIDATES: [&str; 3] = ["postgres", "_postgres", "nobody"];
/// For the error: as root this can always be made, and everybody may enter `/var/lib`.
const REACHABLE_PLACE: &str = "/var/lib/vtid";

/// An ordinary user that the servers run as because we are root.
#[derive(Clone, Debug)]
pub(super) struct ServerUser {
    name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl ServerUser {
    /// `None` when we are not root: then nothing changes. Else the owner of `data` if it exists and is not root's
    /// (somebody ran the ledger there before), else the first existing of `postgres`, `_postgres`, `nobody`.
    pub(super) fn choose(data: &Path) -> Result<Option<Self>, DevError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        if let Ok(owner) = fs::metadata(data)
            && owner.uid() != 0
        {
            let name = User::from_uid(owner.uid().into()).ok().flatten().map(|user| user.name);
            let name = name.unwrap_or_else(|| owner.uid().to_string());
            return Ok(Some(Self { name, uid: owner.uid(), gid: owner.gid() }));
        }
        CANDIDATES
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Some(Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
            .ok_or(DevError::NoUser("postgres"))
    }

    /// Makes `path` this user's own.
    pub(super) fn own(&self, path: &Path) -> Result<(), DevError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(DevError::io("chown", path))
    }

    /// Makes `command` run as this user, without root's groups (the standard library drops those along with it).
    pub(super) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Whether this user may enter every existing folder on the way to `path`; `path` need not exist yet. Looks at the
    /// permission bits, not at access lists.
    pub(super) fn check_reach(&self, path: &Path) -> Result<(), DevError> {
        let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
        let existing = fs::canonicalize(existing).map_err(DevError::io("find", existing))?;
        for folder in existing.ancestors() {
            let found = fs::metadata(folder).map_err(DevError::io("look at", folder))?;
            if !self.may_enter(found.uid(), found.gid(), found.mode()) {
                return Err(DevError::Unreachable {
                    path: path.to_path_buf(),
                    blocked_by: folder.to_path_buf(),
                    user: self.name.clone(),
                    suggestion: REACHABLE_PLACE,
                });
            }
        }
        Ok(())
    }

    fn may_enter(&self, owner: u32, group: u32, mode: u32) -> bool {
        let bit = if owner == self.uid {
            0o100
        } else if group == self.gid {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_permission_bit_counts() {
        let user = ServerUser { name: "someone".to_owned(), uid: 5, gid: 6 };
        assert!(user.may_enter(5, 0, 0o700));
        assert!(!user.may_enter(5, 6, 0o077));
        assert!(user.may_enter(0, 6, 0o710));
        assert!(!user.may_enter(0, 6, 0o701));
        assert!(user.may_enter(0, 0, 0o711));
        assert!(!user.may_enter(0, 0, 0o770));
    }

    #[test]
    fn names_the_folder_that_blocks_the_way() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let inner = root.join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        let user = ServerUser { name: "someone".to_owned(), uid: 4_000_000, gid: 4_000_000 };
        let error = user.check_reach(&inner.join("new/one")).unwrap_err();
        let DevError::Unreachable { blocked_by, path, .. } = error else { panic!("{error}") };
        assert_eq!((blocked_by, path), (root.clone(), inner.join("new/one")));
        fs::set_permissions(&root, fs::Permissions::from_mode(0o711)).unwrap();
        // Whether the folders above may be entered is this machine's affair.
        if let Err(DevError::Unreachable { blocked_by, .. }) = user.check_reach(&inner) {
            assert_ne!(blocked_by, root);
        }
    }
}
