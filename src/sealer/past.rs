//! Whether the past that is about to be sealed over is the one that was sealed: held against the newest checkpoint on
//! record, and against what somebody outside has of this log.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::timeout;

use super::leaves::{leaves, misfit};
use super::outside::Outside;
use super::settings::AuditKeys;
use super::status::Finding;
use super::table::{self, Stored};
use super::tiles;
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::log::head::read_head;
use crate::log::lookup::event_id_at;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::PublicKey;
use crate::tlog::tile::TileKey;
use crate::tlog::tree::{TILE_HEIGHT, TILE_WIDTH, Tree, levels};

/// So many of the last leaves are looked at before anything is sealed; all others in the background.
const LEAVES: u64 = 1000;
/// Longer than any step takes.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// Records of a page.
const PAGE: u64 = 512;
/// Checkpoints of the lowest level's right edge at most: one for each leaf.
const EDGE_CHECKPOINTS: u32 = 256;
/// Levels of tiles at most: a tree of 2⁶³ leaves has no more.
const LEVELS_MAX: u8 = 8;

/// What came of a look at the past.
pub(super) enum Past {
    /// It is the one that was sealed.
    Fits {
        /// The last event that is sealed.
        sealed: Cursor,
        /// The tree up to there.
        tree: Tree,
        /// What is outside of larger trees, which fit too as far as they can be looked at: nothing smaller may be sealed.
        ahead: Vec<Outside>,
    },
    /// It is not.
    Misfit(Finding),
}

/// The keys that may have signed this log's older checkpoints: its present ones, and those on record. For the newest one only
/// those count that are given.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn known_keys(
    connection: &mut PgConnection,
    keys: &AuditKeys,
) -> Result<Vec<PublicKey>, sqlx::Error> {
    let recorded = table::keys(connection, keys.origin().as_str()).await?;
    let mut known = keys.public();
    for key in recorded.iter().filter_map(|text| PublicKey::parse(text).ok()) {
        if !known.contains(&key) {
            known.push(key);
        }
    }
    Ok(known)
}

/// Looks at the past: the newest checkpoint on record, the tree's right edge and its last leaves, and what is outside.
///
/// # Errors
/// Whatever the driver says, or a time-out.
pub(super) async fn look(
    connection: &mut PgConnection,
    keys: &AuditKeys,
    outside: &[Outside],
) -> Result<Past, sqlx::Error> {
    let newest = limited(table::newest(connection, keys.origin())).await?;
    let own = async {
        match &newest {
            Some(newest) => own(connection, keys, newest).await,
            None => Ok(Ok(Tree::new())),
        }
    };
    let tree = match limited(own).await? {
        Ok(tree) => tree,
        Err(finding) => return Ok(Past::Misfit(finding)),
    };
    if let Some(finding) = limited(kept_ahead(connection, keys, tree.size())).await? {
        return Ok(Past::Misfit(finding));
    }
    let sealed = newest.map_or(Cursor::Start, |newest| newest.last);
    for one in outside {
        if let Some(finding) = beside(connection, keys, &tree, one).await? {
            return Ok(Past::Misfit(finding));
        }
    }
    let ahead = outside.iter().filter(|one| one.size > tree.size()).cloned().collect();
    Ok(Past::Fits { sealed, tree, ahead })
}

async fn limited<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(STEP_TIMEOUT, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// The tree of the newest checkpoint, if all of it that is looked at is as it was sealed.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn own(
    connection: &mut PgConnection,
    keys: &AuditKeys,
    newest: &Stored,
) -> Result<Result<Tree, Finding>, sqlx::Error> {
    let size = newest.size.get();
    let at = |position: Position, what: &str| {
        Ok(Err(Finding { first: position, last: position, what: what.to_owned() }))
    };
    // A key that is merely on record may have been put there by whoever made this checkpoint.
    let signed = Checkpoint::open(newest.note.as_bytes(), &keys.public());
    if !signed.is_ok_and(|signed| signed.size == size && signed.root == newest.root) {
        return at(
            newest.size,
            "the newest checkpoint on record is signed by none of the keys that are given",
        );
    }
    if event_id_at(connection, newest.size).await? != newest.last.id() {
        return at(newest.size, "the log does not hold the event that was sealed last");
    }
    let full = size / TILE_WIDTH as u64;
    for number in size.saturating_sub(LEAVES) / TILE_WIDTH as u64..full {
        if let Some(finding) = misfit(connection, keys.origin(), TileKey { level: 0, number }).await? {
            return Ok(Err(finding));
        }
    }
    match tiles::tree(connection, keys.origin(), size).await? {
        Some(tree) if tree.root() == newest.root => Ok(Ok(tree)),
        _ => edge(connection, keys, size).await.map(Err),
    }
}

