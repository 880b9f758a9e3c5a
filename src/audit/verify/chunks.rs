//! A file in pieces that end at line ends, each looked at by one of several threads, and handed on in order. Memory is
//! bounded by the number of pieces, which go round.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use memchr::{memchr_iter, memrchr};

/// Bytes of a piece: what fits into a core's own cache together with what is found in it, and many lines.
const CHUNK: usize = 1 << 18;
/// Lines of a piece at most, of which each takes memory: far more than an export has.
const LINES: usize = CHUNK / 32;
/// Pieces for each thread that looks at them.
const CHUNKS_EACH: usize = 4;

/// A piece of the file, and what was found in it.
struct Chunk<T> {
    bytes: Vec<u8>,
    found: Vec<(Piece, T)>,
    /// It has more lines than were looked at.
    too_many: bool,
    /// Why the file can't be read on behind it.
    failed: Option<io::Error>,
}

/// Where a line is.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: u32,
    to: u32,
}

/// What a file was after its last line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Whole,
    /// A line without its line feed.
    Cut,
    /// A line that is longer than a whole piece.
    TooLong,
    /// More lines in a piece than an export has.
    TooMany,
}

/// Calls `look` for every line, without its line feed, on as many threads as there are cores, and `take` in order with what
/// it gave. Ends early when `take` fails.
///
/// # Errors
/// The file's, and `take`'s.
pub(super) fn each_line<T: Send, S: Default>(
    source: impl Read + Send,
    look: impl Fn(&[u8], &mut S) -> T + Sync,
    mut take: impl FnMut(&[u8], &T) -> io::Result<()>,
) -> io::Result<Rest> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let (free, blank) = channel::<Chunk<T>>();
    let (cut, uncut) = channel::<(u64, Chunk<T>)>();
    let (looked, done) = channel::<(u64, Chunk<T>)>();
    for _ in 0..threads * CHUNKS_EACH {
        let chunk =
            Chunk { bytes: Vec::with_capacity(CHUNK), found: Vec::new(), too_many: false, failed: None };
        // The receiver is right here.
        let _ = free.send(chunk);
    }
    let uncut = Mutex::new(uncut);
    thread::scope(|scope| {
        let reader = scope.spawn(move || cut_file(source, &blank, &cut));
        for _ in 0..threads {
            let (uncut, look, looked) = (&uncut, &look, looked.clone());
            scope.spawn(move || look_at_chunks(uncut, look, &looked));
        }
        drop(looked);
        let ended = in_order(&done, &free, &mut take)?;
        // It ended, or there would be more to take.
        drop((free, done));
        let rest = reader.join().map_err(|_| io::Error::other("the thread that reads the file broke"))?;
        Ok(ended.unwrap_or(rest))
    })
}

/// Fills blank pieces from the file.
fn cut_file<T>(mut source: impl Read, blank: &Receiver<Chunk<T>>, cut: &Sender<(u64, Chunk<T>)>) -> Rest {
    let mut rest = Vec::new();
    for number in 0.. {
        // Whoever takes the pieces has given up, and says why.
        let Ok(mut chunk) = blank.recv() else { return Rest::Whole };
        chunk.bytes.clear();
        chunk.found.clear();
        chunk.bytes.append(&mut rest);
        let room = CHUNK.saturating_sub(chunk.bytes.len()) as u64;
        let read = source.by_ref().take(room).read_to_end(&mut chunk.bytes);
        let at_end = match read {
            Ok(read) => (read as u64) < room,
            Err(error) => {
                chunk.failed = Some(error);
                true
            }
        };
        let end = memrchr(b'\n', &chunk.bytes).map_or(0, |last| last + 1);
        rest.extend_from_slice(&chunk.bytes[end..]);
        chunk.bytes.truncate(end);
        let is_stuck = end == 0 && !at_end;
        if cut.send((number, chunk)).is_err() || is_stuck {
            return if is_stuck { Rest::TooLong } else { Rest::Whole };
        }
        if at_end {
            break;
        }
    }
    if rest.is_empty() { Rest::Whole } else { Rest::Cut }
}

