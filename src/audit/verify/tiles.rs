//! The stored tiles of each log beside those that the records make. They tell which record was changed since it was sealed.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::report::Finding;
use super::walk::Walk;
use crate::audit::file::{KeyMark, LossMark};
use crate::domain::position::Position;
use crate::sealer::tiles::{StoredTile, of_each};
use crate::tlog::tile::TileKey;
use crate::tlog::tree::FullTile;

/// The tiles of all logs.
pub(super) struct Tiles(BTreeMap<String, Log>);

/// Those of one log.
struct Log {
    /// The first position of what was given up since it was sealed: its tiles may be of other events from there on.
    lost_from: Option<Position>,
    /// What is wrong only if a checkpoint that is right comes behind it: the first of so many.
    held: Option<(Finding, u64)>,
}

impl Tiles {
    /// Of these logs, which were sealed with these keys.
    pub(super) fn new(origins: Vec<String>, keys: &[KeyMark], losses: &[LossMark]) -> Self {
        let log = |origin: String| {
            let since = keys.iter().filter(|key| key.origin == origin).map(|key| key.first_used).min();
            let lost = losses.iter().filter(|loss| since.is_none_or(|since| since <= loss.accepted_at));
            let lost_from = lost.map(|loss| Position::new(loss.first_position)).min();
            (origin, Log { lost_from, held: None })
        };
        Self(origins.into_iter().map(log).collect())
    }

    /// Compares a tile that the records fill with the stored ones in its place.
    pub(super) async fn compare(
        &mut self,
        connection: &mut PgConnection,
        walk: &mut Walk,
        full: &FullTile,
    ) -> Result<(), sqlx::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let origins: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let key = TileKey { level: full.level, number: full.number };
        let mut stored = of_each(connection, &origins, key).await?;
        for (origin, log) in &mut self.0 {
            let (finding, is_missing) = match stored.remove(origin) {
                Some(stored) => {
                    walk.tree_looked_at(1);
                    let Some(finding) = different(full, &stored) else { continue };
                    (finding, false)
                }
                None => (finding(full, None, format!("a full tile of the log {origin} is missing")), true),
            };
            let ends = finding.up_to.or(finding.position);
            if is_missing || log.lost_from.is_some_and(|lost| ends >= Some(lost)) {
                log.held.get_or_insert((finding, 0)).1 += 1;
            } else {
                walk.tree_wrong(finding, 1);
            }
        }
        Ok(())
    }

    /// A checkpoint of a log is right: so all the tiles below it should be there, and be right.
    pub(super) fn sealed(&mut self, walk: &mut Walk, origin: &str) {
        if let Some((finding, count)) = self.0.get_mut(origin).and_then(|log| log.held.take()) {
            walk.tree_wrong(finding, count);
        }
    }
}

/// How a stored tile differs from what the records make.
fn different(full: &FullTile, stored: &StoredTile) -> Option<Finding> {
    let mut hashes = full.hashes.chunks(32).zip(stored.hashes.chunks(32));
    if let Some(index) = hashes.position(|(own, said)| own != said) {
        return Some(finding(
            full,
            Some(index as u64),
            "its bytes are not those that were sealed".to_owned(),
        ));
    }
    let same = stored.hashes == full.hashes && stored.root == full.root.0;
    (!same).then(|| finding(full, None, "the root of a stored tile is not that of its hashes".to_owned()))
}

/// About one hash of a tile, or all of it.
fn finding(full: &FullTile, index: Option<u64>, what: String) -> Finding {
    // A hash of this level stands for so many records.
    let each = 1u64 << (8 * u32::from(full.level).min(6));
    let (before, count) = match index {
        Some(index) => ((full.number * 256 + index) * each, each),
        None => (full.number * 256 * each, 256 * each),
    };
    let (first, last) = (Position::new(before).next(), Position::new(before).plus(count));
    Finding { position: Some(first), up_to: (first < last).then_some(last), line: None, what }
}
