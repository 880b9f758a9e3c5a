//! The tasks as they stood at some point: the fold of the whole log up to there, from the database or from a file. Keeps
//! every task's state in memory, as large as its row or so.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;

use super::error::AuditError;
use super::file::{ExportReader, FileFault, Line};
use crate::domain::evolve::evolve;
use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::domain::task::Task;
use crate::domain::time::{GivenTime, Timestamp};
use crate::domain::vtid::Vtid;
use crate::log::connect::connect;
use crate::log::pages::{bodies, last};
use crate::log::read::ReadError;
use crate::log::search::position_at;
use crate::log::servers::Servers;

/// Up to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Point {
    /// All of it.
    #[default]
    End,
    /// Up to and with a position.
    Position(Position),
    /// Up to and with a time.
    Time(Timestamp),
}

impl std::str::FromStr for Point {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(position) = text.parse::<u64>() {
            return Ok(Self::Position(Position::new(position)));
        }
        let time = GivenTime::parse(text);
        time.map(|time| Self::Time(time.cut()))
            .map_err(|_| "must be a position, or a time such as 2026-11-28T09:30:00Z")
    }
}

/// The tasks at a point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// The last event that is folded.
    pub to: Position,
    /// Each task's state, in the order of their numbers.
    pub tasks: BTreeMap<Vtid, Task>,
}

impl Replayed {
    fn fold(&mut self, recorded: &Recorded) -> Result<(), AuditError> {
        let event = &recorded.event;
        let task = evolve(self.tasks.remove(&event.vtid), event)?;
        self.tasks.insert(event.vtid, task);
        self.to = event.position;
        Ok(())
    }
}

/// Folds the log of a database. Tells `progress` how many events are done, and of how many.
///
/// # Errors
/// [`AuditError`]
pub async fn replay(
    servers: &Servers,
    point: Point,
    mut progress: impl FnMut(u64, u64),
) -> Result<Replayed, AuditError> {
    let mut connection = connect(servers).await?;
    let head = last(&mut connection).await?.position();
    let to = match point {
        Point::End => head,
        Point::Position(position) if position > head => return Err(AuditError::BeyondTheEnd(head)),
        Point::Position(position) => position,
        Point::Time(time) => position_at(&mut connection, time, head).await?,
    };
    let mut replayed = Replayed::default();
    while replayed.to < to {
        let page = bodies(&mut connection, replayed.to, to).await?;
        if page.is_empty() {
            return Err(AuditError::Gap(replayed.to.next()));
        }
        for (position, body) in page {
            if position != replayed.to.next() {
                return Err(AuditError::Gap(replayed.to.next()));
            }
            let recorded = Recorded::parse(body).map_err(|error| ReadError::Record { position, error })?;
            if recorded.event.position != position {
                return Err(ReadError::Damaged(position).into());
            }
            replayed.fold(&recorded)?;
        }
        progress(replayed.to.get(), to.get());
    }
    Ok(replayed)
}

/// Folds the log of an export.
///
/// # Errors
/// [`AuditError`]
pub fn replay_file(
    source: impl BufRead,
    point: Point,
    mut progress: impl FnMut(u64, u64),
) -> Result<Replayed, AuditError> {
    let mut reader = ExportReader::open(source)?;
    let events = reader.header().events;
    let mut replayed = Replayed::default();
    while let Some(line) = reader.next_line()? {
        let Line::Record(record) = line else { continue };
        let parsed = parse(record);
        let position = replayed.to.next();
        let (number, at) = (reader.records(), reader.line());
        let recorded = parsed.map_err(|error| FileFault::Record { position: number, error }.at(at))?;
        let beyond = match point {
            Point::End => false,
            Point::Position(to) => position > to,
            Point::Time(time) => recorded.event.recorded_at > time,
        };
        if beyond {
            return Ok(replayed);
        }
        if recorded.event.position != position {
            return Err(FileFault::Misplaced("this record").at(at).into());
        }
        replayed.fold(&recorded)?;
        progress(replayed.to.get(), events);
    }
    match point {
        Point::Position(to) if to > replayed.to => Err(AuditError::BeyondTheEnd(replayed.to)),
        _ => Ok(replayed),
    }
}

fn parse(record: &[u8]) -> Result<Recorded, crate::domain::record::RecordError> {
    let text = str::from_utf8(record).map_err(|_| crate::domain::record::RecordError::NotAnObject)?;
    Recorded::parse(Arc::from(text))
}
