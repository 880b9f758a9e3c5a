//! `vtid-ledger audit verify-proof`: one file, one key, and no ledger.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;

use crate::domain::json::{Json, Object, ParseLimits};
use crate::domain::metadata::MAX_DEPTH;
use crate::domain::record;
use crate::domain::time::Timestamp;
use crate::tlog::checkpoint::{Checkpoint, CheckpointError};
use crate::tlog::key::{KeyKind, KeyName, PublicKey};
use crate::tlog::proof::{self, Proof, ProofFault};

/// Check that a record is in the ledger, by a proof that was downloaded: /vtid/VTID/proof or /events/POSITION/proof
#[derive(Debug, Args)]
pub struct VerifyProofArgs {
    /// The proof
    file: PathBuf,
    /// The ledger's verifier key, NAME+ID+KEY; or several, one of which must have signed
    #[arg(long, required = true, value_name = "KEY", value_parser = parse_log_key)]
    key: Vec<PublicKey>,
    /// A witness's verifier key, which must have signed too; or several, all of which must
    #[arg(long, value_name = "KEY", value_parser = parse_witness_key)]
    witness: Vec<PublicKey>,
    /// The record, in place of the one that is in the proof; a line feed at its end is left out
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print JSON, of a refusal too
    #[arg(long)]
    json: bool,
}

/// Why nothing is proven.
#[derive(Debug, thiserror::Error)]
pub enum VerifyProofFailure {
    /// A file can't be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the machine said.
        error: io::Error,
    },
    /// The proof proves nothing.
    #[error("not proven: {0}")]
    Proof(#[from] ProofFault),
    /// A witness's signature is wrong.
    #[error("not proven: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A witness has not signed.
    #[error("not proven: the witness {0} has not signed the checkpoint")]
    NotWitnessed(KeyName),
    /// What is in the tree is no record of a ledger.
    #[error("not proven: what is in the tree at this place is no record of a ledger")]
    NoRecord,
    /// The record is in the tree, but not where it says that it is.
    #[error("not proven: the record says that it is at position {said}, and the tree has it at {found}")]
    Misplaced {
        /// What the record says.
        said: String,
        /// Where it is.
        found: u64,
    },
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The task.
    pub vtid: String,
    /// Which of its events.
    pub version: String,
    /// What kind of event.
    pub kind: String,
    /// Where it stands in the ledger.
    pub position: u64,
    /// When it was recorded.
    pub time: String,
    /// Who asked for it, and in which role.
    pub actor: [String; 2],
    /// Whose the task is.
    pub tenant: String,
    /// The log, its size, and its root.
    pub tree: (String, u64, String),
    /// The witnesses that were asked for, and when they signed.
    pub witnesses: Vec<(PublicKey, Timestamp)>,
}

/// Prints what is proven.
///
/// # Errors
/// [`VerifyProofFailure`], if nothing is.
pub(super) fn run(args: &VerifyProofArgs) -> Result<(), VerifyProofFailure> {
    let proven = verify(args);
    match &proven {
        Ok(proven) if args.json => println!("{}", proven.json()),
        Ok(proven) => print!("{proven}"),
        Err(failure) if args.json => {
            println!("{}", json!({"proven": false, "reason": failure.to_string()}));
        }
        // Told by whoever called.
        Err(_) => {}
    }
    proven.map(drop)
}

fn verify(args: &VerifyProofArgs) -> Result<Proven, VerifyProofFailure> {
    let proof = Proof::parse(&read(&args.file, proof::MAX_BYTES)?)?;
    // One byte more for the line feed.
    let given = args.record.as_deref().map(|path| read(path, record::MAX_BYTES + 1)).transpose()?;
    let given = given.as_deref().map(|text| text.strip_suffix('\n').unwrap_or(text));
    proof.check(&args.key, given)?;
    let cosigned = |witness: &PublicKey| {
        if proof.checkpoint.signed_by(&[witness])?.is_empty() {
            return Err(VerifyProofFailure::NotWitnessed(witness.name().clone()));
        }
        let at = signed_at(&proof.checkpoint, witness);
        Ok((witness.clone(), at.ok_or_else(|| VerifyProofFailure::NotWitnessed(witness.name().clone()))?))
    };
    let witnesses = args.witness.iter().map(cosigned).collect::<Result<_, VerifyProofFailure>>()?;
    let record = given.or(proof.record.as_deref()).ok_or(ProofFault::NoRecord)?;
    describe(record, &proof, witnesses)
}

