//! An auditor who reads the log along, by a cursor, and folds it from the records alone: what the rows of the log and the
//! read table say must be what comes out.

use std::collections::BTreeMap;

use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::head::Head;

use super::world::World;
use crate::simulation::database::Epoch;
use crate::simulation::faults::Fault;
use crate::simulation::log_model::Row;
use crate::simulation::promises::Promise;

/// Events of one page at most.
const PAGE: usize = 5;

pub(super) struct Auditor {
    /// The last event, with what follows from it for the next.
    head: Head,
    tasks: BTreeMap<Vtid, Task>,
    /// The database that was read last.
    epoch: Epoch,
}

impl Auditor {
    pub(super) fn new() -> Self {
        Self { head: Head::empty(), tasks: BTreeMap::new(), epoch: 0 }
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.head.cursor
    }

    fn read(&mut self, row: &Row) -> Promise {
        let event = row.event();
        let number = { self.head.numbering }.give_out(event.recorded_at);
        if event.position != self.cursor().position().next() {
            return Err(format!("event {} follows on {}", event.position, self.cursor().position()));
        }
        if event.version.get() == 1 && event.vtid != number {
            return Err(format!("an auditor finds {} where {number} is the next number", event.vtid));
        }
        let task = evolve(self.tasks.remove(&event.vtid), event)
            .map_err(|error| format!("an auditor can't fold event {}: {error}", event.position))?;
        if task != *row.after {
            return Err(format!("an auditor folds event {} to something else", event.position));
        }
        self.tasks.insert(task.vtid, task);
        self.head.advance(event);
        Ok(())
    }
}

impl World {
    /// The auditor reads a page; where the log lost what it had read, it must have been told, and begins again.
    pub(super) fn audit(&mut self) -> Promise {
        if self.database_is_away() {
            return Ok(());
        }
        let (log, auditor) = (&self.database.log, &mut self.auditor);
        let Some(page) = log.after(auditor.cursor(), PAGE) else {
            if self.database.epoch == auditor.epoch {
                return Err("an auditor is told of another past, and nothing was lost".to_owned());
            }
            self.auditor = Auditor::new();
            self.fire(Fault::AuditorBeganAgain);
            return Ok(());
        };
        page.iter().try_for_each(|row| auditor.read(row))?;
        auditor.epoch = self.database.epoch;
        self.compare_with_table()
    }

    fn compare_with_table(&mut self) -> Promise {
        if self.database.cursor != self.auditor.cursor() || self.database.cursor == Cursor::Start {
            return Ok(());
        }
        let rows = self.database.rows.iter().map(|(vtid, task)| (vtid, &**task));
        if !rows.eq(&self.auditor.tasks) {
            return Err("the read table is not what an auditor folds".to_owned());
        }
        self.fire(Fault::TableAudited);
        Ok(())
    }
}
