//! The log, folded: how every task stood after each of its events, and what of the log does not fit together.

use std::collections::BTreeMap;

use serde_json::Value;
use vtid_ledger::domain::event::EventData;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::numbering::Numbering;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::row::write_row;
use vtid_ledger::domain::task::Task;

use super::objection::Objection;

/// A task after one of its events.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) position: u64,
    pub(crate) version: u64,
    pub(crate) status: String,
    pub(crate) row: Value,
}

/// Every task's states, in order.
#[derive(Default)]
pub(crate) struct Folded {
    tasks: BTreeMap<String, Vec<State>>,
    /// In the order in which they were created.
    created: Vec<(u64, String)>,
}

/// A task's row as every endpoint shows it.
pub(crate) fn row_of(task: &Task) -> Value {
    let mut text = String::new();
    write_row(task, &mut text);
    serde_json::from_str(&text).unwrap()
}

impl Folded {
    /// Folds the log, and tells what is wrong with it as such.
    pub(crate) fn fold(log: &[Recorded], objections: &mut Vec<Objection>) -> Self {
        let (mut folded, mut tasks) = (Self::default(), BTreeMap::<_, Task>::new());
        let mut numbering = Numbering::after(None);
        let (mut expected, mut time) = (1, None);
        for Recorded { event, .. } in log {
            let position = event.position.get();
            if position != expected {
                objections.push(Objection::Gap(expected, position));
            }
            expected = position + 1;
            if time > Some(event.recorded_at) {
                objections.push(Objection::Time(position));
            }
            time = time.max(Some(event.recorded_at));
            if matches!(event.data, EventData::Created(_)) {
                folded.created.push((position, event.vtid.to_string()));
                let number = numbering.give_out(event.recorded_at);
                if number != event.vtid {
                    objections.push(Objection::Number(number.to_string(), event.vtid.to_string()));
                    numbering.observe(event.vtid);
                }
            }
            match evolve(tasks.remove(&event.vtid), event) {
                Ok(task) => {
                    folded.tasks.entry(event.vtid.to_string()).or_default().push(State {
                        position,
                        version: task.version.get(),
                        status: task.status.as_str().to_owned(),
                        row: row_of(&task),
                    });
                    tasks.insert(event.vtid, task);
                }
                Err(error) => objections.push(Objection::Misfit(position, error.to_string())),
            }
        }
        folded
    }

    /// Every task, as it stands at last.
    pub(crate) fn last(&self) -> impl Iterator<Item = (&String, &State)> {
        self.tasks.iter().filter_map(|(vtid, states)| Some((vtid, states.last()?)))
    }

    /// The rows of the tasks of that status, or of any, the newest first, when the log was `position` long.
    pub(crate) fn newest(&self, position: u64, status: Option<&str>) -> impl Iterator<Item = &Value> {
        let created = self.created.partition_point(|(at, _)| *at <= position);
        let newest_first =
            self.created[..created].iter().rev().filter_map(move |(_, vtid)| self.at(vtid, position));
        newest_first
            .filter(move |state| status.is_none_or(|status| state.status == status))
            .map(|state| &state.row)
    }

    /// A task's states.
    pub(crate) fn states(&self, vtid: &str) -> &[State] {
        self.tasks.get(vtid).map_or(&[], Vec::as_slice)
    }

    /// How a task stood when the log was `position` long.
    pub(crate) fn at(&self, vtid: &str, position: u64) -> Option<&State> {
        let states = self.states(vtid);
        let count = states.partition_point(|state| state.position <= position);
        states[..count].last()
    }
}
