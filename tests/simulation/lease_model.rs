//! A lease's newest row, and what `PostgreSQL`'s two functions do with it.

use vtid_ledger::leases::machine::{Input, Millis, Output};

/// As `ledger.lease` has it; `tests/leases.rs` holds the functions to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) holder: u32,
    pub(super) term: i64,
    pub(super) number: i64,
    /// By `PostgreSQL`'s clock.
    pub(super) until: i64,
}

/// What came of a question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    pub(super) answer: Input,
    /// Those who wait for the lease are notified.
    pub(super) freed: bool,
}

/// Serves a question at this moment of `PostgreSQL`'s clock.
pub(super) fn serve(
    lease: &mut Option<Row>,
    asker: u32,
    question: Output,
    moment: i64,
    lasts_ms: Millis,
) -> Served {
    let lasts = i64::try_from(lasts_ms).unwrap();
    match question {
        Output::GiveBack { attempt, number } => {
            let ours = lease.filter(|row| row.holder == asker && row.number == number && row.until > moment);
            if let Some(row) = ours {
                *lease = Some(Row { until: moment, number: number + 1, ..row });
            }
            Served { answer: Input::GivenBack { attempt }, freed: ours.is_some() }
        }
        Output::Keep { attempt } => {
            let mut row = lease.unwrap_or(Row { holder: asker, term: 0, number: 0, until: moment });
            if row.until <= moment {
                row = Row { holder: asker, term: row.term + 1, ..row };
            }
            if row.holder == asker || row.until > moment + lasts {
                (row.until, row.number) = (moment + lasts, row.number + 1);
            }
            *lease = Some(row);
            let left_ms = Millis::try_from(row.until - moment).unwrap();
            let answer = if row.holder == asker {
                Input::Kept { attempt, term: row.term, number: row.number, left_ms }
            } else {
                Input::Taken { attempt, left_ms }
            };
            Served { answer, freed: false }
        }
    }
}
