//! Tiles beside what they were made of: those of the lowest level beside the records, each other beside the tiles below.

use std::time::Duration;

use sqlx::{PgConnection, Row};
use tlog_tiles::{HASH_SIZE, Tile};
use tokio::time::timeout;

use super::status::Finding;
use super::table::hash;
use crate::domain::position::Position;
use crate::tlog::key::KeyName;
use crate::tlog::tile::TileKey;
use crate::tlog::tree::{TILE_HEIGHT, TILE_WIDTH, levels};
use crate::tlog::{Hash, leaf};

/// Tiles of a level that are compared at once: more than the 256 below any tile in which something was found.
const LEVEL_TILES_MAX: u64 = 512;
/// Longer than it takes to look at one.
const TILE_TIMEOUT: Duration = Duration::from_secs(10);

/// Compares a full tile that must be on record with what it was made of.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn misfit(
    connection: &mut PgConnection,
    origin: &KeyName,
    key: TileKey,
) -> Result<Option<Finding>, sqlx::Error> {
    let row =
        sqlx::query("select root, hashes from ledger.tile where origin = $1 and level = $2 and number = $3")
            .bind(origin.as_str())
            .bind(i16::from(key.level))
            .bind(Position::new(key.number).to_i64())
            .fetch_optional(&mut *connection)
            .await?;
    let (first, last) = positions(key);
    let found = |first, last, what: String| Ok(Some(Finding { first, last, what }));
    let TileKey { level, number } = key;
    let Some(row) = row else {
        return found(first, last, format!("the tree's tile {number} of level {level} is missing"));
    };
    let (root, kept): (Hash, Vec<u8>) = (hash(row.try_get("root")?)?, row.try_get("hashes")?);
    if Tile::subtree_hash(&kept) != root {
        return found(first, last, format!("the tree's tile {number} of level {level} has another root"));
    }
    let below = match level.checked_sub(1) {
        None => leaves(connection, first, last).await?,
        Some(below) => roots(connection, origin, below, number.saturating_mul(TILE_WIDTH as u64)).await?,
    };
    let wrong = kept.chunks_exact(HASH_SIZE).enumerate().find_map(|(index, kept)| {
        let there = below.get(index).copied().flatten();
        (there.is_none_or(|hash| hash.0 != *kept)).then_some((index, there.is_none()))
    });
    let Some((index, missing)) = wrong else { return Ok(None) };
    let index = index as u64;
    if level > 0 {
        let (first, last) =
            positions(TileKey { level: level - 1, number: number * TILE_WIDTH as u64 + index });
        let what = format!("the tree's tile {number} of level {level} is not made of the tiles below");
        return found(first, last, what);
    }
    let at = first.plus(index);
    let what = if missing { "there is no record" } else { "the record is another one" };
    found(at, at, what.to_owned())
}

/// Compares all full tiles of a tree of `size` that have to do with the events from `first` to `last`: of each level above the
/// lowest ones that have too many of them.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn misfit_within(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: u64,
    (first, last): (Position, Position),
) -> Result<Option<Finding>, sqlx::Error> {
    for key in tiles_within(size, first.get(), last.get()) {
        let looked = timeout(TILE_TIMEOUT, misfit(connection, origin, key)).await;
        if let Some(finding) = looked.unwrap_or(Err(sqlx::Error::PoolTimedOut))? {
            return Ok(Some(finding));
        }
    }
    Ok(None)
}

/// See [`misfit_within`].
fn tiles_within(size: u64, first: u64, last: u64) -> Vec<TileKey> {
    let mut keys = Vec::new();
    for level in 0..u8::try_from(levels(size)).unwrap_or(u8::MAX) {
        let shift = u32::from(TILE_HEIGHT) * (u32::from(level) + 1);
        let of = |position: u64| position.saturating_sub(1).checked_shr(shift).unwrap_or(0);
        let full = size.checked_shr(shift).unwrap_or(0);
        let numbers = of(first)..full.min(of(last.max(first)).saturating_add(1));
        if numbers.end.saturating_sub(numbers.start) <= LEVEL_TILES_MAX {
            keys.extend(numbers.map(|number| TileKey { level, number }));
        }
    }
    keys
}

