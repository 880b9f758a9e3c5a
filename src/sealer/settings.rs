//! Which keys sign, and what happens where the past is not the one that was sealed: by flag and by environment.
#![expect(
    clippy::doc_markdown,
    reason = "these comments are also the text of --help, which shows no Markdown"
)]

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::auth::settings::Secret;
use crate::oasis::stream::{NeededStream, StreamArgs, StreamName};
use crate::tlog::key::{KeyError, KeyKind, KeyName, PublicKey, SecretKey};
use crate::witness::settings::{MalformedWitness, WitnessAddress, parse_list};

/// The audit events' subjects. They are not among those of the ledger's events, whose service is another one.
pub const SUBJECTS: &str = "oasis.system.vtid-ledger-audit.*";
/// The name of their stream where no other is set.
pub const DEFAULT_STREAM: &str = "OASIS_VTID_LEDGER_AUDIT";
/// Each signs every checkpoint, and adds a line to it: a rotation needs two.
const KEYS_MAX: usize = 8;
/// Bytes of a file of keys at most.
const FILE_BYTES_MAX: u64 = 16_384;

/// The seal on the ledger's past
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// The keys that sign checkpoints of the log, from `vtid-ledger keygen`, separated by spaces or commas [default: none,
    /// and nothing is sealed]
    #[arg(long, env = "AUDIT_KEY", hide_env_values = true, value_name = "KEYS")]
    pub audit_key: Option<Secret>,
    /// The same in a file
    #[arg(long, env = "AUDIT_KEY_FILE", value_name = "FILE")]
    pub audit_key_file: Option<PathBuf>,
    /// Whether writes stop where the past is not the one that was sealed
    #[arg(long, env = "AUDIT_ON_TAMPER", value_enum, default_value_t = OnTamper::Stop)]
    pub audit_on_tamper: OnTamper,
    /// The JetStream stream that holds the checkpoints; never the one that holds the ledger's events
    #[arg(long, env = "OASIS_AUDIT_STREAM", value_name = "NAME", default_value = DEFAULT_STREAM)]
    pub oasis_audit_stream: StreamName,
    /// Witnesses that are asked to sign each checkpoint too, each as ADDRESS=KEY, with commas between, such as
    /// https://witness.example.org=NAME+ID+KEY [default: none]
    #[arg(long, env = "WITNESS_URLS", hide_env_values = true, value_name = "WITNESSES")]
    pub witness_urls: Option<Secret>,
}

/// What happens to writes where the past is not the one that was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnTamper {
    /// They are refused with 503 `ledger_behind` until it is
    Stop,
    /// They go on, unsealed
    Continue,
}

/// The settings can't be used. Keys are not repeated.
#[derive(Debug, thiserror::Error)]
pub enum AuditSettingError {
    /// Both at once.
    #[error("AUDIT_KEY and AUDIT_KEY_FILE are both set: unset one of them")]
    Twice,
    /// The file can't be read.
    #[error("AUDIT_KEY_FILE: {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// What is in it are no keys.
    #[error("{setting}: {fault}")]
    Keys {
        /// Where they were given.
        setting: &'static str,
        /// What is wrong.
        fault: KeysFault,
    },
    /// Not a list of witnesses.
    #[error("WITNESS_URLS: {0}")]
    Witnesses(#[from] MalformedWitness),
    /// One stream can't be both.
    #[error(
        "OASIS_AUDIT_STREAM must be another stream than OASIS_STREAM, whose sequences are the ledger's positions"
    )]
    SameStream,
}

/// What is wrong with a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// There is none.
    #[error("there is no key in it; `vtid-ledger keygen` makes one")]
    None,
    /// Too many.
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
    /// One of them is none.
    #[error("key {0} of the list: {1}; `vtid-ledger keygen` makes one")]
    Malformed(usize, KeyError),
    /// One of them is not a log's.
    #[error("key {0} of the list is a witness's, not a log's")]
    Witness(usize),
    /// They are of several logs.
    #[error("key {0} of the list has another name than the first: all keys of a log bear its origin")]
    OtherOrigin(usize),
    /// One stands there twice.
    #[error("key {0} of the list is there twice")]
    Repeated(usize),
}

/// A log's keys: each signs every checkpoint. One at least, all of one name, which is the log's origin.
#[derive(Debug, Clone)]
pub struct AuditKeys {
    origin: KeyName,
    secrets: Vec<SecretKey>,
}

impl AuditKeys {
    /// Reads signer keys, separated by white space or commas.
    ///
    /// # Errors
    /// [`KeysFault`]
    pub fn parse(text: &str) -> Result<Self, KeysFault> {
        let separates = |c: char| c.is_whitespace() || c == ',';
        let mut secrets: Vec<SecretKey> = Vec::new();
        for (index, text) in text.split(separates).filter(|text| !text.is_empty()).enumerate() {
            let number = index + 1;
            let key = SecretKey::parse(text).map_err(|error| KeysFault::Malformed(number, error))?;
            if key.public().kind() != KeyKind::Log {
                return Err(KeysFault::Witness(number));
            }
            if secrets.first().is_some_and(|first| first.public().name() != key.public().name()) {
                return Err(KeysFault::OtherOrigin(number));
            }
            if secrets.iter().any(|known| known.public() == key.public()) {
                return Err(KeysFault::Repeated(number));
            }
            if secrets.len() == KEYS_MAX {
                return Err(KeysFault::TooMany);
            }
            secrets.push(key);
        }
        let origin = secrets.first().ok_or(KeysFault::None)?.public().name().clone();
        Ok(Self { origin, secrets })
    }

