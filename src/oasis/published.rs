//! What a message of the stream says of itself: whose event it is, and which. Pure.

use uuid::Uuid;

use super::message::{CE_ID, CE_POSITION, CE_SOURCE};
use crate::domain::position::Position;
use crate::domain::record::LedgerId;

/// What stands at a sequence of the stream, as the ledger `L` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Found {
    /// No message.
    Nothing,
    /// A message that says: the event of this id, of `L`, at the position that is this sequence.
    Ours(Uuid),
    /// Any other message.
    Foreign,
}

/// The identity that a message's headers claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The event's id.
    pub id: Uuid,
    /// The ledger's `source`.
    pub source: String,
    /// The event's position in that ledger.
    pub position: Position,
}

impl Published {
    /// Reads a message's headers by name; none where one is missing or malformed.
    #[must_use]
    pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let position = header(CE_POSITION)?;
        Some(Self {
            id: Uuid::parse_str(header(CE_ID)?).ok()?,
            source: header(CE_SOURCE)?.to_owned(),
            position: position.parse().ok().filter(|n: &u64| n.to_string() == position).map(Position::new)?,
        })
    }

    /// Reads a stored message's block of headers, as `STREAM.MSG.GET` gives it.
    #[must_use]
    pub fn from_block(block: &[u8]) -> Option<Self> {
        let lines = std::str::from_utf8(block).ok()?.split("\r\n").skip(1);
        let headers: Vec<(&str, &str)> =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect();
        Self::from_headers(|name| headers.iter().find(|(given, _)| *given == name).map(|(_, value)| *value))
    }

    /// What a message with these headers is to `ledger` when it stands at `sequence`.
    #[must_use]
    pub fn found(published: Option<&Self>, ledger: LedgerId, sequence: Position) -> Found {
        match published {
            Some(one) if one.position == sequence && one.source == ledger.source() => Found::Ours(one.id),
            _ => Found::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: LedgerId = LedgerId(Uuid::from_u128(7));
    const ID: Uuid = Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001);

    fn block(id: &str, source: &str, position: &str) -> String {
        format!(
            "NATS/1.0\r\nNats-Msg-Id: {id}\r\nce-id: {id}\r\nce-source: {source}\r\nce-position: {position}\r\n\r\n"
        )
    }

    fn found(block: &str, sequence: u64) -> Found {
        let published = Published::from_block(block.as_bytes());
        Published::found(published.as_ref(), LEDGER, Position::new(sequence))
    }

    #[test]
    fn a_message_of_this_ledger_at_its_sequence_is_ours() {
        let good = block(&ID.to_string(), &LEDGER.source(), "97");
        assert_eq!(found(&good, 97), Found::Ours(ID));
        assert_eq!(
            Published::from_block(good.as_bytes()),
            Some(Published { id: ID, source: LEDGER.source(), position: Position::new(97) })
        );
    }

    #[test]
    fn anything_else_is_foreign() {
        let id = ID.to_string();
        let source = LEDGER.source();
        assert_eq!(found(&block(&id, &source, "97"), 98), Found::Foreign, "another sequence");
        assert_eq!(found(&block(&id, "/vtid-ledger/other", "97"), 97), Found::Foreign, "another ledger");
        assert_eq!(found(&block("no-uuid", &source, "97"), 97), Found::Foreign, "no id");
        for position in ["", "097", "+97", "x", "99999999999999999999"] {
            assert_eq!(found(&block(&id, &source, position), 97), Found::Foreign, "{position}");
        }
        assert_eq!(found("NATS/1.0\r\n\r\n", 97), Found::Foreign, "no headers");
        assert_eq!(found("", 97), Found::Foreign, "nothing at all");
        let published = Published::from_block(&[0xff, 0xfe]);
        assert_eq!(published, None, "not UTF-8");
    }
}
