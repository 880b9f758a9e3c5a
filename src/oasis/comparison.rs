//! One sequence of the stream beside the log. Pure.

use std::fmt;

use uuid::Uuid;

use super::message::OasisMessage;
use super::published::Found;
use super::stored::Stored;
use crate::domain::position::Position;
use crate::domain::record::{LedgerId, Recorded};
use crate::log::entry::Transition;

/// What stands at one sequence, compared with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The sequence, which is the position of the event that belongs there.
    pub sequence: Position,
    /// How they compare.
    pub verdict: Verdict,
    /// What the message says it is: its event's type and VTID.
    pub says: String,
}

/// How they compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The log's event, as it is published.
    Same,
    /// The log's event, by its id, but not as it is published: these parts differ.
    Altered(Vec<String>),
    /// An event of this ledger that the log does not hold, and nothing else at its position: the ledger lost it.
    Lost(Uuid),
    /// An event of this ledger, and the log holds another one at its position: the ledger lost the first, and has
    /// since given its position out again.
    Replaced {
        /// The event in the stream.
        stream: Uuid,
        /// The event in the log.
        log: Uuid,
    },
    /// No event of this ledger at its sequence.
    Foreign,
    /// No message.
    Missing,
}

impl Compared {
    /// Compares what stands at `sequence` with the log's event at that position, if it has one.
    #[must_use]
    pub fn new(
        ledger: LedgerId,
        sequence: Position,
        stored: Option<&Stored>,
        logged: Option<(&Recorded, &Transition)>,
    ) -> Self {
        let Some(stored) = stored else {
            return Self { sequence, verdict: Verdict::Missing, says: String::new() };
        };
        let verdict = match (stored.found(ledger), logged) {
            (Found::Ours(id), Some((recorded, transition))) if recorded.event.id == id => {
                let altered = altered(&OasisMessage::new(ledger, recorded, transition), stored);
                if altered.is_empty() { Verdict::Same } else { Verdict::Altered(altered) }
            }
            (Found::Ours(stream), Some((recorded, _))) => {
                Verdict::Replaced { stream, log: recorded.event.id }
            }
            (Found::Ours(id), None) => Verdict::Lost(id),
            (Found::Foreign | Found::Nothing, _) => Verdict::Foreign,
        };
        let says = ["ce-type", "ce-subject"].map(|name| stored.header(name).unwrap_or("?"));
        let says =
            if verdict == Verdict::Foreign { format!("subject {}", stored.subject) } else { says.join(" ") };
        Self { sequence, verdict, says }
    }
}

/// The parts in which a stored message is not the one that is published. Headers that are not the ledger's own are
/// NATS's: they do not count.
fn altered(expected: &OasisMessage, stored: &Stored) -> Vec<String> {
    let mut parts = Vec::new();
    if stored.subject != expected.subject {
        parts.push("the subject".to_owned());
    }
    let headers = expected.headers.iter().filter(|(name, value)| stored.header(name) != Some(value.as_str()));
    parts.extend(headers.map(|(name, _)| format!("the header {name}")));
    if stored.body != expected.body.as_bytes() {
        parts.push("the body".to_owned());
    }
    parts
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, verdict, says } = self;
        match verdict {
            Verdict::Same => write!(f, "{sequence}  same  {says}"),
            Verdict::Altered(parts) => write!(f, "{sequence}  altered  {says}: {}", parts.join(", ")),
            Verdict::Lost(id) => write!(f, "{sequence}  lost by the ledger  {says}  {id}"),
            Verdict::Replaced { stream, log } => {
                write!(f, "{sequence}  another event  {says}  {stream}; the ledger has {log} there")
            }
            Verdict::Foreign => write!(f, "{sequence}  foreign  {says}"),
            Verdict::Missing => write!(f, "{sequence}  no message"),
        }
    }
}

/// What a walk over the stream has found so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Sequences looked at.
    pub compared: u64,
    /// Those at which stream and log differ.
    pub different: u64,
    /// The first of these.
    pub first_different: Option<Position>,
    /// The first event that the log lost without another in its place, and how many.
    pub lost: Option<(Position, u64)>,
    /// The first event in whose place the log has another, and how many.
    pub replaced: Option<(Position, u64)>,
    /// The last event of these two kinds.
    pub last_lost: Option<Position>,
    /// The first message of no use for a recovery: foreign, or none at all.
    pub first_useless: Option<Position>,
}

impl Tally {
    /// Takes in one more.
    pub fn add(&mut self, compared: &Compared) {
        let at = compared.sequence;
        let count = |run: Option<(Position, u64)>| Some(run.map_or((at, 1), |(first, n)| (first, n + 1)));
        self.compared += 1;
        match &compared.verdict {
            Verdict::Same => return,
            Verdict::Lost(_) => self.lost = count(self.lost),
            Verdict::Replaced { .. } => self.replaced = count(self.replaced),
            Verdict::Foreign | Verdict::Missing => {
                self.first_useless.get_or_insert(at);
            }
            Verdict::Altered(_) => {}
        }
        self.different += 1;
        self.first_different.get_or_insert(at);
        if matches!(compared.verdict, Verdict::Lost(_) | Verdict::Replaced { .. }) {
            self.last_lost = Some(at);
        }
    }

    /// The first and the last position of what the ledger lost, in whatever way.
    #[must_use]
    pub fn loss(&self) -> Option<(Position, Position)> {
        let firsts = [self.lost, self.replaced].into_iter().flatten().map(|(first, _)| first);
        firsts.min().zip(self.last_lost)
    }
}

#[cfg(test)]
#[path = "tests/comparison.rs"]
mod tests;
