//! An export's lines one after the other, in bounded memory.

use std::io::BufRead;

use memchr::memchr;

use super::fault::{FileError, FileFault};
use super::marks::{EndMark, Header, Mark};
use crate::audit::glance::RECORD_BEGINS;

/// Bytes of a line at most, its line feed included: those of the largest record.
pub const MAX_LINE: usize = 65_536;

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A record.
    Record(&'a [u8]),
    /// Anything else.
    Mark(Mark),
}

impl<'a> Line<'a> {
    /// Tells what a line is, without its line feed.
    ///
    /// # Errors
    /// [`FileFault::Unknown`]
    pub fn parse(line: &'a [u8]) -> Result<Self, FileFault> {
        if line.starts_with(RECORD_BEGINS) {
            return Ok(Self::Record(line));
        }
        serde_json::from_slice(line).map(Self::Mark).map_err(|error| FileFault::Unknown(error.to_string()))
    }
}

/// Reads one line into `into`, without its line feed; false at the end of the file.
fn read_line(source: &mut impl BufRead, into: &mut Vec<u8>) -> Result<bool, FileFault> {
    into.clear();
    loop {
        let available = source.fill_buf()?;
        if available.is_empty() {
            return if into.is_empty() { Ok(false) } else { Err(FileFault::Cut) };
        }
        let end = memchr(b'\n', available);
        let taken = end.unwrap_or(available.len());
        if into.len() + taken >= MAX_LINE {
            return Err(FileFault::TooLong);
        }
        into.extend_from_slice(&available[..taken]);
        source.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// An export, line by line. Sees that it is whole; not that its records are right, for which there is
/// [`crate::audit::verify`].
pub struct ExportReader<R> {
    source: R,
    buffer: Vec<u8>,
    header: Header,
    /// Lines read so far.
    line: u64,
    records: u64,
    end: Option<EndMark>,
}

impl<R: BufRead> ExportReader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn open(mut source: R) -> Result<Self, FileError> {
        let mut buffer = Vec::new();
        let header = read_header(&mut source, &mut buffer).map_err(|fault| fault.at(1))?;
        Ok(Self { source, buffer, header, line: 1, records: 0, end: None })
    }

    /// The first line.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of the line that was read last, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// How many records were read.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next line; none after the last.
    ///
    /// # Errors
    /// [`FileError`]; nothing that follows can be trusted.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, FileError> {
        self.line += 1;
        let line = self.line;
        let more = read_line(&mut self.source, &mut self.buffer).map_err(|fault| fault.at(line))?;
        match (more, &self.end) {
            (false, Some(_)) => return Ok(None),
            (false, None) => return Err(FileFault::Cut.at(line)),
            (true, Some(_)) => return Err(FileFault::Misplaced("what follows the last line").at(line)),
            (true, None) => {}
        }
        let parsed = Line::parse(&self.buffer).map_err(|fault| fault.at(line))?;
        match &parsed {
            Line::Record(_) => self.records += 1,
            Line::Mark(Mark::End(end)) => {
                let (said, found) = (end.events, self.records);
                if found != said || found != self.header.events {
                    let said = if found == said { self.header.events } else { said };
                    return Err(FileFault::Count { said, found }.at(line));
                }
                self.end = Some(end.clone());
            }
            Line::Mark(_) => {}
        }
        Ok(Some(parsed))
    }
}

fn read_header(source: &mut impl BufRead, buffer: &mut Vec<u8>) -> Result<Header, FileFault> {
    match read_line(source, buffer) {
        Ok(true) => {}
        // Any other file: its first line may be of any length.
        Ok(false) | Err(FileFault::Cut | FileFault::TooLong) => return Err(FileFault::Header),
        Err(error) => return Err(error),
    }
    parse_header(buffer)
}

/// Reads the first line, without its line feed.
///
/// # Errors
/// [`FileFault::Header`]
pub fn parse_header(line: &[u8]) -> Result<Header, FileFault> {
    let header: Header = serde_json::from_slice(line).map_err(|_| FileFault::Header)?;
    if header.is_known() { Ok(header) } else { Err(FileFault::Header) }
}