fn look_at_chunks<T, S: Default>(
    uncut: &Mutex<Receiver<(u64, Chunk<T>)>>,
    look: &impl Fn(&[u8], &mut S) -> T,
    looked: &Sender<(u64, Chunk<T>)>,
) {
    let mut scratch = S::default();
    loop {
        let next = match uncut.lock() {
            Ok(uncut) => uncut.recv(),
            Err(_) => return,
        };
        let Ok((number, mut chunk)) = next else { return };
        let mut from = 0;
        for end in memchr_iter(b'\n', &chunk.bytes) {
            if chunk.found.len() >= LINES {
                chunk.too_many = true;
                break;
            }
            // A piece is far smaller than 4 GiB.
            let piece = Piece { from: narrow(from), to: narrow(end) };
            chunk.found.push((piece, look(&chunk.bytes[from..end], &mut scratch)));
            from = end + 1;
        }
        if looked.send((number, chunk)).is_err() {
            return;
        }
    }
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Takes the pieces in order and gives them back. Tells why, where it ends before the file does.
fn in_order<T>(
    done: &Receiver<(u64, Chunk<T>)>,
    free: &Sender<Chunk<T>>,
    take: &mut impl FnMut(&[u8], &T) -> io::Result<()>,
) -> io::Result<Option<Rest>> {
    let (mut waiting, mut next) = (BTreeMap::new(), 0);
    for (number, chunk) in done {
        waiting.insert(number, chunk);
        while let Some(mut chunk) = waiting.remove(&next) {
            next += 1;
            for (piece, found) in &chunk.found {
                take(&chunk.bytes[piece.from as usize..piece.to as usize], found)?;
            }
            if let Some(error) = chunk.failed.take() {
                return Err(error);
            }
            if chunk.too_many {
                return Ok(Some(Rest::TooMany));
            }
            // Nobody waits for it once the file was read.
            let _ = free.send(chunk);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8]) -> (Vec<Vec<u8>>, Rest) {
        let mut taken = Vec::new();
        let look = |line: &[u8], seen: &mut usize| {
            *seen += 1;
            line.to_vec()
        };
        let rest = each_line(text, look, |line, found| {
            assert_eq!(line, found);
            taken.push(found.clone());
            Ok(())
        });
        (taken, rest.unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn lines_come_in_order(lengths in proptest::collection::vec(0usize..60_000, 0..200), cut in any::<bool>()) {
            let mut text = Vec::new();
            let mut expected = Vec::new();
            for (n, length) in lengths.into_iter().enumerate() {
                let line = vec![b'a' + u8::try_from(n % 26).unwrap(); length];
                text.extend_from_slice(&line);
                text.push(b'\n');
                expected.push(line);
            }
            if cut {
                text.extend_from_slice(b"cut");
            }
            let (taken, rest) = lines(&text);
            prop_assert!(taken == expected);
            prop_assert_eq!(rest, if cut { Rest::Cut } else { Rest::Whole });
        }
    }

    #[test]
    fn a_line_without_end_is_told_in_bounded_memory() {
        let text = [vec![b'a'; 10], vec![b'\n'], vec![b'x'; 3 * CHUNK]].concat();
        let (taken, rest) = lines(&text);
        assert_eq!((taken.len(), rest), (1, Rest::TooLong));
    }

    #[test]
    fn a_flood_of_lines_is_told_in_bounded_memory() {
        let text = vec![b'\n'; 20 * CHUNK];
        let (taken, rest) = lines(&text);
        assert_eq!((taken.len(), rest), (LINES, Rest::TooMany));
    }

    #[test]
    fn whoever_takes_the_lines_may_give_up() {
        let text = b"line\n".repeat(CHUNK);
        let mut taken = 0;
        let given_up = each_line(
            text.as_slice(),
            |_: &[u8], (): &mut ()| (),
            |_, &()| {
                taken += 1;
                if taken == 3 { Err(io::Error::other("enough")) } else { Ok(()) }
            },
        );
        assert_eq!((given_up.unwrap_err().to_string(), taken), ("enough".to_owned(), 3));
    }
}
