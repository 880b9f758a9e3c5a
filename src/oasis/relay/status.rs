//! How the relay stands, for `/readyz` and for metrics.

use std::fmt;

use super::machine::State;
use crate::domain::position::Position;
use crate::domain::time::Timestamp;

/// A snapshot of the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayStatus {
    /// What it does, or why it does not.
    pub state: State,
    /// Up to here the stream holds the ledger's events.
    pub position: Position,
    /// When the first event that is not in the stream yet was recorded, as far as the relay has read: the lag in
    /// time is what has passed since.
    pub waiting_since: Option<Timestamp>,
    /// Whether stream and log were compared since somebody last asked for it. Until then `/readyz` says so.
    pub compared: bool,
    /// A record that this program can't read, and where it stands: the relay does not pass it.
    pub unreadable: Option<(Position, String)>,
    /// What went wrong last, while something is wrong.
    pub trouble: Option<String>,
}

impl Default for RelayStatus {
    fn default() -> Self {
        Self {
            state: State::Connecting,
            position: Position::ZERO,
            waiting_since: None,
            compared: false,
            unreadable: None,
            trouble: None,
        }
    }
}

impl RelayStatus {
    /// Whether this process could publish, as far as it knows: what stands in the way does not stand in everybody's.
    #[must_use]
    pub fn is_able(&self) -> bool {
        self.unreadable.is_none() && !matches!(self.state, State::Connecting | State::Failing)
    }

    /// What is wrong, in a line; none if nothing is.
    #[must_use]
    pub fn degraded(&self) -> Option<String> {
        if let Some((_, unreadable)) = &self.unreadable {
            return Some(unreadable.clone());
        }
        if self.state == State::Following {
            return (!self.compared).then(|| "stream unchecked".to_owned());
        }
        let unchecked = if self.compared { "" } else { "; stream unchecked" };
        let trouble = self.trouble.as_ref().map_or(String::new(), |trouble| format!(": {trouble}"));
        Some(format!("{}{unchecked}{trouble}", self.state))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("NATS is not connected"),
            Self::Following => f.write_str("following"),
            Self::Failing => f.write_str("publishing fails again and again"),
            Self::Stopped { sequence } => write!(
                f,
                "stopped: the message at sequence {sequence} is not the ledger's event (`vtid-ledger oasis rebuild` makes the stream anew)"
            ),
            Self::LedgerBehind { position } => write!(
                f,
                "the ledger lost history: it no longer has the event seen at position {position} (`vtid-ledger oasis recover`)"
            ),
            Self::StreamDiffers => f.write_str("the stream is not the one that the ledger needs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degraded_names_what_is_wrong() {
        let mut status = RelayStatus { trouble: Some("refused".to_owned()), ..RelayStatus::default() };
        assert_eq!(status.degraded().unwrap(), "NATS is not connected; stream unchecked: refused");
        status = RelayStatus { state: State::Following, compared: true, ..RelayStatus::default() };
        assert_eq!(status.degraded(), None);
        status.state = State::Stopped { sequence: Position::new(5) };
        assert!(status.degraded().unwrap().contains("at sequence 5"), "{status:?}");
        status.unreadable = Some((Position::new(9), "the record at position 9".to_owned()));
        assert_eq!(status.degraded().unwrap(), "the record at position 9");
    }
}
