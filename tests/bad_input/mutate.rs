//! Texts that were right, and then changed here and there.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;

/// A number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// `FUZZ_CASES` of them, or `usual`.
pub(crate) fn cases(usual: u32) -> Config {
    let cases = setting("FUZZ_CASES").map_or(usual, |cases| u32::try_from(cases).unwrap());
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// One change, its places relative to the length of what is changed.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Replace(Index, u8),
    FlipBit(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    CutAt(Index),
}

/// Pieces that parsers stumble over.
pub(crate) fn piece() -> BoxedStrategy<Vec<u8>> {
    const PIECES: [&[u8]; 44] = [
        b"\0",
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"null",
        b"-",
        b"0",
        b"9",
        b"1e400",
        b"1e-400",
        b"\\u0000",
        b"\\ud800",
        b"\\udc00",
        b"\xED\xA0\x80",
        b"\xFF",
        b"\xEF\xBB\xBF",
        b"\xE2\x80\x8B",
        "🚀".as_bytes(),
        "а".as_bytes(),
        "１".as_bytes(),
        b"%",
        b"%00",
        b"%zz",
        b"%ff",
        b"&",
        b"=",
        b"+",
        b" ",
        b"\t",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b".",
        b"*",
        b">",
        b"/",
        b"?",
        b"#",
    ];
    prop_oneof![
        6 => select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        1 => (select(&PIECES[..]), 2usize..200).prop_map(|(piece, times)| piece.repeat(times)),
        1 => proptest::collection::vec(any::<u8>(), 1..8),
    ]
    .boxed()
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Edit::FlipBit(at, bit)),
        4 => (any::<Index>(), piece()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        2 => (any::<Index>(), 1usize..20).prop_map(|(at, count)| Edit::Remove(at, count)),
        2 => (any::<Index>(), 1usize..60).prop_map(|(at, count)| Edit::Repeat(at, count)),
        1 => any::<Index>().prop_map(Edit::CutAt),
    ]
}

fn apply(mut bytes: Vec<u8>, edit: &Edit) -> Vec<u8> {
    let place = |at: &Index| at.index(bytes.len() + 1);
    match edit {
        Edit::Replace(at, byte) => {
            let at = place(at);
            bytes.splice(at..bytes.len().min(at + 1), [*byte]);
        }
        Edit::FlipBit(at, bit) => {
            let at = place(at);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
        }
        Edit::Insert(at, piece) => {
            let at = place(at);
            bytes.splice(at..at, piece.iter().copied());
        }
        Edit::Remove(at, count) => {
            let at = place(at);
            bytes.drain(at..bytes.len().min(at + count));
        }
        Edit::Repeat(at, count) => {
            let at = place(at);
            let again = bytes[at..bytes.len().min(at + count)].to_vec();
            bytes.splice(at..at, again);
        }
        Edit::CutAt(at) => bytes.truncate(place(at)),
    }
    bytes
}

/// What `good` gives, with one to `most` changes.
pub(crate) fn mutated(good: impl Strategy<Value = Vec<u8>>, most: usize) -> impl Strategy<Value = Vec<u8>> {
    (good, proptest::collection::vec(edit(), 1..=most))
        .prop_map(|(good, edits)| edits.iter().fold(good, apply))
}

/// The same of texts; what is no text any more is made one.
pub(crate) fn mutated_text(
    good: impl Strategy<Value = String>,
    most: usize,
) -> impl Strategy<Value = String> {
    mutated(good.prop_map(String::into_bytes), most)
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
