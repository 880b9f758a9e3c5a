//! Which keys sign.

use std::path::PathBuf;

use clap::Args;

use crate::auth::settings::Secret;
use crate::oasis::stream::StreamArgs;
use crate::tlog::key::{KeyError, KeyName, SecretKey};

/// The seal on the ledger's past
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// The key that signs checkpoints of the log [default: none, and nothing is sealed]
    #[arg(long, env = "AUDIT_KEY", hide_env_values = true, value_name = "KEY")]
    pub audit_key: Option<Secret>,
    /// The same in a file
    #[arg(long, env = "AUDIT_KEY_FILE", value_name = "FILE")]
    pub audit_key_file: Option<PathBuf>,
}

/// The setting can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditSettingError {
    /// No key.
    #[error("AUDIT_KEY: {0}")]
    Key(#[from] KeyError),
    /// The file can't be read.
    #[error("AUDIT_KEY_FILE: {0}")]
    File(#[from] std::io::Error),
}

/// The log's key.
#[derive(Debug, Clone)]
pub struct AuditKeys(SecretKey);

impl AuditKeys {
    /// The log's name in its checkpoints.
    #[must_use]
    pub fn origin(&self) -> &KeyName {
        self.0.public().name()
    }
}

/// What the settings come to, where there is a key.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// What signs.
    pub keys: AuditKeys,
}

impl AuditArgs {
    /// The settings; none without a key.
    ///
    /// # Errors
    /// [`AuditSettingError`]
    pub fn settings(&self, _: &StreamArgs) -> Result<Option<AuditSettings>, AuditSettingError> {
        let text = match (&self.audit_key, &self.audit_key_file) {
            (Some(key), _) => String::from_utf8_lossy(key.bytes()).into_owned(),
            (None, Some(path)) => std::fs::read_to_string(path)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(AuditSettings { keys: AuditKeys(SecretKey::parse(text.trim())?) }))
    }
}
