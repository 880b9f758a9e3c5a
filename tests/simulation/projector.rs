//! One projector as its shell runs it: the machine, what it asked for, and what the shell has in memory.

use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::projections::machine::{CursorMachine, Input, Output};

use super::cursor_world::Rows;

/// What the machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Load,
    Read {
        after: Cursor,
        max_events: u32,
    },
    Apply {
        from: Cursor,
        to: Cursor,
    },
    Hold(Cursor),
    Wait,
    /// Another leads: waits until it is to look again.
    Watch,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Projector {
    pub(super) machine: CursorMachine,
    pub(super) asked: Asked,
    /// What the writer of the same process handed over, without a gap; the log may have lost it.
    pub(super) tail: Vec<(Position, Uuid)>,
    pub(super) batch: Vec<(Position, Uuid)>,
    /// The states in memory.
    pub(super) folded: Rows,
    /// With a flaw only: the cursor has moved, and these rows are still to be written.
    pub(super) half: Option<Rows>,
}

impl Projector {
    pub(super) fn new() -> Self {
        let mut projector = Self {
            machine: CursorMachine::default(),
            asked: Asked::Wait,
            tail: Vec::new(),
            batch: Vec::new(),
            folded: Rows::new(),
            half: None,
        };
        projector.tell(Input::Started);
        projector
    }

    /// The machine gets its answer, and asks for one more thing.
    pub(super) fn tell(&mut self, input: Input) {
        let mut asked = None;
        for output in self.machine.handle(std::time::Duration::ZERO, input) {
            let question = match output {
                Output::Forget => {
                    self.folded.clear();
                    self.batch.clear();
                    continue;
                }
                Output::Load => Asked::Load,
                Output::Read { after, max_events } => Asked::Read { after, max_events },
                Output::Apply { from, to } => Asked::Apply { from, to },
                Output::Hold(cursor) => Asked::Hold(cursor),
                Output::Wait { .. } => Asked::Wait,
                Output::Watch => Asked::Watch,
            };
            assert_eq!(asked.replace(question), None, "one question at a time");
        }
        self.asked = asked.expect("there is always a question");
    }

    /// As the log's tail in memory takes it: a run without a gap.
    pub(super) fn hand_over(&mut self, position: Position, id: Uuid) {
        if self.tail.last().is_some_and(|(last, _)| last.next() != position) {
            self.tail.clear();
        }
        self.tail.push((position, id));
    }

    /// What follows on a cursor in memory, if that is there and bears the cursor's id.
    pub(super) fn handed_over(&self, after: Cursor) -> Vec<(Position, Uuid)> {
        let skip = match after {
            Cursor::Start => self.tail.first().filter(|(first, _)| first.get() == 1).map(|_| 0),
            Cursor::At { position, id } => {
                self.tail.iter().position(|one| *one == (position, id)).map(|n| n + 1)
            }
        };
        skip.map_or_else(Vec::new, |skip| self.tail[skip..].to_vec())
    }
}
