//! Loading the states that a group of commands needs, as of one head, in one query each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::read::{ReadError, Row, recorded};
use crate::domain::evolve::evolve;
use crate::domain::origin::{Idempotency, IdempotencyKey, RequestHash};
use crate::domain::position::{Position, Version};
use crate::domain::row::parse_snapshot;
use crate::domain::task::Task;
use crate::domain::text::ActorId;
use crate::domain::vtid::Vtid;

/// How many versions lie between two snapshots.
pub const SNAPSHOT_EVERY: u64 = 64;

/// A caller's key, under which it may have been answered before.
pub type KeyOf = (ActorId, IdempotencyKey);

/// What a group of commands needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Wanted {
    /// Tasks whose state is needed.
    pub tasks: BTreeSet<Vtid>,
    /// Tasks that need only exist.
    pub parents: BTreeSet<Vtid>,
    /// Keys that may have been used before.
    pub keys: BTreeSet<KeyOf>,
}

impl Wanted {
    /// Whether nothing is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.parents.is_empty() && self.keys.is_empty()
    }
}

/// An earlier request under the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Earlier {
    /// What it asked for.
    pub hash: RequestHash,
    /// The task as it was after the request's last event.
    pub task: Arc<Task>,
}

/// What the log knew at the head; what is not in here did not exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Loaded {
    /// States as of the head.
    pub tasks: BTreeMap<Vtid, Arc<Task>>,
    /// Those of the wanted parents that exist.
    pub parents: BTreeSet<Vtid>,
    /// Requests that have gone in under one of the wanted keys.
    pub keys: BTreeMap<KeyOf, Earlier>,
    /// Wanted tasks whose stream can't be read: their commands fail, and theirs alone.
    pub unreadable: BTreeSet<Vtid>,
    /// Wanted keys whose earlier request can't be read: the commands under them fail, and they alone.
    pub unreadable_keys: BTreeSet<KeyOf>,
}

/// Loads what is wanted as of position `at`.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Damaged`] where a stream does not fold.
pub async fn load(connection: &mut PgConnection, wanted: &Wanted, at: Position) -> Result<Loaded, ReadError> {
    let mut loaded = Loaded::default();
    if !wanted.tasks.is_empty() {
        match load_tasks(connection, &wanted.tasks, at).await {
            Ok(tasks) => loaded.tasks = tasks,
            Err(ReadError::Database(error)) => return Err(ReadError::Database(error)),
            // One of them: find out which, so that its neighbours go on.
            Err(_) => load_one_by_one(connection, wanted, at, &mut loaded).await?,
        }
    }
    if !wanted.parents.is_empty() {
        loaded.parents = load_parents(connection, &wanted.parents, at).await?;
    }
    if !wanted.keys.is_empty() {
        load_keys(connection, &wanted.keys, at, &mut loaded).await?;
    }
    Ok(loaded)
}

async fn load_one_by_one(
    connection: &mut PgConnection,
    wanted: &Wanted,
    at: Position,
    loaded: &mut Loaded,
) -> Result<(), ReadError> {
    for vtid in &wanted.tasks {
        match load_tasks(connection, &BTreeSet::from([*vtid]), at).await {
            Ok(tasks) => loaded.tasks.extend(tasks),
            Err(ReadError::Database(error)) => return Err(ReadError::Database(error)),
            Err(error) => {
                tracing::error!(%vtid, %error, "a task's stream can't be read");
                loaded.unreadable.insert(*vtid);
            }
        }
    }
    Ok(())
}

/// The states of `vtids` as of position `at`, the log's end or not long before it: the newest snapshot that is not past it,
/// and the events since.
///
/// # Errors
/// [`ReadError`].
pub async fn load_tasks(
    connection: &mut PgConnection,
    vtids: &BTreeSet<Vtid>,
    at: Position,
) -> Result<BTreeMap<Vtid, Arc<Task>>, ReadError> {
    load_tasks_at(connection, vtids, at, false).await
}

/// The same of any position, however much came since.
///
/// # Errors
/// [`ReadError`].
pub async fn load_past_tasks(
    connection: &mut PgConnection,
    vtids: &BTreeSet<Vtid>,
    at: Position,
) -> Result<BTreeMap<Vtid, Arc<Task>>, ReadError> {
    load_tasks_at(connection, vtids, at, true).await
}

