//! What each kind of difference counts as.

use super::*;

fn at(sequence: u64, verdict: Verdict) -> Compared {
    Compared { sequence: Position::new(sequence), verdict, says: "vtid-created VTID-2026-0001".to_owned() }
}

fn tally(compared: &[Compared]) -> Tally {
    let mut tally = Tally::default();
    for one in compared {
        tally.add(one);
    }
    tally
}

#[test]
fn a_loss_is_what_the_stream_has_and_the_log_has_not() {
    let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let counted = tally(&[
        at(3, Verdict::Same),
        at(4, Verdict::Foreign),
        at(5, Verdict::Replaced { stream: id, log: other }),
        at(6, Verdict::Same),
        at(7, Verdict::Lost(id)),
        at(8, Verdict::Lost(other)),
        at(9, Verdict::Missing),
        at(10, Verdict::Altered(vec!["the body".to_owned()])),
    ]);
    let position = Position::new;
    assert_eq!((counted.compared, counted.different), (8, 6));
    assert_eq!(counted.first_different, Some(position(4)));
    assert_eq!(counted.replaced, Some((position(5), 1)));
    assert_eq!(counted.lost, Some((position(7), 2)));
    assert_eq!(counted.first_useless, Some(position(4)));
    assert_eq!(counted.loss(), Some((position(5), position(8))));
}

#[test]
fn foreign_missing_and_altered_messages_are_no_loss() {
    let counted =
        tally(&[at(1, Verdict::Foreign), at(2, Verdict::Missing), at(3, Verdict::Altered(Vec::new()))]);
    assert_eq!((counted.loss(), counted.different), (None, 3));
    assert_eq!(tally(&[at(1, Verdict::Same)]), Tally { compared: 1, ..Tally::default() });
}
