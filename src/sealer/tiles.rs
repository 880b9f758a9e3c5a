//! The tree's tiles: full ones are rows; those at the right edge of a tree, of whatever size it had, follow from the records
//! and from the roots of the tiles below.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};

use super::table::hash;
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::tlog::Hash;
use crate::tlog::key::KeyName;
use crate::tlog::tile::{TileKey, Tiles};
use crate::tlog::tree::{FullTile, TILE_HEIGHT, TILE_WIDTH, Tree, edge_width, levels};

/// What became of tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// They are on record.
    Done,
    /// One is on record with other hashes: the records are not those that it was made of.
    Different,
    /// The log does not hold the last event that is in them: it lost history.
    OtherPast,
}

/// Keeps full tiles, which may be there already, if the log holds `last`, an event that is in them or after them.
///
/// # Errors
/// Whatever the driver says; they may have gone in nevertheless.
pub async fn keep(
    connection: &mut PgConnection,
    origin: &KeyName,
    last: Cursor,
    tiles: &[FullTile],
) -> Result<Kept, sqlx::Error> {
    if tiles.is_empty() {
        return Ok(Kept::Done);
    }
    let said = sqlx::query_scalar::<_, String>("select ledger.keep_tiles($1, $2, $3, $4, $5, $6, $7)")
        .bind(origin.as_str())
        .bind(last.position().to_i64())
        .bind(last.id())
        .bind(tiles.iter().map(|tile| i16::from(tile.level)).collect::<Vec<_>>())
        .bind(tiles.iter().map(|tile| signed(tile.number)).collect::<Vec<_>>())
        .bind(tiles.iter().map(|tile| tile.root.0.as_slice()).collect::<Vec<_>>())
        .bind(tiles.iter().map(|tile| tile.hashes.as_slice()).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    match said.as_str() {
        "kept" => Ok(Kept::Done),
        "different" => Ok(Kept::Different),
        "log" => Ok(Kept::OtherPast),
        other => Err(sqlx::Error::Decode(format!("ledger.keep_tiles said {other:?}").into())),
    }
}

/// The tiles of the tree of `size`, as far as they are there: one that is missing is left out.
///
/// # Errors
/// Whatever the driver says.
pub async fn read(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: u64,
    keys: &BTreeSet<TileKey>,
) -> Result<Tiles, sqlx::Error> {
    let (full, edge): (Vec<TileKey>, Vec<TileKey>) =
        keys.iter().partition(|key| width(size, **key) == TILE_WIDTH);
    let mut tiles = read_full(connection, origin, &full).await?;
    for key in edge {
        let hashes = read_edge(connection, origin, size, key).await?;
        if !hashes.is_empty() {
            tiles.insert(key, hashes.iter().flat_map(|hash| hash.0).collect());
        }
    }
    Ok(tiles)
}

/// A tile as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTile {
    /// Its root.
    pub root: Vec<u8>,
    /// Its hashes.
    pub hashes: Vec<u8>,
}

/// The full tiles in one place of the trees of these logs, as far as they are there.
///
/// # Errors
/// Whatever the driver says.
pub async fn of_each(
    connection: &mut PgConnection,
    origins: &[&str],
    key: TileKey,
) -> Result<BTreeMap<String, StoredTile>, sqlx::Error> {
    let rows = sqlx::query(
        "select origin, root, hashes from ledger.tile where origin = any($1) and level = $2 and number = $3",
    )
    .bind(origins)
    .bind(i16::from(key.level))
    .bind(signed(key.number))
    .fetch_all(connection)
    .await?;
    let tile = |row: &sqlx::postgres::PgRow| {
        let stored = StoredTile { root: row.try_get("root")?, hashes: row.try_get("hashes")? };
        Ok((row.try_get("origin")?, stored))
    };
    rows.iter().map(tile).collect()
}

/// The tree of `size`, taken up from its edge; none where tiles or records are missing.
///
/// # Errors
/// Whatever the driver says.
pub async fn tree(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: u64,
) -> Result<Option<Tree>, sqlx::Error> {
    let mut edge = Vec::new();
    for level in 0..levels(size) {
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        let key = TileKey { level, number: last_tile(size, level) };
        edge.push(read_edge(connection, origin, size, key).await?);
    }
    Ok(Tree::from_edge(size, edge).ok())
}

/// How many hashes a tile has in a tree of `size`.
#[must_use]
pub fn width(size: u64, key: TileKey) -> usize {
    let last = last_tile(size, key.level);
    match key.number.cmp(&last) {
        std::cmp::Ordering::Less => TILE_WIDTH,
        // Below 256.
        std::cmp::Ordering::Equal => usize::try_from(edge_width(size, usize::from(key.level))).unwrap_or(0),
        std::cmp::Ordering::Greater => 0,
    }
}

/// The number of a level's tile that is not full.
fn last_tile(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(TILE_HEIGHT) * (u32::from(level) + 1)).unwrap_or(0)
}

async fn read_full(
    connection: &mut PgConnection,
    origin: &KeyName,
    keys: &[TileKey],
) -> Result<Tiles, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Tiles::new());
    }
    let rows = sqlx::query(
        "select t.level, t.number, t.hashes from unnest($2::smallint[], $3::bigint[]) wanted (level, number)
         cross join lateral (
             select level, number, hashes from ledger.tile
             where origin = $1 and tile.level = wanted.level and tile.number = wanted.number limit 1
         ) t",
    )
    .bind(origin.as_str())
    .bind(keys.iter().map(|key| i16::from(key.level)).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| signed(key.number)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let tile = |row: &sqlx::postgres::PgRow| {
        let level = u8::try_from(row.try_get::<i16, _>("level")?).unwrap_or(u8::MAX);
        let number = u64::try_from(row.try_get::<i64, _>("number")?).unwrap_or(u64::MAX);
        Ok((TileKey { level, number }, row.try_get("hashes")?))
    };
    rows.iter().map(tile).collect()
}

/// The hashes of a tile at the edge of a tree of `size`: fewer where something is missing.
async fn read_edge(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: u64,
    key: TileKey,
) -> Result<Vec<Hash>, sqlx::Error> {
    let first = key.number.saturating_mul(TILE_WIDTH as u64);
    let count = width(size, key) as u64;
    if count == 0 {
        return Ok(Vec::new());
    }
    let Some(below) = key.level.checked_sub(1) else {
        let (first, last) = (Position::new(first).next(), Position::new(first.saturating_add(count)));
        // As crate::tlog::leaf does, but without fetching the records.
        let leaves: Vec<Vec<u8>> = sqlx::query_scalar(
            r"select sha256('\x00'::bytea || convert_to(body, 'UTF8')) from ledger.event
             where position between $1 and $2 order by position",
        )
        .bind(first.to_i64())
        .bind(last.to_i64())
        .fetch_all(connection)
        .await?;
        return leaves.iter().map(|leaf| hash(leaf)).collect();
    };
    let roots: Vec<Vec<u8>> = sqlx::query_scalar(
        "select root from ledger.tile where origin = $1 and level = $2 and number >= $3 and number < $4 order by number",
    )
    .bind(origin.as_str())
    .bind(i16::from(below))
    .bind(signed(first))
    .bind(signed(first.saturating_add(count)))
    .fetch_all(connection)
    .await?;
    roots.iter().map(|root| hash(root)).collect()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