/// The tree's right edge does not give the root that was signed: where that comes from.
async fn edge(connection: &mut PgConnection, keys: &AuditKeys, size: u64) -> Result<Finding, sqlx::Error> {
    // The edge of a level is made of the roots of the level below that are not in a full tile above.
    for level in 0..u8::try_from(levels(size)).unwrap_or(LEVELS_MAX) {
        let shift = u32::from(TILE_HEIGHT) * (u32::from(level) + 1);
        let full = size.checked_shr(shift).unwrap_or(0);
        for number in full - full % TILE_WIDTH as u64..full {
            if let Some(finding) = misfit(connection, keys.origin(), TileKey { level, number }).await? {
                return Ok(finding);
            }
        }
    }
    let before = Position::new(size - size % TILE_WIDTH as u64);
    let (first, last) = narrowed(connection, keys, before, Position::new(size)).await?;
    let what = "the records of the tree's right edge, or what was sealed of them, are others".to_owned();
    Ok(Finding { first, last: last.max(first), what })
}

/// Between which positions the first wrong record is: after the last checkpoint that still fits, up to the next one.
async fn narrowed(
    connection: &mut PgConnection,
    keys: &AuditKeys,
    before: Position,
    size: Position,
) -> Result<(Position, Position), sqlx::Error> {
    let sealed = table::page(connection, keys.origin().as_str(), before, EDGE_CHECKPOINTS).await?;
    let (mut low, mut high) = (0, sealed.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let tree = tiles::tree(connection, keys.origin(), sealed[middle].size.get()).await?;
        if tree.is_some_and(|tree| tree.root() == sealed[middle].root) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let fits = low.checked_sub(1).map_or(before, |last| sealed[last].size);
    Ok((fits.next(), sealed.get(low).map_or(size, |wrong| wrong.size)))
}

/// Tiles that were put on record ahead of the next checkpoint are made of these records too.
async fn kept_ahead(
    connection: &mut PgConnection,
    keys: &AuditKeys,
    size: u64,
) -> Result<Option<Finding>, sqlx::Error> {
    for level in 0..LEVELS_MAX {
        let full = size.checked_shr(u32::from(TILE_HEIGHT) * (u32::from(level) + 1)).unwrap_or(0);
        let numbers: Vec<i64> = sqlx::query_scalar(
            "select number from ledger.tile where origin = $1 and level = $2 and number >= $3 order by number",
        )
        .bind(keys.origin().as_str())
        .bind(i16::from(level))
        .bind(Position::new(full).to_i64())
        .fetch_all(&mut *connection)
        .await?;
        if numbers.is_empty() {
            return Ok(None);
        }
        for number in numbers {
            let key = TileKey { level, number: Position::from_i64(number).get() };
            if let Some(finding) = misfit(connection, keys.origin(), key).await? {
                return Ok(Some(finding));
            }
        }
    }
    Ok(None)
}

/// Whether what somebody outside has is a checkpoint of this log too, whose tree up to the newest own checkpoint is `tree`.
async fn beside(
    connection: &mut PgConnection,
    keys: &AuditKeys,
    tree: &Tree,
    one: &Outside,
) -> Result<Option<Finding>, sqlx::Error> {
    if one.size > tree.size() {
        let head = limited(read_head(connection)).await?.cursor.position();
        if head.get() < one.size {
            return Ok(Some(one.fewer(head)));
        }
    }
    let Some(root) = one.root else { return Ok(None) };
    let then = if one.size <= tree.size() {
        limited(tiles::tree(connection, keys.origin(), one.size)).await?
    } else {
        grow(connection, tree.clone(), one.size).await?
    };
    if then.is_some_and(|tree| tree.root() == root) {
        return Ok(None);
    }
    Ok(Some(one.others()))
}

/// The tree of `size`, from a smaller one and the log; none where a record is missing.
async fn grow(connection: &mut PgConnection, mut tree: Tree, size: u64) -> Result<Option<Tree>, sqlx::Error> {
    while tree.size() < size {
        let (first, last) =
            (Position::new(tree.size()).next(), Position::new(size.min(tree.size().saturating_add(PAGE))));
        for leaf in limited(leaves(connection, first, last)).await? {
            let Some(leaf) = leaf else { return Ok(None) };
            tree.push(leaf);
        }
    }
    Ok(Some(tree))
}