/// The positions of the leaves below a tile.
fn positions(key: TileKey) -> (Position, Position) {
    let leaves = 1_u64.checked_shl(u32::from(TILE_HEIGHT) * (u32::from(key.level) + 1)).unwrap_or(u64::MAX);
    let before = key.number.saturating_mul(leaves);
    (Position::new(before.saturating_add(1)), Position::new(before.saturating_add(leaves)))
}

/// The leaves of the records from `first` to `last`, none where a record is missing.
pub(super) async fn leaves(
    connection: &mut PgConnection,
    first: Position,
    last: Position,
) -> Result<Vec<Option<Hash>>, sqlx::Error> {
    let rows = sqlx::query("select position, body from ledger.event where position between $1 and $2")
        .bind(first.to_i64())
        .bind(last.to_i64())
        .fetch_all(connection)
        .await?;
    let count = last.get().saturating_add(1).saturating_sub(first.get());
    let mut leaves = vec![None; usize::try_from(count).unwrap_or(usize::MAX)];
    for row in rows {
        let position = Position::from_i64(row.try_get("position")?);
        let index = usize::try_from(position.get().saturating_sub(first.get())).unwrap_or(usize::MAX);
        if let Some(place) = leaves.get_mut(index) {
            *place = Some(leaf(row.try_get("body")?));
        }
    }
    Ok(leaves)
}

/// The roots of a level's 256 tiles from the one of number `first` on, none where a tile is missing.
async fn roots(
    connection: &mut PgConnection,
    origin: &KeyName,
    level: u8,
    first: u64,
) -> Result<Vec<Option<Hash>>, sqlx::Error> {
    let rows = sqlx::query(
        "select number, root from ledger.tile where origin = $1 and level = $2 and number >= $3 and number < $4",
    )
    .bind(origin.as_str())
    .bind(i16::from(level))
    .bind(Position::new(first).to_i64())
    .bind(Position::new(first).plus(TILE_WIDTH as u64).to_i64())
    .fetch_all(connection)
    .await?;
    let mut roots = vec![None; TILE_WIDTH];
    for row in rows {
        let number = Position::from_i64(row.try_get("number")?).get();
        let index = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        if let Some(place) = roots.get_mut(index) {
            *place = Some(hash(row.try_get("root")?)?);
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_covers_its_leaves() {
        let of = |level, number| {
            let (first, last) = positions(TileKey { level, number });
            (first.get(), last.get())
        };
        assert_eq!(of(0, 0), (1, 256));
        assert_eq!(of(0, 3), (769, 1024));
        assert_eq!(of(1, 0), (1, 65_536));
        assert_eq!(of(1, 2), (131_073, 196_608));
    }

    #[test]
    fn what_was_found_is_looked_at_again() {
        let within = |size, first, last| {
            let keys = tiles_within(size, first, last);
            keys.iter().map(|key| (key.level, key.number)).collect::<Vec<_>>()
        };
        assert_eq!(within(255, 1, 255), []);
        assert_eq!(within(1_024, 5, 5), [(0, 0)]);
        assert_eq!(within(1_024, 257, 257), [(0, 1)]);
        assert_eq!(within(1_023, 256, 1_023), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(within(70_000, 5, 5), [(0, 0), (1, 0)]);
        // A missing tile of a level, and those that it was made of.
        let (first, last) = positions(TileKey { level: 1, number: 1 });
        let keys = within(200_000, first.get(), last.get());
        assert_eq!((keys.len(), keys[0], keys[255], keys[256]), (257, (0, 256), (0, 511), (1, 1)));
        // Of all events, those levels that are soon looked at.
        assert_eq!(within(200_000, 1, u64::MAX), [(1, 0), (1, 1), (1, 2)]);
        assert_eq!(within(0, 1, 9), []);
    }
}
