//! What witnesses say of a checkpoint, and so of the past: they are asked whenever that is looked at.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use tokio::time::timeout;

use super::outside::Outside;
use super::reader::{AuditFailure, prove};
use super::status::Finding;
use super::table::{self, Stored};
use super::{Parts, Shared};
use crate::domain::position::Position;
use crate::log::pool::Pool;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::KeyName;
use crate::tlog::tile::Ask;
use crate::tlog::{EMPTY, Hash};
use crate::witness::client::{AskError, Cosignature, WitnessClient};

/// How long witnesses are waited for where the past is looked at: longer than a client takes, which may ask twice.
const LOOK_TIMEOUT: Duration = Duration::from_secs(11);

/// What witnesses say of the past.
#[derive(Default)]
pub(super) struct Witnessed {
    /// What they have seen.
    pub(super) outside: Vec<Outside>,
    /// What does not fit.
    pub(super) finding: Option<Finding>,
}

/// What one of them said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// It signed.
    Signed,
    /// It has signed a tree of so many events already.
    Ahead(u64),
    /// The past is not the one that it knows.
    Misfit(String),
    /// Nothing that counts.
    Nothing(String),
}

/// What each of them, by its place in the list, said last of a past that is not this one, or of more than is on record: so
/// until it says otherwise, not only until it goes quiet.
#[derive(Default)]
pub(super) struct Heard(Mutex<BTreeMap<usize, Said>>);

impl Heard {
    /// What is to be made of an answer.
    pub(super) fn take(&self, place: usize, said: Said) -> Said {
        // Each change is one call: a panic leaves it right.
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Said::Nothing(why) => heard.get(&place).cloned().unwrap_or(Said::Nothing(why)),
            Said::Signed => {
                heard.remove(&place);
                Said::Signed
            }
            said => {
                heard.insert(place, said.clone());
                said
            }
        }
    }
}

/// What all of them say of the newest checkpoint or, where nothing is on record, of a tree of no events: whoever has signed
/// more says so. Of one that does not answer in time, what it said last counts, or else what was last `told` of it.
pub(super) async fn ask_all(
    parts: &Parts,
    shared: &Shared,
    newest: Option<&Stored>,
    told: &[Finding],
) -> Witnessed {
    let mut asked = Vec::with_capacity(parts.witnesses.len());
    for place in 0..parts.witnesses.len() {
        asked.push(timeout(LOOK_TIMEOUT, async move {
            match newest {
                Some(newest) => ask(parts, place, newest, newest.size).await,
                None => ask_of_nothing(parts, &parts.witnesses[place]).await,
            }
        }));
    }
    let mut witnessed = Witnessed::default();
    for (place, answer) in join_all(asked).await.into_iter().enumerate() {
        let whose = whose(parts, place);
        let answer = answer.unwrap_or_else(|_| Said::Nothing("no answer in time".to_owned()));
        if let Said::Nothing(why) = &answer {
            tracing::warn!(whose, why, "the past is not held against it");
        }
        let said = match shared.heard.take(place, answer) {
            Said::Nothing(_) => match told.iter().find_map(|finding| remembered(&whose, finding)) {
                Some(said) => shared.heard.take(place, said),
                None => continue,
            },
            said => said,
        };
        match said {
            Said::Ahead(size) => witnessed.outside.push(Outside { whose, size, root: None }),
            Said::Misfit(what) => {
                let last = newest.map_or(Position::new(1), |newest| newest.size);
                let what = format!("{whose} {what}");
                witnessed.finding = Some(Finding { first: Position::new(1), last, what });
            }
            Said::Signed | Said::Nothing(_) => {}
        }
    }
    witnessed
}

/// One of them, for people. With the log's name, so that what is told of it counts for no other log.
fn whose(parts: &Parts, place: usize) -> String {
    format!("the witness {} of {}", parts.witnesses[place].key().name(), parts.keys.origin())
}

/// What it had said, as a finding tells it that was made of that.
fn remembered(whose: &str, finding: &Finding) -> Option<Said> {
    let what = finding.what.strip_prefix(whose)?.strip_prefix(' ')?;
    let is_ahead = what.starts_with("has a checkpoint of ");
    Some(if is_ahead { Said::Ahead(finding.last.get()) } else { Said::Misfit(what.to_owned()) })
}

/// Asks the witness at a place of the list to sign a checkpoint, and keeps its signature. `old` is the size that it is thought
/// to have signed last.
pub(super) async fn ask(parts: &Parts, place: usize, newest: &Stored, old: Position) -> Said {
    let checkpoint = match Checkpoint::parse(newest.note.as_bytes()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Said::Nothing(error.to_string()),
    };
    let size = checkpoint.size;
    let (pool, origin) = (parts.log.pool().clone(), parts.keys.origin().clone());
    let proof = move |old: u64| goes_on(pool.clone(), origin.clone(), old, size);
    match parts.witnesses[place].add_checkpoint(&checkpoint, old.get(), proof).await {
        Ok(cosignature) => match keep(parts, newest.size, &cosignature).await {
            Ok(()) => Said::Signed,
            Err(error) => Said::Nothing(format!("its signature can't be kept: {error}")),
        },
        Err(error) => refused(error),
    }
}

/// Nothing was sealed, as far as is on record. That a tree begins empty is all that is signed here: of every past.
async fn ask_of_nothing(parts: &Parts, witness: &WitnessClient) -> Said {
    let checkpoint = match Checkpoint::sign(parts.keys.origin(), 0, EMPTY, parts.keys.secrets()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Said::Nothing(error.to_string()),
    };
    // It is asked for nothing else, whatever it says.
    let no_proof = async |_| Ok::<_, Infallible>(Vec::new());
    match witness.add_checkpoint(&checkpoint, 0, no_proof).await {
        Ok(_) => Said::Signed,
        Err(error) => refused(error),
    }
}

fn refused<E: Display>(error: AskError<E>) -> Said {
    match error {
        AskError::Ahead { size } => Said::Ahead(size),
        AskError::Fork { size } => Said::Misfit(format!("has signed another tree of {size} events")),
        AskError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, .. } => {
            let what = "says that the sealed events do not go on where those ended that it signed";
            Said::Misfit(what.to_owned())
        }
        error => Said::Nothing(error.to_string()),
    }
}

async fn goes_on(pool: Pool, origin: KeyName, old: u64, size: u64) -> Result<Vec<Hash>, AuditFailure> {
    prove(&mut *pool.acquire().await?, &origin, size, Ask::Consistency { size, old }).await
}

async fn keep(parts: &Parts, size: Position, cosignature: &Cosignature) -> Result<(), sqlx::Error> {
    let mut connection = parts.log.pool().acquire().await?;
    let Cosignature { witness, line } = cosignature;
    table::keep_cosignature(&mut connection, parts.keys.origin(), size, witness, line).await
}