/// The record's attributes, whatever its type: one of a later version is proven as well.
fn describe(
    record: &str,
    proof: &Proof,
    witnesses: Vec<(PublicKey, Timestamp)>,
) -> Result<Proven, VerifyProofFailure> {
    let limits = ParseLimits { max_depth: MAX_DEPTH + 2 };
    let parsed = Json::parse(record.as_bytes(), &limits).map(|parsed| parsed.value);
    let Ok(Json::Object(object)) = parsed else { return Err(VerifyProofFailure::NoRecord) };
    let text = |name: &str| attribute(&object, name).ok_or(VerifyProofFailure::NoRecord);
    let position = proof.index.saturating_add(1);
    let said = text("position")?;
    if said != position.to_string() {
        return Err(VerifyProofFailure::Misplaced { said, found: position });
    }
    let Checkpoint { origin, size, root, .. } = &proof.checkpoint;
    Ok(Proven {
        vtid: text("subject")?,
        version: text("streamversion")?,
        kind: text("type")?,
        position,
        time: text("time")?,
        actor: [text("actor")?, text("actorrole")?],
        tenant: text("tenant")?,
        tree: (origin.clone(), *size, root.to_string()),
        witnesses,
    })
}

fn attribute(record: &Object, name: &str) -> Option<String> {
    match record.get(name) {
        Some(Json::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// When a witness signed, by its line.
fn signed_at(checkpoint: &Checkpoint, witness: &PublicKey) -> Option<Timestamp> {
    let (_, lines) = checkpoint.note.rsplit_once("\n\n")?;
    let id = signed_note::Verifier::key_id(witness).to_be_bytes();
    let of_line = |line: &str| {
        let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
        let signature = STANDARD.decode(signature).ok()?;
        let (by, rest) = signature.split_first_chunk::<4>()?;
        let (seconds, _) = rest.split_first_chunk::<8>()?;
        let is_its = name == witness.name().as_str() && *by == id;
        let seconds = i64::try_from(u64::from_be_bytes(*seconds)).ok().filter(|_| is_its)?;
        Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
    };
    lines.lines().find_map(of_line)
}

impl Proven {
    fn json(&self) -> serde_json::Value {
        let (origin, size, root) = &self.tree;
        let [actor, role] = &self.actor;
        let witness =
            |(key, at): &(PublicKey, Timestamp)| json!({"name": key.name().as_str(), "time": at.to_string()});
        json!({
            "proven": true,
            "vtid": self.vtid, "version": self.version, "type": self.kind, "position": self.position,
            "time": self.time, "actor": actor, "actor_role": role, "tenant": self.tenant,
            "origin": origin, "size": size, "root": root,
            "witnesses": self.witnesses.iter().map(witness).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, size, root) = &self.tree;
        let [actor, role] = &self.actor;
        writeln!(
            f,
            "proven: {} version {} is in the ledger, at position {}",
            self.vtid, self.version, self.position
        )?;
        writeln!(f, "  event    {} of tenant {}", self.kind, self.tenant)?;
        writeln!(f, "  time     {}", self.time)?;
        // A name may have characters that a terminal acts on.
        writeln!(f, "  actor    {} ({role})", actor.escape_debug())?;
        writeln!(f, "  sealed   in the tree of {size} events of {origin}")?;
        writeln!(f, "  root     {root}")?;
        self.witnesses.iter().try_for_each(|(key, at)| writeln!(f, "  witness  {} at {at}", key.name()))
    }
}

fn read(path: &Path, bytes_max: usize) -> Result<String, VerifyProofFailure> {
    let read = || {
        let mut text = String::new();
        // Longer ones are refused for what they are by whoever reads them.
        File::open(path)?.take(bytes_max as u64 + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| VerifyProofFailure::File { path: path.to_owned(), error })
}

pub(super) fn parse_log_key(text: &str) -> Result<PublicKey, String> {
    parse_key(text, KeyKind::Log).map_err(|error| format!("a ledger's verifier key: {error}"))
}

fn parse_witness_key(text: &str) -> Result<PublicKey, String> {
    parse_key(text, KeyKind::Witness).map_err(|error| format!("a witness's verifier key: {error}"))
}

fn parse_key(text: &str, kind: KeyKind) -> Result<PublicKey, String> {
    let key = PublicKey::parse(text.trim()).map_err(|error| error.to_string())?;
    if key.kind() == kind { Ok(key) } else { Err("it is of the other kind".to_owned()) }
}
