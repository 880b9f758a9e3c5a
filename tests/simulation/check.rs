//! What the log and the answers must say together.

use std::collections::BTreeMap;

use vtid_ledger::domain::record::Recorded;
use vtid_ledger::writer::answer::WriteError;

use super::world::World;

impl World {
    /// What the log and the answers must say together.
    pub(super) fn check(&self) {
        let mut numbers: BTreeMap<u16, u64> = BTreeMap::new();
        for recorded in self.log.events.iter().filter(|r| r.event.version.get() == 1) {
            let vtid = recorded.event.vtid;
            let last = numbers.entry(vtid.year()).or_default();
            assert_eq!(vtid.number(), *last + 1, "numbers without a gap");
            *last += 1;
        }
        for (ticket, asked) in &self.asked {
            let request = ticket.to_string();
            let of_request = |r: &&Recorded| r.event.origin.request_id.as_str() == request;
            let events: Vec<_> = self.log.events.iter().filter(of_request).collect();
            let versions = events.len();
            assert!(versions <= 2, "request {ticket} went in twice");
            if versions == 2 {
                assert_eq!(events[0].event.vtid, events[1].event.vtid, "request {ticket} went in twice");
            }
            match &asked.answer {
                Some(Ok(accepted)) if !accepted.replayed => {
                    let there = events.last().is_some_and(|r| {
                        r.event.position == accepted.task.position && r.event.vtid == accepted.task.vtid
                    });
                    assert!(there || self.lost, "request {ticket} was acknowledged and is not in the log");
                    if there {
                        let folded = &self.log.tasks(accepted.task.position)[&accepted.task.vtid];
                        assert_eq!(*folded, accepted.task, "the answer is the fold");
                    }
                }
                Some(Ok(_) | Err(WriteError::OutcomeUnknown)) | None => {}
                Some(Err(error)) => {
                    assert_eq!(versions, 0, "request {ticket} was told {error:?} and is in the log");
                }
            }
        }
    }
}
