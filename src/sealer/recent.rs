//! Which of the last checkpoints a proof is made against: on a busy ledger the newest one is a second old, and its witnesses
//! have not signed it yet.

use sqlx::{PgConnection, Row};

use crate::domain::position::Position;
use crate::tlog::key::KeyName;

/// Checkpoints that are looked at: more than are signed in [`GRACE_SECONDS`].
const LOOKED_AT: i64 = 16;
/// How long witnesses have, before a newer checkpoint is taken without them.
const GRACE_SECONDS: f64 = 10.0;

/// A checkpoint, for the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    size: Position,
    witnesses: i64,
    /// It is so old that whatever came before it is out of the question.
    settled: bool,
}

/// The size of the checkpoint of at least `at_least` events that a proof had best be made against: the one with the most
/// witnesses among the last ten seconds', of several the newest. None where no checkpoint is so large.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn best_for_proofs(
    connection: &mut PgConnection,
    origin: &KeyName,
    at_least: Position,
) -> Result<Option<Position>, sqlx::Error> {
    let rows = sqlx::query(
        "select c.size, c.signed_at < clock_timestamp() - make_interval(secs => $3) as settled,
                (select count(*) from ledger.cosignature s where s.origin = c.origin and s.size = c.size) as witnesses
         from ledger.checkpoint c where c.origin = $1 and c.size >= $2 order by c.size desc limit $4",
    )
    .bind(origin.as_str())
    .bind(at_least.to_i64())
    .bind(GRACE_SECONDS)
    .bind(LOOKED_AT)
    .fetch_all(connection)
    .await?;
    let candidate = |row: &sqlx::postgres::PgRow| {
        Ok(Candidate {
            size: Position::from_i64(row.try_get("size")?),
            witnesses: row.try_get("witnesses")?,
            settled: row.try_get("settled")?,
        })
    };
    let newest_first: Vec<Candidate> = rows.iter().map(candidate).collect::<Result<_, sqlx::Error>>()?;
    Ok(best(&newest_first))
}

fn best(newest_first: &[Candidate]) -> Option<Position> {
    let last =
        newest_first.iter().position(|candidate| candidate.settled).map_or(newest_first.len(), |at| at + 1);
    // Of equal ones `max_by_key` takes the last.
    let in_time = newest_first[..last].iter().rev();
    in_time.max_by_key(|candidate| candidate.witnesses).map(|candidate| candidate.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn witnesses_have_ten_seconds() {
        let choose = |candidates: &[(u64, i64, bool)]| {
            let candidate = |(size, witnesses, settled): &(u64, i64, bool)| Candidate {
                size: Position::new(*size),
                witnesses: *witnesses,
                settled: *settled,
            };
            best(&candidates.iter().map(candidate).collect::<Vec<_>>()).map(Position::get)
        };
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[(9, 0, true), (8, 0, true)]), Some(9));
        assert_eq!(choose(&[(9, 0, false), (8, 0, false)]), Some(9));
        assert_eq!(choose(&[(9, 0, false), (8, 1, false), (7, 1, true)]), Some(8));
        assert_eq!(choose(&[(9, 0, false), (8, 1, false), (7, 2, true), (6, 3, true)]), Some(7));
        // The newest has stood so long that nobody will sign it any more.
        assert_eq!(choose(&[(9, 0, true), (8, 1, true)]), Some(9));
        assert_eq!(choose(&[(9, 2, false), (8, 2, false)]), Some(9));
    }
}
