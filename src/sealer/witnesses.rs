//! Asks witnesses to sign each checkpoint too, beside the sealing: a slow one holds up nothing. What they say of the past is
//! reason to look at it again, and is looked at whenever the past is.

use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use tokio::time::{sleep, timeout};

use super::past::Outside;
use super::reader::{AuditFailure, prove};
use super::status::Finding;
use super::table::{self, Stored};
use super::{Parts, Shared};
use crate::domain::position::Position;
use crate::log::pool::Pool;
use crate::tlog::Hash;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::KeyName;
use crate::tlog::tile::Ask;
use crate::witness::client::{AskError, Cosignature, WitnessClient};

/// How long witnesses are waited for where the past is looked at.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after a witness did not sign.
const RETRY: Duration = Duration::from_secs(5);

/// What witnesses say of the past.
#[derive(Default)]
pub(super) struct Witnessed {
    /// What they have seen.
    pub(super) outside: Vec<Outside>,
    /// What does not fit.
    pub(super) finding: Option<Finding>,
}

/// What one of them said.
enum Said {
    /// It signed.
    Signed,
    /// It has signed a tree of so many events already.
    Ahead(u64),
    /// The past is not the one that it knows.
    Misfit(String),
    /// Nothing that counts.
    Nothing(String),
}

/// Asks each of them, after each checkpoint that this process signs.
pub(super) async fn ask_on(parts: &Parts, shared: &Shared) -> Infallible {
    let mut asked = Vec::with_capacity(parts.witnesses.len());
    for witness in &parts.witnesses {
        asked.push(keep_asking(parts, shared, witness));
    }
    join_all(asked).await;
    std::future::pending().await
}

async fn keep_asking(parts: &Parts, shared: &Shared, witness: &WitnessClient) -> Infallible {
    let (mut sealed, mut signed) = (shared.sealed.subscribe(), Position::ZERO);
    let mut away = false;
    loop {
        let wanted = *sealed.borrow_and_update();
        if wanted > signed && parts.lease.is_held() {
            let told = match newest(parts).await {
                Ok(Some(newest)) => match ask(parts, witness, &newest, signed).await {
                    Said::Signed => {
                        signed = newest.size;
                        None
                    }
                    Said::Ahead(_) => {
                        shared.doubt();
                        Some("it has signed a larger tree".to_owned())
                    }
                    Said::Misfit(what) => {
                        shared.doubt();
                        Some(what)
                    }
                    Said::Nothing(why) => Some(why),
                },
                Ok(None) => None,
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = told {
                if !away {
                    tracing::warn!(witness = %witness.key().name(), why, "a witness does not sign; it is asked again");
                }
                away = true;
                sleep(RETRY).await;
                continue;
            }
            away = false;
        }
        if *sealed.borrow() <= signed || !parts.lease.is_held() {
            // The sender is not gone as long as this runs.
            let _ = sealed.changed().await;
        }
    }
}

async fn newest(parts: &Parts) -> Result<Option<Stored>, sqlx::Error> {
    table::newest(&mut *parts.log.pool().acquire().await?, parts.keys.origin()).await
}

/// What all of them say of the newest checkpoint; one that does not answer in time says nothing.
pub(super) async fn ask_all(parts: &Parts, newest: &Stored) -> Witnessed {
    let mut asked = Vec::with_capacity(parts.witnesses.len());
    for witness in &parts.witnesses {
        asked.push(timeout(LOOK_TIMEOUT, ask(parts, witness, newest, newest.size)));
    }
    let mut witnessed = Witnessed::default();
    for (witness, said) in parts.witnesses.iter().zip(join_all(asked).await) {
        let whose = format!("the witness {}", witness.key().name());
        match said {
            Ok(Said::Ahead(size)) => witnessed.outside.push(Outside { whose, size, root: None }),
            Ok(Said::Misfit(what)) => {
                let what = format!("{whose}: {what}");
                witnessed.finding = Some(Finding { first: Position::new(1), last: newest.size, what });
            }
            Ok(Said::Signed) => {}
            Ok(Said::Nothing(why)) => tracing::warn!(whose, why, "the past is not held against it"),
            Err(_) => tracing::warn!(whose, "the past is not held against it: no answer in time"),
        }
    }
    witnessed
}

async fn ask(parts: &Parts, witness: &WitnessClient, newest: &Stored, old: Position) -> Said {
    let checkpoint = match Checkpoint::parse(newest.note.as_bytes()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Said::Nothing(error.to_string()),
    };
    let size = checkpoint.size;
    let (pool, origin) = (parts.log.pool().clone(), parts.keys.origin().clone());
    let proof = move |old: u64| goes_on(pool.clone(), origin.clone(), old, size);
    let cosignature = match witness.add_checkpoint(&checkpoint, old.get(), proof).await {
        Ok(cosignature) => cosignature,
        Err(AskError::Ahead { size }) => return Said::Ahead(size),
        Err(AskError::Fork { size }) => {
            return Said::Misfit(format!("it has signed another tree of {size} events"));
        }
        Err(AskError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, .. }) => {
            return Said::Misfit(
                "the sealed events do not go on where those ended that it signed".to_owned(),
            );
        }
        Err(error) => return Said::Nothing(error.to_string()),
    };
    match keep(parts, newest.size, &cosignature).await {
        Ok(()) => Said::Signed,
        Err(error) => Said::Nothing(format!("its signature can't be kept: {error}")),
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
