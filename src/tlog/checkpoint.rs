//! Checkpoints: a tree's size and root under the log's origin, as a signed note.

use signed_note::{Note, NoteError, Signer, Verifier, VerifierList};
use tlog_tiles::{Checkpoint as Body, Hash};

use super::key::{KeyKind, KeyName, PublicKey, SecretKey};

/// Bytes of a checkpoint with its signatures at most, as far as this program reads them: more than 16 of the largest
/// signatures that there are, which signed notes are to be read with.
pub const MAX_BYTES: usize = 131_072;

/// Why a text is no checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not of the form.
    #[error("not a checkpoint: a signed note of origin, size and root hash")]
    Form,
    /// None of the keys signed it, or one of them signed something else.
    #[error("the checkpoint's signature: {0}")]
    Signature(String),
    /// Signed by a known key, but for another log.
    #[error("the checkpoint is of the log {0}")]
    OtherOrigin(String),
}

/// A tree's size and root, as some log signed them. Whether a key that counts is among the signatures is what
/// [`Checkpoint::open`] finds out.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Whose log it is.
    pub origin: String,
    /// How many leaves the tree has: so the last one is the event at this position.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
    /// The whole note, signatures and all.
    pub note: String,
}

impl Checkpoint {
    /// Signs a tree's head with every one of `keys`, whose first is the log's own and gives the origin.
    ///
    /// # Errors
    /// [`CheckpointError`], where there is no key.
    pub fn sign(
        origin: &KeyName,
        size: u64,
        root: Hash,
        keys: &[SecretKey],
    ) -> Result<Self, CheckpointError> {
        let body = Body::new(origin.as_str(), size, root, "").map_err(|_| CheckpointError::Form)?;
        let mut note = Note::new(&body.to_bytes(), &[]).map_err(told)?;
        let signers: Vec<_> = keys.iter().map(|key| key.at(0)).collect();
        let signers: Vec<&dyn Signer> = signers.iter().map(|signer| signer as &dyn Signer).collect();
        note.add_sigs(&signers).map_err(told)?;
        Self::parse(&note.to_bytes())
    }

    /// Reads one, whoever signed it.
    ///
    /// # Errors
    /// [`CheckpointError::Form`]
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        if note.len() > MAX_BYTES {
            return Err(CheckpointError::Form);
        }
        let parsed = Note::from_bytes(note).map_err(|_| CheckpointError::Form)?;
        let body = Body::from_bytes(parsed.text()).map_err(|_| CheckpointError::Form)?;
        let note = String::from_utf8(note.to_vec()).map_err(|_| CheckpointError::Form)?;
        Ok(Self { origin: body.origin().to_owned(), size: body.size(), root: *body.hash(), note })
    }

    /// Reads one that one of `keys`, the log's, has signed, and is of the origin which that key is named after. Tells which
    /// of them signed it.
    ///
    /// # Errors
    /// [`CheckpointError`]
    pub fn open(note: &[u8], keys: &[PublicKey]) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(note)?;
        let logs: Vec<&PublicKey> = keys.iter().filter(|key| key.kind() == KeyKind::Log).collect();
        let by = checkpoint.signed_by(&logs)?;
        if by.is_empty() {
            return Err(CheckpointError::Signature("none of the given keys signed it".to_owned()));
        }
        // Of several logs' keys each counts for its own.
        if !by.iter().any(|index| logs[*index].name().as_str() == checkpoint.origin) {
            return Err(CheckpointError::OtherOrigin(checkpoint.origin));
        }
        Ok(checkpoint)
    }

    /// Which of `keys` signed it: indices into them.
    ///
    /// # Errors
    /// [`CheckpointError::Signature`], where a signature in the name of one of them is none.
    pub fn signed_by(&self, keys: &[&PublicKey]) -> Result<Vec<usize>, CheckpointError> {
        let note = Note::from_bytes(self.note.as_bytes()).map_err(|_| CheckpointError::Form)?;
        // Two of one id would be told from nothing.
        let mut each: Vec<&PublicKey> = Vec::with_capacity(keys.len());
        for key in keys {
            if !each.contains(key) {
                each.push(key);
            }
        }
        let verifiers = each.into_iter().map(|key| Box::new(key.clone()) as Box<dyn Verifier>).collect();
        let verified = match note.verify(&VerifierList::new(verifiers)) {
            Ok((verified, _)) => verified,
            Err(NoteError::UnverifiedNote) => return Ok(Vec::new()),
            Err(error) => return Err(told(error)),
        };
        let by = |key: &PublicKey| {
            verified.iter().any(|found| found.name() == Verifier::name(key) && found.id() == key.key_id())
        };
        Ok((0..keys.len()).filter(|index| by(keys[*index])).collect())
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> &str {
        self.note.rsplit_once("\n\n").map_or("", |(text, _)| &self.note[..=text.len()])
    }

    /// Adds signature lines, a witness's say, if they are of the form and not there already.
    ///
    /// # Errors
    /// [`CheckpointError::Form`]
    pub fn with_signatures(&self, lines: &str) -> Result<Self, CheckpointError> {
        let mut note = self.note.clone();
        for line in lines.split_inclusive('\n').filter(|line| !self.note.contains(*line)) {
            note.push_str(line);
        }
        Self::parse(note.as_bytes())
    }
}

fn told(error: NoteError) -> CheckpointError {
    match error {
        NoteError::MalformedNote => CheckpointError::Form,
        error => CheckpointError::Signature(error.to_string()),
    }
}
