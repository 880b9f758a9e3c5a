//! The columns of a row of the log beside its record, which alone counts.

use crate::domain::event::Event;
use crate::domain::text::Tenant;
use crate::log::pages::StoredEvent;

/// The columns that say something else than the record does.
pub(super) fn differences(row: &StoredEvent, event: &Event) -> Vec<&'static str> {
    let actor = &event.origin.actor;
    let idempotency = event.origin.idempotency.as_ref();
    let columns = [
        ("position", row.position == event.position.to_i64()),
        ("event_id", row.event_id == event.id),
        ("vtid", row.vtid == event.vtid.to_string()),
        ("version", row.version == event.version.to_i64()),
        ("type", row.r#type == event.data.event_type().as_str()),
        ("tenant", row.tenant == event.tenant.as_str()),
        ("actor", row.actor == actor.id.as_str()),
        ("actor_role", row.actor_role == actor.role.as_str()),
        ("actor_tenant", row.actor_tenant.as_deref() == actor.tenant.as_ref().map(Tenant::as_str)),
        ("idempotency_key", row.idempotency_key.as_deref() == idempotency.map(|given| given.key.as_str())),
        ("request_hash", row.request_hash == idempotency.map(|given| given.hash.to_string())),
        ("recorded_at", row.recorded_ms == Some(event.recorded_at.millis())),
    ];
    columns.into_iter().filter(|(_, same)| !same).map(|(column, _)| column).collect()
}
