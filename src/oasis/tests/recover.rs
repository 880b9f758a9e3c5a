//! Which of the events that the ledger lost can be put back, and what is taken for a record.

use std::sync::Arc;

use async_nats::HeaderMap;
use uuid::Uuid;

use super::*;
use crate::domain::event::{Event, EventData};
use crate::domain::evolve::evolve;
use crate::domain::origin::{Actor, Origin, RequestId};
use crate::domain::payload::parse_create;
use crate::domain::position::Version;
use crate::domain::text::Tenant;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::log::entry::Transition;
use crate::oasis::comparison::Verdict;
use crate::oasis::message::OasisMessage;

const LEDGER: LedgerId = LedgerId(Uuid::from_u128(0x11));

/// The log ends at `head`; after it the stream has what `verdicts` say.
fn survey(head: u64, verdicts: &[Verdict]) -> Survey {
    let mut tally = Tally::default();
    let mut last = Position::new(head);
    for verdict in verdicts {
        last = last.next();
        tally.add(&Compared { sequence: last, verdict: verdict.clone(), says: String::new() });
    }
    let head = Cursor::At { position: Position::new(head), id: Uuid::from_u128(1) };
    Survey { tally, last, head, hold: None }
}

fn lost() -> Verdict {
    Verdict::Lost(Uuid::from_u128(2))
}

fn positions(first: u64, last: u64) -> (Position, Position) {
    (Position::new(first), Position::new(last))
}

#[test]
fn what_follows_on_the_head_is_put_back_up_to_a_message_of_no_use() {
    assert_eq!(survey(3, &[]).recoverable(), Ok(None));
    assert_eq!(survey(3, &[lost(), lost()]).recoverable(), Ok(Some(positions(4, 5))));
    assert_eq!(
        survey(3, &[lost(), lost(), Verdict::Foreign, lost()]).recoverable(),
        Ok(Some(positions(4, 5)))
    );
    assert_eq!(survey(3, &[lost(), Verdict::Missing]).recoverable(), Ok(Some(positions(4, 4))));
    assert_eq!(survey(3, &[Verdict::Foreign]).recoverable(), Ok(None), "that is no loss");
}

#[test]
fn nothing_is_put_back_over_other_events_or_behind_a_gap() {
    let replaced = Verdict::Replaced { stream: Uuid::from_u128(2), log: Uuid::from_u128(3) };
    let refused = survey(3, &[replaced, lost()]).recoverable();
    assert_eq!(refused, Err(Unrecoverable::Replaced { first: Position::new(4), count: 1 }));
    let refused = survey(3, &[Verdict::Foreign, lost()]).recoverable();
    assert_eq!(refused, Err(Unrecoverable::Interrupted(Position::new(4))));
}

/// The stored message of an event of `ledger` at position 7.
fn stored(ledger: LedgerId) -> (Recorded, Stored) {
    let body = r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"t"}"#;
    let event = Event {
        position: Position::new(7),
        id: Uuid::from_u128(7),
        vtid: Vtid::first_of(2026),
        version: Version::new(1),
        tenant: Tenant::parse("t").unwrap(),
        recorded_at: Timestamp::from_millis(1_761_645_600_000),
        origin: Origin {
            actor: Actor::anonymous(),
            request_id: RequestId::parse("r").unwrap(),
            traceparent: None,
            idempotency: None,
        },
        data: EventData::Created(Arc::new(parse_create(body.as_bytes()).unwrap())),
    };
    let after = Arc::new(evolve(None, &event).unwrap());
    let recorded = Recorded::print(event, ledger);
    let message = OasisMessage::new(ledger, &recorded, &Transition { before: None, after });
    let mut headers = HeaderMap::new();
    for (name, value) in message.headers {
        headers.insert(name, value);
    }
    let sequence = Position::new(7);
    (recorded, Stored { sequence, subject: message.subject, headers, body: message.body.into() })
}

#[test]
fn a_record_is_taken_as_it_stands() {
    let (recorded, stored) = stored(LEDGER);
    assert_eq!(record(LEDGER, Position::new(7), Some(&stored)).unwrap(), recorded);
}

#[test]
fn a_record_that_is_not_that_of_its_message_is_refused() {
    let (_, good) = stored(LEDGER);
    let text = String::from_utf8(good.body.to_vec()).unwrap();
    let other_source = LedgerId(Uuid::from_u128(0x12)).source();
    for (from, to, why) in [
        (r#""record":"#, r#""other":"#, "no record"),
        (r#""position":"7""#, r#""position":"8""#, "another position"),
        (r#"{"specversion":"1.0","id":"00"#, r#"{"specversion":"1.0","id":"01"#, "another id"),
        (&LEDGER.source(), &other_source, "another ledger"),
        (r#""type":"vtid-created""#, r#""type":"vtid-deleted""#, "a type that nobody knows"),
    ] {
        assert!(text.contains(from), "{why}");
        let forged = Stored { body: text.replace(from, to).into(), ..good.clone() };
        assert!(record(LEDGER, Position::new(7), Some(&forged)).is_err(), "{why}");
    }
    assert!(record(LEDGER, Position::new(7), None).is_err());
    let (_, foreign) = stored(LedgerId(Uuid::from_u128(0x12)));
    assert!(record(LEDGER, Position::new(7), Some(&foreign)).is_err());
}

#[test]
fn a_transaction_takes_some_events_and_at_least_one() {
    let (recorded, _) = stored(LEDGER);
    let sized = |bytes: usize| Recorded { body: "x".repeat(bytes).into(), ..recorded.clone() };
    assert_eq!(fitting(&[sized(BATCH_BYTES + 1), sized(1)]), 1);
    assert_eq!(fitting(&[sized(BATCH_BYTES - 1), sized(1), sized(1)]), 2);
    assert_eq!(fitting(&[sized(1)]), 1);
    assert_eq!(fitting(&[]), 0);
}
