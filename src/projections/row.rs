//! A row of the read table, between its columns and [`Task`].

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, FromRow, Postgres, Type};
use uuid::Uuid;

use crate::domain::json::{Json, ParseLimits};
use crate::domain::metadata::{MAX_DEPTH, Metadata};
use crate::domain::position::{Position, Version};
use crate::domain::status::Status;
use crate::domain::task::Task;
use crate::domain::text::{Assignee, Description, TaskFamily, TaskType, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// The columns in SQL, as [`TaskRow`] reads them. Metadata comes as text, so that every digit does.
macro_rules! columns {
    () => {
        "t.id, t.vtid, t.task_family, t.task_type, t.description, t.status, t.assigned_to, t.tenant, \
         t.metadata::text as metadata, t.parent_vtid, t.created_at, t.updated_at, t.version, t.created_position, \
         t.position"
    };
}
pub(super) use columns;

/// A point in time as `PostgreSQL` keeps it: microseconds since 2000, also where no calendar reaches (`infinity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Micros(i64);

/// From 1970-01-01 to 2000-01-01.
const EPOCH_MILLIS: i64 = 946_684_800_000;

impl Micros {
    fn of(time: Timestamp) -> Self {
        // Invariant: a Timestamp lies within the years 1 to 9999, far from the ends of an i64.
        Self((time.millis() - EPOCH_MILLIS) * 1000)
    }

    fn timestamp(self) -> Option<Timestamp> {
        let millis = self.0.div_euclid(1000).saturating_add(EPOCH_MILLIS);
        let time = Timestamp::from_millis(millis);
        (time.millis() == millis).then_some(time)
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        <chrono::DateTime<chrono::Utc> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Micros {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        // Every query here has binds, so that results come in binary.
        let bytes: [u8; 8] = value.as_bytes()?.try_into()?;
        Ok(Self(i64::from_be_bytes(bytes)))
    }
}

/// A row, whatever somebody may have written into it by hand.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct TaskRow {
    pub(super) id: String,
    pub(super) vtid: String,
    task_family: String,
    task_type: String,
    description: String,
    status: String,
    assigned_to: Option<String>,
    tenant: String,
    metadata: Option<String>,
    parent_vtid: Option<String>,
    created_at: Micros,
    updated_at: Micros,
    version: i64,
    created_position: i64,
    position: i64,
}

/// A row of the read table holds what no task can: it was edited, and a rebuild mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row of {vtid} in the read table is damaged in column {column}: rebuild the projection")]
pub struct DamagedRow {
    /// The row's VTID, as it stands there.
    pub vtid: String,
    /// The first column that can't be read.
    pub column: &'static str,
}

/// Metadata as text, every digit as it is.
pub(super) fn print_metadata(metadata: &Metadata) -> String {
    let mut text = String::new();
    metadata.object().write_compact(&mut text);
    text
}

impl TaskRow {
    /// The row that a task should have.
    pub(super) fn of(task: &Task) -> Self {
        Self {
            id: task.id.to_string(),
            vtid: task.vtid.to_string(),
            task_family: task.family.as_str().to_owned(),
            task_type: task.kind.as_str().to_owned(),
            description: task.description.as_str().to_owned(),
            status: task.status.as_str().to_owned(),
            assigned_to: task.assigned_to.as_ref().map(|assignee| assignee.as_str().to_owned()),
            tenant: task.tenant.as_str().to_owned(),
            metadata: task.metadata.as_ref().map(print_metadata),
            parent_vtid: task.parent.map(|parent| parent.to_string()),
            created_at: Micros::of(task.created_at),
            updated_at: Micros::of(task.updated_at),
            version: task.version.to_i64(),
            created_position: task.created_position.to_i64(),
            position: task.position.to_i64(),
        }
    }

    /// The task that the row shows.
    pub(super) fn task(&self) -> Result<Task, DamagedRow> {
        let damaged = |column| DamagedRow { vtid: self.vtid.clone(), column };
        let count = |value: i64, column| u64::try_from(value).map_err(|_| damaged(column));
        Ok(Task {
            id: Uuid::parse_str(&self.id).map_err(|_| damaged("id"))?,
            vtid: Vtid::parse_possible(&self.vtid).map_err(|_| damaged("vtid"))?,
            family: TaskFamily::parse(&self.task_family).map_err(|_| damaged("task_family"))?,
            kind: TaskType::parse(&self.task_type).map_err(|_| damaged("task_type"))?,
            description: Description::parse(&self.description).map_err(|_| damaged("description"))?,
            status: Status::parse(&self.status).map_err(|_| damaged("status"))?,
            assigned_to: self
                .assigned_to
                .as_deref()
                .map(Assignee::parse)
                .transpose()
                .map_err(|_| damaged("assigned_to"))?,
            tenant: Tenant::parse(&self.tenant).map_err(|_| damaged("tenant"))?,
            metadata: self.metadata().map_err(|()| damaged("metadata"))?,
            parent: self
                .parent_vtid
                .as_deref()
                .map(Vtid::parse_possible)
                .transpose()
                .map_err(|_| damaged("parent_vtid"))?,
            created_at: self.created_at.timestamp().ok_or_else(|| damaged("created_at"))?,
            updated_at: self.updated_at.timestamp().ok_or_else(|| damaged("updated_at"))?,
            version: Version::new(count(self.version, "version")?),
            created_position: Position::new(count(self.created_position, "created_position")?),
            position: Position::new(count(self.position, "position")?),
        })
    }

    fn metadata(&self) -> Result<Option<Metadata>, ()> {
        let Some(text) = &self.metadata else { return Ok(None) };
        let parsed = Json::parse(text.as_bytes(), &ParseLimits { max_depth: MAX_DEPTH }).map_err(|_| ())?;
        match (parsed.value, parsed.faults.is_empty()) {
            (Json::Object(object), true) => Metadata::new(object).map(Some).map_err(|_| ()),
            _ => Err(()),
        }
    }

    /// The columns in which the row differs from the one that the task should have.
    pub(super) fn differences(&self, task: &Task) -> Vec<&'static str> {
        let wanted = Self::of(task);
        let columns = [
            ("id", self.id == wanted.id),
            ("vtid", self.vtid == wanted.vtid),
            ("task_family", self.task_family == wanted.task_family),
            ("task_type", self.task_type == wanted.task_type),
            ("description", self.description == wanted.description),
            ("status", self.status == wanted.status),
            ("assigned_to", self.assigned_to == wanted.assigned_to),
            ("tenant", self.tenant == wanted.tenant),
            // Never by text: jsonb prints with spaces.
            ("metadata", self.metadata().is_ok_and(|metadata| metadata == task.metadata)),
            ("parent_vtid", self.parent_vtid == wanted.parent_vtid),
            ("created_at", self.created_at == wanted.created_at),
            ("updated_at", self.updated_at == wanted.updated_at),
            ("version", self.version == wanted.version),
            ("created_position", self.created_position == wanted.created_position),
            ("position", self.position == wanted.position),
        ];
        columns.into_iter().filter(|(_, same)| !same).map(|(column, _)| column).collect()
    }
}
