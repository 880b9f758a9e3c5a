//! The check of the past, before anything is sealed over it: by what is on record, in the audit stream, and with witnesses.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, timeout};

use super::leaves::misfit_within;
use super::outside::{Outside, unseen};
use super::past::{Past, known_keys, look};
use super::publish::Standing;
use super::session::{ANSWER_TIMEOUT, Fault};
use super::status::Finding;
use super::{Parts, Shared, table, witnesses};
use crate::domain::position::Position;
use crate::log::hold::{Losses, read_losses, read_past_hold};
use crate::tlog::key::PublicKey;

/// For so long the connection to NATS is waited for.
const NATS_PATIENCE: Duration = Duration::from_secs(2);

/// What came of it.
pub(super) struct Checked {
    pub(super) past: Past,
    /// What stood in the stream.
    pub(super) published: Option<Standing>,
    /// The losses that had been accepted when the log was looked at.
    pub(super) losses: Losses,
    /// How long the database took.
    pub(super) took: Duration,
}

/// The newest checkpoint's size, whoever signed it.
pub(super) async fn newest_size(
    connection: &mut PgConnection,
    parts: &Parts,
) -> Result<Position, sqlx::Error> {
    let newest = limited(table::newest(connection, parts.keys.origin())).await?;
    Ok(newest.map_or(Position::ZERO, |newest| newest.size))
}

/// Holds the past against whatever is known of it, here and outside; where it fits, puts this process's keys on record.
pub(super) async fn check(
    connection: &mut PgConnection,
    parts: &Parts,
    shared: &Shared,
) -> Result<Checked, Fault> {
    let origin = parts.keys.origin();
    let known = limited(known_keys(connection, &parts.keys)).await?;
    // Before the log: what was put in meanwhile is in the log then. Without the stream, what the database and the witnesses
    // can tell is looked at all the same.
    let (published, unpublished) = match published(parts, &known).await {
        Ok(published) => (published, None),
        Err(fault) => (Published::default(), Some(fault)),
    };
    let told: Vec<Finding> =
        [limited(held(connection)).await?, published.finding].into_iter().flatten().collect();
    let newest = limited(table::newest(connection, origin)).await?;
    let witnessed = witnesses::ask_all(parts, shared, newest.as_ref(), &told).await;
    let standing = published.newest;
    let outside = standing.map(|Standing { size, root }| Outside {
        whose: "the audit stream".to_owned(),
        size,
        root: Some(root),
    });
    let outside: Vec<Outside> = outside.into_iter().chain(witnessed.outside).collect();
    // First: what is found in the log afterwards was not given up by these.
    let losses = limited(read_losses(connection)).await?;
    let began = Instant::now();
    let past = look(connection, &parts.keys, &outside).await?;
    let checked = |past| Ok(Checked { past, published: standing, losses, took: began.elapsed() });
    let Past::Fits { tree, ahead, .. } = &past else { return checked(past) };
    let mut misfit = shared.walked.borrow().clone().or(witnessed.finding);
    // What was found by whoever looked at more: nobody lifts a hold without a look at its place.
    for Finding { first, last, .. } in told {
        if misfit.is_none() {
            misfit = misfit_within(connection, origin, tree.size(), (first, last)).await?;
        }
    }
    if let Some(finding) = misfit {
        return checked(Past::Misfit(finding));
    }
    if let Some(fault) = unpublished {
        return Err(fault);
    }
    if let Some(finding) = unseen(ahead, tree.size()) {
        return checked(Past::Misfit(finding));
    }
    for key in parts.keys.public() {
        limited(table::keep_key(connection, origin, &key)).await?;
    }
    checked(past)
}

/// What the sealers' own hold says, if it stands.
async fn held(connection: &mut PgConnection) -> Result<Option<Finding>, sqlx::Error> {
    Ok(read_past_hold(connection).await?.as_ref().map(Finding::of_hold))
}

/// What the audit stream has.
#[derive(Default)]
struct Published {
    newest: Option<Standing>,
    /// What was found last, if nothing was sealed since.
    finding: Option<Finding>,
}

/// What the audit stream has. Without it nothing is sealed: a database that was restored brings its older checkpoint with it,
/// so that only a copy outside tells, and what is signed over another past can't be taken back.
async fn published(parts: &Parts, known: &[PublicKey]) -> Result<Published, Fault> {
    let mut link = parts.link.clone();
    let connected = link.wait_for(|link| link.up);
    // The sender lives as long as the client: where NATS is away, the stream says so itself.
    let _ = timeout(NATS_PATIENCE, connected).await;
    let opened = parts.stream.open().await?;
    let finding = opened.finding(parts.keys.origin()).await?;
    let newest = opened.newest(&parts.keys, known).await?;
    Ok(Published { newest: newest.as_ref().map(Standing::of), finding })
}

async fn limited<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(ANSWER_TIMEOUT, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