    /// The log's name in its checkpoints.
    #[must_use]
    pub fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// The keys.
    #[must_use]
    pub fn secrets(&self) -> &[SecretKey] {
        &self.secrets
    }

    /// What verifies.
    #[must_use]
    pub fn public(&self) -> Vec<PublicKey> {
        self.secrets.iter().map(|key| key.public().clone()).collect()
    }
}

/// The stream of the audit events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStreamArgs {
    /// Its name.
    pub name: StreamName,
    /// How many servers of a cluster keep it.
    pub replicas: u8,
}

impl NeededStream for AuditStreamArgs {
    fn name(&self) -> &StreamName {
        &self.name
    }

    fn subjects(&self) -> &'static str {
        SUBJECTS
    }

    fn replicas(&self) -> u8 {
        self.replicas
    }
}

/// What the settings come to, where there is a key.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// What signs.
    pub keys: AuditKeys,
    /// Where checkpoints are published.
    pub stream: AuditStreamArgs,
    /// What happens to writes.
    pub on_tamper: OnTamper,
    /// Who is asked to sign too.
    pub witnesses: Vec<WitnessAddress>,
}

impl AuditArgs {
    /// The settings; none without a key. `events` is the stream of the ledger's events.
    ///
    /// # Errors
    /// [`AuditSettingError`]
    pub fn settings(&self, events: &StreamArgs) -> Result<Option<AuditSettings>, AuditSettingError> {
        let key = self.audit_key.as_ref().map(|secret| String::from_utf8_lossy(secret.bytes()).into_owned());
        let key = key.filter(|text| !text.trim().is_empty());
        let file = self.audit_key_file.as_deref().filter(|path| !path.as_os_str().is_empty());
        let (setting, text) = match (key, file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(AuditSettingError::Twice),
            (Some(text), None) => ("AUDIT_KEY", text),
            (None, Some(path)) => ("AUDIT_KEY_FILE", read(path)?),
        };
        let keys = AuditKeys::parse(&text).map_err(|fault| AuditSettingError::Keys { setting, fault })?;
        if self.oasis_audit_stream == events.name {
            return Err(AuditSettingError::SameStream);
        }
        let stream = AuditStreamArgs { name: self.oasis_audit_stream.clone(), replicas: events.replicas };
        let listed = self.witness_urls.as_ref().map(|secret| String::from_utf8_lossy(secret.bytes()));
        let witnesses = parse_list(&listed.unwrap_or_default())?;
        Ok(Some(AuditSettings { keys, stream, on_tamper: self.audit_on_tamper, witnesses }))
    }
}

fn read(path: &Path) -> Result<String, AuditSettingError> {
    let read = || {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| AuditSettingError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, kind: KeyKind) -> String {
        SecretKey::generate(name.parse().unwrap(), kind).unwrap().print()
    }

    #[test]
    fn one_key_or_several_of_one_log() {
        let (first, second) = (key("log", KeyKind::Log), key("log", KeyKind::Log));
        for text in
            [format!("{first}\n{second}\n"), format!(" {first} , {second}"), format!("{first},{second}")]
        {
            let keys = AuditKeys::parse(&text).unwrap();
            assert_eq!(keys.origin().as_str(), "log");
            let printed: Vec<String> = keys.secrets().iter().map(SecretKey::print).collect();
            assert_eq!(printed, [first.clone(), second.clone()]);
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_key() {
        let (log, other) = (key("log", KeyKind::Log), key("other", KeyKind::Log));
        let nine: Vec<String> = (0..9).map(|_| key("log", KeyKind::Log)).collect();
        for (text, fault) in [
            (String::new(), KeysFault::None),
            (" ,\n".to_owned(), KeysFault::None),
            (format!("{log} {log}x"), KeysFault::Malformed(2, KeyError::Form)),
            (log.replace("PRIVATE+KEY+log", "PRIVATE+KEY+lag"), KeysFault::Malformed(1, KeyError::Id)),
            (format!("{log} {}", key("log", KeyKind::Witness)), KeysFault::Witness(2)),
            (format!("{log} {other}"), KeysFault::OtherOrigin(2)),
            (format!("{log} {log}"), KeysFault::Repeated(2)),
            (nine.join(","), KeysFault::TooMany),
        ] {
            let found = AuditKeys::parse(&text).unwrap_err();
            assert_eq!(found, fault);
            let told = AuditSettingError::Keys { setting: "AUDIT_KEY", fault: found }.to_string();
            let secret = log.splitn(5, '+').last().unwrap();
            assert!(told.starts_with("AUDIT_KEY: ") && !told.contains(secret), "{told}");
        }
    }
}
