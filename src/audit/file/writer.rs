//! Writing an export line by line.

use std::io::Write;

use super::marks::{EndMark, Header, Mark, SUMS_EVERY, sum};
use crate::tlog::tree::Tree;
use crate::tlog::{Hash, leaf};

/// An export that is being written. Keeps the tree's right edge and the sums of the last records: no more.
pub struct ExportWriter<W> {
    out: W,
    header: Header,
    tree: Tree,
    sums: String,
}

impl<W: Write> ExportWriter<W> {
    /// Writes the first line.
    ///
    /// # Errors
    /// Whatever the output says.
    pub fn begin(out: W, header: Header) -> std::io::Result<Self> {
        let mut writer = Self { out, header, tree: Tree::new(), sums: String::new() };
        let header = serde_json::to_string(&writer.header)?;
        writer.line(&header)?;
        Ok(writer)
    }

    /// Writes the next record, and the sums where they are due.
    ///
    /// # Errors
    /// Whatever the output says.
    pub fn record(&mut self, record: &str) -> std::io::Result<()> {
        self.line(record)?;
        let leaf = leaf(record);
        self.tree.push(leaf);
        self.sums.push_str(str::from_utf8(&sum(&leaf)).unwrap_or_default());
        let written = self.tree.size();
        if written.is_multiple_of(SUMS_EVERY) || written == self.header.events {
            let sums = std::mem::take(&mut self.sums);
            self.mark(&Mark::Sums(sums))?;
        }
        Ok(())
    }

    /// Writes any other line.
    ///
    /// # Errors
    /// Whatever the output says.
    pub fn mark(&mut self, mark: &Mark) -> std::io::Result<()> {
        let line = serde_json::to_string(mark)?;
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> std::io::Result<()> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// How many records were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.tree.size()
    }

    /// Writes the last line; gives the output back, and the tree's root over all records.
    ///
    /// # Errors
    /// Whatever the output says.
    pub fn end(mut self) -> std::io::Result<(W, Hash)> {
        let root = self.tree.root();
        let (ledger, events) = (self.header.ledger().0, self.tree.size());
        self.mark(&Mark::End(EndMark { ledger, events, root: root.to_string() }))?;
        self.out.flush()?;
        Ok((self.out, root))
    }
}
