//! A stand-in with the signatures of the projections branch, until it is merged.
#![allow(missing_docs, unused, clippy::pedantic)]

use super::page::{ListQuery, PageCursor};
use super::status::ProjectorStatus;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use sqlx::PgPool;
use tokio::sync::watch;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<T> {
    pub value: T,
    pub position: Position,
}

#[derive(Debug, Clone, Default)]
pub struct Page {
    pub tasks: Vec<Task>,
    pub next: Option<PageCursor>,
}

#[derive(Debug, thiserror::Error)]
#[error("damaged")]
pub struct DamagedRow;

#[derive(Debug, thiserror::Error)]
pub enum ReadFailure {
    #[error("the read table is behind")]
    Behind,
    #[error("the read table can't be read: {0}")]
    Unavailable(#[from] sqlx::Error),
    #[error(transparent)]
    Damaged(#[from] DamagedRow),
}

#[derive(Clone)]
pub struct Reader {
    pool: PgPool,
}

impl Reader {
    pub fn acknowledging(
        pool: PgPool,
        _: watch::Receiver<ProjectorStatus>,
        _: impl Fn() -> Position + Send + Sync + 'static,
    ) -> Self {
        Self { pool }
    }

    pub async fn get(&self, _: Vtid, _: Position) -> Result<Shown<Option<Task>>, ReadFailure> {
        self.pool.acquire().await?;
        Err(ReadFailure::Behind)
    }

    pub async fn list(&self, _: &ListQuery, _: Position) -> Result<Shown<Page>, ReadFailure> {
        self.pool.acquire().await?;
        Err(ReadFailure::Behind)
    }
}
