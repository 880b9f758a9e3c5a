//! Whether a caller used an idempotency key twice. However many there are: what does not fit into memory is sorted into
//! temporary files, and merged in the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use crate::audit::glance::KeyMark;
use crate::domain::position::Position;

/// Keys held in memory: 24 MiB.
const RUN: usize = 1 << 20;
/// Bytes of a key in a file.
const WIDTH: usize = 24;

type Used = (KeyMark, u64);

/// The keys that were used so far.
pub(super) struct KeysUsed {
    newest: Vec<Used>,
    run: usize,
    files: Vec<File>,
    /// Why they can't be kept.
    failed: Option<io::Error>,
}

impl KeysUsed {
    pub(super) fn new() -> Self {
        Self::with_run(RUN)
    }

    fn with_run(run: usize) -> Self {
        Self { newest: Vec::new(), run, files: Vec::new(), failed: None }
    }

    /// Notes that a key was used at a position. That it can't be kept is told in the end, by [`Self::again`].
    pub(super) fn add(&mut self, key: KeyMark, position: Position) {
        if self.failed.is_some() {
            return;
        }
        self.newest.push((key, position.get()));
        if self.newest.len() >= self.run {
            match self.write() {
                Ok(file) => self.files.push(file),
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Those in memory, sorted into a temporary file.
    fn write(&mut self) -> io::Result<File> {
        self.newest.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for (key, position) in self.newest.drain(..) {
            file.write_all(&key)?;
            file.write_all(&position.to_be_bytes())?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(file)
    }

    /// The first position at which a key stands that was used before, and where it was used first.
    ///
    /// # Errors
    /// A temporary file can't be written or read.
    pub(super) fn again(mut self) -> io::Result<Option<(Position, Position)>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.newest.sort_unstable();
        let mut sorted: Vec<Box<dyn Iterator<Item = io::Result<Used>>>> =
            vec![Box::new(self.newest.into_iter().map(Ok))];
        sorted.extend(self.files.into_iter().map(|file| Box::new(read(file)) as Box<dyn Iterator<Item = _>>));
        let mut next = BinaryHeap::new();
        for (index, keys) in sorted.iter_mut().enumerate() {
            next.extend(keys.next().transpose()?.map(|used| Reverse((used, index))));
        }
        let (mut before, mut found): (Option<Used>, Option<(u64, u64)>) = (None, None);
        while let Some(Reverse((used, index))) = next.pop() {
            // In the order of keys, and of one key in the order of positions.
            match before {
                Some((key, first)) if key == used.0 => {
                    let again = (used.1, first);
                    found = Some(found.map_or(again, |found| found.min(again)));
                }
                _ => before = Some(used),
            }
            next.extend(sorted[index].next().transpose()?.map(|used| Reverse((used, index))));
        }
        Ok(found.map(|(again, first)| (Position::new(again), Position::new(first))))
    }
}

/// The keys of a file, as they were written.
fn read(file: File) -> impl Iterator<Item = io::Result<Used>> {
    let mut file = BufReader::new(file);
    std::iter::from_fn(move || {
        let mut bytes = [0; WIDTH];
        match file.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(error) => return Some(Err(error)),
        }
        let (mut key, mut position) = (KeyMark::default(), [0; 8]);
        key.copy_from_slice(&bytes[..16]);
        position.copy_from_slice(&bytes[16..]);
        Some(Ok((key, u64::from_be_bytes(position))))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_repetition_is_found(keys in proptest::collection::vec(0u8..200, 0..60), run in 1usize..20) {
            let mut used = KeysUsed::with_run(run);
            let mut expected = None;
            for (index, key) in keys.iter().enumerate() {
                let first = keys.iter().position(|other| other == key).unwrap();
                if first < index && expected.is_none() {
                    expected = Some((Position::new(index as u64 + 1), Position::new(first as u64 + 1)));
                }
                used.add([*key; 16], Position::new(index as u64 + 1));
            }
            prop_assert_eq!(used.again().unwrap(), expected);
        }
    }
}
