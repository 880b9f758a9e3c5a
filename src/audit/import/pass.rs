//! The pass over the file that writes: what is there already is held against it, what is not goes in batch by batch.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use sqlx::{Connection, PgConnection};

use super::ImportError;
use super::batch::{Batch, Going};
use super::restored::keep_loss;
use crate::audit::error::AuditError;
use crate::audit::file::{ExportReader, FileFault, Line, LossMark, Mark};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::log::hold::Losses;
use crate::log::pages::bodies;
use crate::tlog::Hash;
use crate::tlog::key::KeyName;
use crate::tlog::tree::Tree;

/// The pass.
pub(super) struct Pass {
    connection: PgConnection,
    /// What the ledger held when the import began, or was taken up.
    found: Cursor,
    /// How far it has come.
    going: Going,
    /// The next of the records that it held.
    there: VecDeque<(Position, Arc<str>)>,
    tree: Tree,
    batch: Batch,
    /// There are few.
    given_up: Vec<LossMark>,
}

impl Pass {
    /// Into a ledger that ends at `head`. `sealed`: the logs whose tiles are kept, each with the size of its last checkpoint.
    pub(super) fn new(
        connection: PgConnection,
        head: Cursor,
        losses: Losses,
        sealed: Vec<(KeyName, u64)>,
    ) -> Self {
        Self {
            connection,
            found: head,
            // What is there already is passed over, and what belongs to it goes in beside it.
            going: Going { head, losses, sealed },
            there: VecDeque::new(),
            tree: Tree::new(),
            batch: Batch::default(),
            given_up: Vec::new(),
        }
    }

    /// Goes through the file; gives the root of the tree over its records.
    ///
    /// # Errors
    /// [`AuditError`]; what went in before stays.
    pub(super) async fn run(
        mut self,
        mut reader: ExportReader<BufReader<File>>,
        progress: &mut dyn FnMut(&'static str, u64, u64),
    ) -> Result<Hash, AuditError> {
        let events = reader.header().events;
        if self.found.position().get() > events {
            return Err(ImportError::OtherEvents(self.found.position()).into());
        }
        while let Some(line) = reader.next_line()? {
            match line {
                Line::Record(record) => {
                    let parsed = str::from_utf8(record).ok().map(|text| Recorded::parse(text.into()));
                    let position = self.tree.size() + 1;
                    let recorded = match parsed {
                        Some(Ok(recorded)) => recorded,
                        Some(Err(error)) => {
                            return Err(FileFault::Record { position, error }.at(reader.line()).into());
                        }
                        // It was looked at before.
                        None => return Err(ImportError::Changed.into()),
                    };
                    self.record(recorded).await?;
                }
                Line::Mark(Mark::Loss(loss)) => self.given_up.push(loss),
                Line::Mark(mark) => self.batch.beside.push(mark),
            }
            if self.batch.is_full() {
                self.flush().await?;
                progress("events imported", self.tree.size(), events);
            }
        }
        self.flush().await?;
        // Last: an append counts them.
        for loss in &self.given_up {
            keep_loss(&mut self.connection, loss).await?;
        }
        self.connection.close().await?;
        Ok(self.tree.root())
    }

    async fn flush(&mut self) -> Result<(), AuditError> {
        std::mem::take(&mut self.batch).put(&mut self.connection, &mut self.going).await
    }

    async fn record(&mut self, recorded: Recorded) -> Result<(), AuditError> {
        let position = recorded.event.position;
        if position <= self.found.position() {
            self.is_there(&recorded).await?;
        }
        let full = self.tree.push(crate::tlog::leaf(&recorded.body));
        let size = self.tree.size();
        self.batch.tiles.extend(full.into_iter().map(|tile| (size, tile)));
        if position > self.found.position() {
            self.batch.add(recorded);
        }
        Ok(())
    }

    /// Refuses a ledger that holds anything else in a record's place.
    async fn is_there(&mut self, recorded: &Recorded) -> Result<(), AuditError> {
        let position = recorded.event.position;
        if self.there.is_empty() {
            let after = Position::new(self.tree.size());
            self.there = bodies(&mut self.connection, after, self.found.position()).await?.into();
        }
        match self.there.pop_front() {
            Some((at, body)) if at == position && *body == *recorded.body => Ok(()),
            _ => Err(ImportError::OtherEvents(position).into()),
        }
    }
}
