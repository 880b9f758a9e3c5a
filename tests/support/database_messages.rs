//! What a client of `PostgreSQL` sends, taken apart into messages; among them the appends of the ledger's writers.

use std::collections::BTreeSet;

/// What the messages are told by: a type byte and a length, but for those that open a session.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// The function that the writer calls: it stands in the statement that a Parse names and a Bind refers to.
const APPEND: &[u8] = b"ledger.append(";

/// What a proxy must tell apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// The parameters of an append.
    Append,
    /// The end of a round trip: the server commits what has no transaction of its own, and answers.
    Sync,
    /// Anything else.
    Other,
}

/// One whole message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// One connection's messages, from its first byte on.
#[derive(Default)]
pub(crate) struct Frontend {
    /// The beginning of a message whose end has not come yet.
    buffered: Vec<u8>,
    /// The start-up message has been seen: from here on messages bear a type.
    started: bool,
    /// The names of the prepared statements that append.
    appends: BTreeSet<Vec<u8>>,
}

impl Frontend {
    /// Takes bytes as they came, and gives the messages that are whole with them.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.buffered.extend_from_slice(bytes);
        std::iter::from_fn(|| self.next()).collect()
    }

    fn next(&mut self) -> Option<Message> {
        let type_bytes = usize::from(self.started);
        let length = number(self.buffered.get(type_bytes..)?)?;
        let end = type_bytes + usize::try_from(length).unwrap();
        if self.buffered.len() < end {
            return None;
        }
        let rest = self.buffered.split_off(end);
        let bytes = std::mem::replace(&mut self.buffered, rest);
        let kind = if self.started { self.kind(bytes[0], &bytes[5..]) } else { self.opening(&bytes[4..]) };
        Some(Message { kind, bytes })
    }

    fn opening(&mut self, body: &[u8]) -> Kind {
        // After these two the client opens the session anew: the tests' server offers neither.
        self.started = !matches!(number(body), Some(SSL_REQUEST | GSS_REQUEST));
        Kind::Other
    }

    fn kind(&mut self, type_byte: u8, body: &[u8]) -> Kind {
        let mut strings = body.split(|byte| *byte == 0);
        match type_byte {
            b'P' => {
                let (name, sql) = (strings.next().unwrap(), strings.next().unwrap());
                if sql.windows(APPEND.len()).any(|part| part == APPEND) {
                    self.appends.insert(name.to_vec());
                }
                Kind::Other
            }
            // The portal's name, then the statement's.
            b'B' if self.appends.contains(strings.nth(1).unwrap()) => Kind::Append,
            b'S' => Kind::Sync,
            _ => Kind::Other,
        }
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.first_chunk()?))
}

#[test]
fn messages_are_told_however_their_bytes_arrive() {
    let message = |type_byte: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[type_byte][..], &length, body].concat()
    };
    let opening = [&8u32.to_be_bytes()[..], &SSL_REQUEST.to_be_bytes()].concat();
    let startup = [&12u32.to_be_bytes()[..], &196_608u32.to_be_bytes(), b"abc\0"].concat();
    let sent = [
        (Kind::Other, opening),
        (Kind::Other, startup),
        (Kind::Other, message(b'P', b"one\0select ledger.append($1)\0\0\0")),
        (Kind::Sync, message(b'S', b"")),
        (Kind::Other, message(b'P', b"two\0select 1\0\0\0")),
        (Kind::Append, message(b'B', b"\0one\0parameters")),
        (Kind::Other, message(b'B', b"\0two\0ledger.append(")),
        (Kind::Other, message(b'E', b"\0\0\0\0\0")),
        (Kind::Sync, message(b'S', b"")),
        (Kind::Other, message(b'Q', b"ledger.append(\0")),
    ];
    let expected: Vec<Message> =
        sent.iter().map(|(kind, bytes)| Message { kind: *kind, bytes: bytes.clone() }).collect();
    let bytes: Vec<u8> = sent.into_iter().flat_map(|(_, bytes)| bytes).collect();
    for size in [1, 2, 7, 64, bytes.len()] {
        let mut frontend = Frontend::default();
        let got: Vec<Message> = bytes.chunks(size).flat_map(|chunk| frontend.feed(chunk)).collect();
        assert_eq!(got, expected, "in pieces of {size} bytes");
    }
}
