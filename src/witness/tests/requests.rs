use proptest::prelude::*;

use super::TestLog;
use crate::witness::request::{AddCheckpoint, MAX_BYTES, Malformed};

/// The example of tlog-witness.md.
const EXAMPLE: &str = "old 20852014\n\
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
    5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
    /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
    \n\
    example.com/behind-the-sofa\n\
    20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
    \n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

#[test]
fn the_published_example_is_read_and_printed_alike() {
    let request = AddCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
    assert_eq!(request.checkpoint.origin, "example.com/behind-the-sofa");
    assert_eq!(request.checkpoint.size, 20_852_163);
    assert_eq!(request.to_string(), EXAMPLE);
}

#[test]
fn what_is_malformed_is_refused() {
    let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
    for (from, to) in [
        ("old 20852014\n", ""),
        ("old 20852014", "old  20852014"),
        ("old 20852014", "old 020852014"),
        ("old 20852014", "old -1"),
        ("old 20852014", "old +1"),
        ("old 20852014", "old 18446744073709551616"),
        ("old 20852014", "Old 20852014"),
        ("old 20852014", " old 20852014"),
        ("old 20852014\n", "old 20852014\r\n"),
        ("kaw=\n", "kaw\n"),
        ("kaw=\n", "kax=\n"),
        ("kaw=\n", "kaw= \n"),
        ("PlRN", "AAAAPlRN"),
        ("=\n\nexample", "=\nexample"),
        ("=\n\n—", "=\n—"),
        ("\n20852163\n", "\n020852163\n"),
        (hash, &hash.repeat(61)),
    ] {
        let changed = EXAMPLE.replacen(from, to, 1);
        assert_ne!(changed, EXAMPLE);
        assert!(AddCheckpoint::parse(changed.as_bytes()).is_err(), "{changed}");
    }
    let most = EXAMPLE.replacen(hash, &hash.repeat(60), 1);
    assert_eq!(AddCheckpoint::parse(most.as_bytes()).unwrap().proof.len(), 63);
    assert!(AddCheckpoint::parse(b"\xff").is_err() && AddCheckpoint::parse(b"").is_err());
    let large = format!("{EXAMPLE}{}", "x".repeat(MAX_BYTES));
    assert_eq!(AddCheckpoint::parse(large.as_bytes()), Err(Malformed("it is larger than any")));
}

proptest! {
    #[test]
    fn requests_come_back(old in 0u64..40, size in 0u64..40) {
        let request = TestLog::new("log").request(old, size);
        prop_assert_eq!(AddCheckpoint::parse(request.to_string().as_bytes()).unwrap(), request);
    }

    /// Whatever comes in, it is read or refused.
    #[test]
    fn no_body_breaks_the_parser(cut in 0usize..700, put in proptest::collection::vec(any::<u8>(), 0..6)) {
        let at = cut.min(EXAMPLE.len());
        let bytes = [&EXAMPLE.as_bytes()[..at], &put, &EXAMPLE.as_bytes()[at..]].concat();
        if let Ok(request) = AddCheckpoint::parse(&bytes) {
            prop_assert_eq!(request.to_string().into_bytes(), bytes);
        }
        let _ = AddCheckpoint::parse(&EXAMPLE.as_bytes()[..at]);
    }
}