async fn load_tasks_at(
    connection: &mut PgConnection,
    vtids: &BTreeSet<Vtid>,
    at: Position,
    is_past: bool,
) -> Result<BTreeMap<Vtid, Arc<Task>>, ReadError> {
    let names: Vec<String> = vtids.iter().map(ToString::to_string).collect();
    let snapshots = sqlx::query(
        "select s.state from unnest($1::text[]) wanted (vtid)
         cross join lateral (
             select state from ledger.snapshot
             where snapshot.vtid = wanted.vtid and position <= $2 order by version desc limit 1
         ) s",
    )
    .bind(&names)
    .bind(at.to_i64())
    .fetch_all(&mut *connection)
    .await?;
    let mut tasks = BTreeMap::new();
    for row in snapshots {
        // A cache: one that another version wrote is passed over, and the stream folded from its start.
        match parse_snapshot(row.try_get("state")?) {
            Ok(task) => drop(tasks.insert(task.vtid, task)),
            Err(error) => tracing::debug!(%error, "a snapshot is passed over"),
        }
    }
    let versions: Vec<i64> = vtids
        .iter()
        .map(|vtid| tasks.get(vtid).map_or(Version::ZERO, |task| task.version).to_i64())
        .collect();
    // Row by row: a task's whole stream need not fit into memory. Of what came after a past position no more than up to the
    // next snapshot is looked through; what a snapshot says of itself is not believed without the log.
    let mut events = sqlx::query(
        "select e.position, e.event_id, e.body
         from unnest($1::text[], $2::bigint[]) wanted (vtid, version)
         cross join lateral (
             select coalesce(case when $4 then (
                 select s.version from ledger.snapshot s
                 join ledger.event past on past.vtid = s.vtid and past.version = s.version and past.position > $3
                 where s.vtid = wanted.vtid and s.version > wanted.version and s.position > $3
                 order by s.version limit 1
             ) end, 9223372036854775807) as version offset 0
         ) later
         cross join lateral (
             select position, event_id, body from ledger.event
             where event.vtid = wanted.vtid and version > wanted.version and version < later.version and position <= $3
             offset 0
         ) e
         order by e.position",
    )
    .bind(&names)
    .bind(versions)
    .bind(at.to_i64())
    .bind(is_past)
    .fetch(connection);
    while let Some(row) = events.try_next().await? {
        let row = &row;
        let event = recorded(Row::of(row)?, None)?.event;
        let task = evolve(tasks.remove(&event.vtid), &event).map_err(|error| {
            tracing::error!(%error, "a stream does not fold");
            ReadError::Damaged(event.position)
        })?;
        tasks.insert(event.vtid, task);
    }
    Ok(tasks.into_iter().map(|(vtid, task)| (vtid, Arc::new(task))).collect())
}

async fn load_parents(
    connection: &mut PgConnection,
    vtids: &BTreeSet<Vtid>,
    at: Position,
) -> Result<BTreeSet<Vtid>, ReadError> {
    let names: Vec<String> = vtids.iter().map(ToString::to_string).collect();
    let found: Vec<String> = sqlx::query_scalar(
        "select wanted.vtid from unnest($1::text[]) wanted (vtid)
         cross join lateral (
             select from ledger.event where event.vtid = wanted.vtid and version = 1 and position <= $2 limit 1
         ) e",
    )
    .bind(names)
    .bind(at.to_i64())
    .fetch_all(connection)
    .await?;
    Ok(vtids.iter().copied().filter(|vtid| found.contains(&vtid.to_string())).collect())
}

/// Adds the earlier requests under `keys`, each with the task as it was then.
async fn load_keys(
    connection: &mut PgConnection,
    keys: &BTreeSet<KeyOf>,
    at: Position,
    loaded: &mut Loaded,
) -> Result<(), ReadError> {
    let listed: Vec<&KeyOf> = keys.iter().collect();
    let rows = sqlx::query(
        "select wanted.place, e.position, e.event_id, e.body
         from unnest($1::text[], $2::text[]) with ordinality wanted (actor, key, place)
         cross join lateral (
             select position, event_id, body from ledger.event
             where event.actor = wanted.actor and idempotency_key = wanted.key and position <= $3 limit 1
         ) e",
    )
    .bind(listed.iter().map(|(actor, _)| actor.as_str()).collect::<Vec<_>>())
    .bind(listed.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>())
    .bind(at.to_i64())
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let place = usize::try_from(row.try_get::<i64, _>("place")?).unwrap_or_default();
        let Some(&key) = place.checked_sub(1).and_then(|index| listed.get(index)) else { continue };
        match load_earlier(connection, key, row).await {
            Ok(earlier) => drop(loaded.keys.insert(key.clone(), earlier)),
            Err(ReadError::Database(error)) => return Err(ReadError::Database(error)),
            Err(error) => {
                tracing::error!(%error, "the request under an idempotency key can't be read");
                loaded.unreadable_keys.insert(key.clone());
            }
        }
    }
    Ok(())
}

/// The request behind the event of `row`, which the log has under `key`.
async fn load_earlier(connection: &mut PgConnection, key: &KeyOf, row: &PgRow) -> Result<Earlier, ReadError> {
    let event = recorded(Row::of(row)?, None)?.event;
    let mut tasks = load_tasks(connection, &BTreeSet::from([event.vtid]), event.position).await?;
    let same = |idempotency: &Idempotency| event.origin.actor.id == key.0 && idempotency.key == key.1;
    match (tasks.remove(&event.vtid), &event.origin.idempotency) {
        (Some(task), Some(idempotency)) if same(idempotency) => Ok(Earlier { hash: idempotency.hash, task }),
        _ => Err(ReadError::Damaged(event.position)),
    }
}
