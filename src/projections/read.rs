//! A stand-in with the signatures of the projections branch, until it is merged.
#![allow(missing_docs, clippy::unused_async, clippy::missing_errors_doc)]

use crate::domain::command::ParentRef;
use crate::domain::position::Position;
use crate::domain::status::Status;
use crate::domain::task::Task;
use crate::domain::text::{Assignee, TaskFamily, TaskType, Tenant};
use crate::domain::vtid::ParsedVtid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<T> {
    pub value: T,
    pub position: Position,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadFailure {
    #[error("behind")]
    Behind,
    #[error("unavailable: {0}")]
    Unavailable(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    pub family: Option<TaskFamily>,
    pub kind: Option<TaskType>,
    pub status: Option<Status>,
    pub tenant: Option<Tenant>,
    pub assigned_to: Option<Assignee>,
    pub parent: Option<ParentRef>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCursor(String);

#[derive(Debug, thiserror::Error)]
#[error("is not a cursor that a list with these filters gave")]
pub struct BadCursor;

impl PageCursor {
    pub fn parse(text: &str, _: &Filters) -> Result<Self, BadCursor> {
        text.strip_prefix("c").map(|rest| Self(rest.to_owned())).ok_or(BadCursor)
    }
}

impl std::fmt::Display for PageCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    pub filters: Filters,
    pub limit: usize,
    pub cursor: Option<PageCursor>,
}

#[derive(Debug, Clone)]
pub struct Page {
    pub tasks: Vec<Task>,
    pub next: Option<PageCursor>,
}

#[derive(Clone, Default)]
pub struct Reader;

impl Reader {
    pub async fn get(&self, _: ParsedVtid, _: Position) -> Result<Shown<Option<Task>>, ReadFailure> {
        Err(ReadFailure::Unavailable("stand-in".to_owned()))
    }

    pub async fn list(&self, _: &ListQuery, _: Position) -> Result<Shown<Page>, ReadFailure> {
        Err(ReadFailure::Behind)
    }
}
