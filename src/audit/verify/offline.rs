//! Verifying an exported file, without a database: as fast as it can be read and hashed, or nearly.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use super::checkpoints::Trusted;
use super::chunks::{Rest, each_line};
use super::report::{Check, CheckName, Report};
use super::walk::Walk;
use crate::audit::file::{FileFault, Header, Line, MAX_LINE, MAX_MARKS, Mark, parse_header};
use crate::audit::glance::{Glance, KeyMark, Scratch, key_mark};
use crate::domain::lawful::Fact;
use crate::domain::origin::Idempotency;
use crate::domain::record::{LedgerId, RecordError, Recorded};
use crate::tlog::Hash;

/// What one line is, as far as it can be told without those before it.
enum Looked {
    Record(Hash, Found),
    Mark(Box<Mark>),
    Unknown(FileFault),
}

/// What a record holds.
enum Found {
    Glanced(Glance),
    /// One that the quick look does not know; rare, so it may be large.
    Parsed(Box<(Recorded, LedgerId)>),
    Unreadable(RecordError),
}

impl Looked {
    fn at(line: &[u8], scratch: &mut Scratch) -> Self {
        if line.len() >= MAX_LINE {
            return Self::Unknown(FileFault::TooLong);
        }
        match Line::parse(line) {
            Ok(Line::Record(record)) => {
                Self::Record(tlog_tiles::record_hash(record), Found::at(record, scratch))
            }
            Ok(Line::Mark(mark)) => Self::Mark(Box::new(mark)),
            Err(fault) => Self::Unknown(fault),
        }
    }
}

impl Found {
    fn at(record: &[u8], scratch: &mut Scratch) -> Self {
        if let Some(glance) = Glance::at(record, scratch) {
            return Self::Glanced(glance);
        }
        let Ok(text) = str::from_utf8(record) else { return Self::Unreadable(RecordError::NotAnObject) };
        match Recorded::parse_with_source(Arc::from(text)) {
            Ok(parsed) => Self::Parsed(Box::new(parsed)),
            Err(error) => Self::Unreadable(error),
        }
    }
}

/// The mark of the key that an event bears.
pub(super) fn key_of(recorded: &Recorded) -> Option<KeyMark> {
    let origin = &recorded.event.origin;
    let Idempotency { key, .. } = origin.idempotency.as_ref()?;
    Some(key_mark(origin.actor.id.as_str(), key.as_str()))
}

/// Looks at all of an export. Tells `progress` the bytes that were read, now and then.
///
/// # Errors
/// The file can't be read. Whatever is wrong with what it says is in the report.
pub fn verify_file(
    source: impl Read + Send,
    trusted: Trusted,
    mut progress: impl FnMut(u64),
) -> io::Result<Report> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let mut first = Vec::new();
    source.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut first)?;
    let mut file = Check::new(CheckName::File);
    let line = first.strip_suffix(b"\n").ok_or(FileFault::Header);
    let header = match line.and_then(parse_header) {
        Ok(header) => header,
        Err(fault) => {
            file.wrong(None, Some(1), fault.to_string());
            return Ok(Walk::new(LedgerId(uuid::Uuid::nil()), trusted).end(Some(file)));
        }
    };
    let mut pass = Pass::new(&header, trusted, file);
    let mut bytes = first.len() as u64;
    let rest = each_line(source, Looked::at, |line, looked| {
        pass.line(line, looked);
        bytes += line.len() as u64 + 1;
        if pass.line.is_multiple_of(4096) {
            progress(bytes);
        }
        Ok(())
    })?;
    Ok(pass.end(&rest))
}

/// The pass through the file, in order.
struct Pass {
    walk: Walk,
    file: Check,
    /// The number of the last line, from 1.
    line: u64,
    said: u64,
    ledger: LedgerId,
    records: u64,
    /// Keys and losses so far, which are kept in memory.
    kept: [u32; 2],
    ended: bool,
}

impl Pass {
    fn new(header: &Header, trusted: Trusted, file: Check) -> Self {
        let walk = Walk::new(header.ledger(), trusted);
        let (said, ledger) = (header.events, header.ledger());
        Self { walk, file, line: 1, said, ledger, records: 0, kept: [0; 2], ended: false }
    }

    fn line(&mut self, line: &[u8], looked: &Looked) {
        self.line += 1;
        self.file.looked_at = self.line;
        let number = Some(self.line);
        if self.ended {
            return self.file.wrong(None, number, "something follows the last line");
        }
        match looked {
            Looked::Record(leaf, found) => {
                if self.walk.sums_overdue() {
                    self.walk.sums_missing(self.line);
                }
                self.records += 1;
                let read = match found {
                    Found::Glanced(glance) => Ok((glance.fact(line), glance.key())),
                    Found::Parsed(parsed) => Ok((Fact::of(&parsed.0, parsed.1), key_of(&parsed.0))),
                    Found::Unreadable(error) => Err(error),
                };
                self.walk.record(number, *leaf, read);
            }
            Looked::Mark(mark) => self.mark(mark),
            Looked::Unknown(fault) => {
                let position = Some(self.walk.next());
                self.file.wrong(position, number, fault.to_string());
            }
        }
    }

    fn mark(&mut self, mark: &Mark) {
        let number = Some(self.line);
        match mark {
            Mark::Key(key) => {
                if self.may_keep(0) {
                    self.walk.key(key, number);
                }
            }
            Mark::Loss(loss) => {
                if self.may_keep(1) {
                    self.walk.loss(loss.clone());
                }
            }
            Mark::Sums(sums) => self.walk.sums(self.line, sums),
            Mark::Checkpoint(checkpoint) => {
                self.walk.checkpoint(checkpoint, number, self.records >= self.said);
            }
            Mark::Cosignature(cosignature) => self.walk.cosignature(cosignature, number),
            Mark::End(end) => {
                self.ended = true;
                let found = self.records;
                for said in [self.said, end.events] {
                    if said != found && !self.file.is_bad() {
                        let position = Some(self.walk.next());
                        self.file.wrong(position, number, FileFault::Count { said, found }.to_string());
                    }
                }
                if end.ledger != self.ledger.0 {
                    self.file.wrong(None, number, "the first line names another ledger than the last");
                }
                self.walk.end_mark(self.line, end);
            }
        }
    }

    /// Whether one more key or loss is where an export has it, and not too many: memory is bounded whatever the file says.
    fn may_keep(&mut self, which: usize) -> bool {
        self.kept[which] = self.kept[which].saturating_add(1);
        let may = self.records == 0 && self.kept[which] <= MAX_MARKS;
        if !may {
            let what =
                format!("keys and losses stand in front of the records, no more than {MAX_MARKS} of each");
            self.file.wrong(None, Some(self.line), what);
        }
        may
    }

    fn end(mut self, rest: &Rest) -> Report {
        let next = Some(self.line + 1);
        match rest {
            Rest::TooLong => self.file.wrong(Some(self.walk.next()), next, FileFault::TooLong.to_string()),
            Rest::TooMany => {
                self.file.wrong(Some(self.walk.next()), next, "no export has so many lines in so few bytes");
            }
            Rest::Cut => self.file.wrong(Some(self.walk.next()), next, FileFault::Cut.to_string()),
            Rest::Whole if !self.ended => {
                self.file.wrong(Some(self.walk.next()), next, FileFault::Cut.to_string());
            }
            Rest::Whole => {}
        }
        self.walk.end(Some(self.file))
    }
}
