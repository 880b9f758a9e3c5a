//! `endpoints.json`: where everything listens, for those who start us and want to call us.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::DevError;
use super::folder;

/// The addresses of a running `vtid-ledger dev`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Endpoints {
    /// The HTTP API.
    pub http: String,
    /// The database as the cluster's owner, password included.
    pub postgres: String,
    /// The NATS server.
    pub nats: String,
}

impl Endpoints {
    /// Where a data folder has them.
    #[must_use]
    pub fn path(data: &Path) -> PathBuf {
        data.join("endpoints.json")
    }

    /// Those of a `dev` that runs on this data folder; none where none does.
    #[must_use]
    pub fn read(data: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(Self::path(data)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes them, all at once, readable by us alone: the address of PostgreSQL holds its password.
    pub(super) fn write(&self, data: &Path) -> Result<(), DevError> {
        let path = Self::path(data);
        let mut text =
            serde_json::to_string(self).map_err(|error| DevError::io("write", &path)(error.into()))?;
        text.push('\n');
        folder::write_private(&path, &text, None)
    }

    /// Removes what an earlier run left or this one wrote.
    pub(super) fn remove(data: &Path) -> Result<(), DevError> {
        folder::remove(&Self::path(data))
    }
}
