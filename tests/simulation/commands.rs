//! The callers' commands, parsed once.

use std::sync::{Arc, LazyLock};

use vtid_ledger::domain::command::{Action, Command, Expected, PatchTask};
use vtid_ledger::domain::decide::Refusal;
use vtid_ledger::domain::origin::{Idempotency, IdempotencyKey, Origin, RequestHash, RequestId};
use vtid_ledger::domain::payload::Fault;
use vtid_ledger::domain::position::Version;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::writer::machine::Ticket;

use crate::support::commands::{create, origin, patch, some_create};

/// What a database check refuses, wherever it stands.
pub(super) const POISON: &str = "poison";

/// Patches, whatever task they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Patch {
    Complete,
    Activate,
    Block,
    /// Puts something into the metadata.
    Note,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    Create,
    /// Two events: a task that is complete from the start.
    CreateComplete,
    CreateUnder(Vtid),
    /// What the database refuses.
    Poison,
    Patch(Vtid, Patch),
    /// If the task is at this version.
    PatchAt(Vtid, Patch, u64),
    /// What is no command at all.
    Nonsense,
}

/// The caller's key, and whether it asks for the one thing or the other.
pub(super) type Key = Option<(u8, bool)>;

struct Prepared {
    create: Action,
    complete: Action,
    poison: Action,
    patches: [PatchTask; 4],
    origin: Origin,
    keys: Vec<IdempotencyKey>,
}

impl Prepared {
    fn patch(&self, patch: Patch) -> PatchTask {
        self.patches[patch as usize].clone()
    }
}

static PREPARED: LazyLock<Prepared> = LazyLock::new(|| {
    let of_patch = |body: &str| match patch(Vtid::first_of(2026), body).action {
        Action::Patch(_, patch, _) => patch,
        Action::Create(_) | Action::Refuse(_) => unreachable!("a patch is a patch"),
    };
    Prepared {
        create: some_create("a task").action,
        complete: create(
            r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","status":"complete"}"#,
        )
        .action,
        poison: some_create(POISON).action,
        patches: [
            of_patch(r#"{"status":"complete"}"#),
            of_patch(r#"{"status":"active"}"#),
            of_patch(r#"{"status":"blocked","assignedTo":"somebody"}"#),
            of_patch(r#"{"metadata":{"note":1}}"#),
        ],
        origin: origin("0"),
        keys: (0..6).map(|n| IdempotencyKey::parse(&format!("key-{n}")).unwrap()).collect(),
    }
});

/// The command of one request.
pub(super) fn command(ticket: Ticket, ask: Ask, key: Key) -> Arc<Command> {
    let prepared = &*PREPARED;
    let action = match ask {
        Ask::Create => prepared.create.clone(),
        Ask::CreateComplete => prepared.complete.clone(),
        Ask::CreateUnder(parent) => {
            let mut action = prepared.create.clone();
            if let Action::Create(create) = &mut action {
                Arc::make_mut(create).parent = Some(vtid_ledger::domain::command::ParentRef::Task(parent));
            }
            action
        }
        Ask::Poison => prepared.poison.clone(),
        Ask::Patch(vtid, patch) => Action::Patch(vtid, prepared.patch(patch), Expected::Any),
        Ask::PatchAt(vtid, patch, version) => {
            let expected = Expected::OneOf([Version::new(version)].into());
            Action::Patch(vtid, prepared.patch(patch), expected)
        }
        Ask::Nonsense => Action::Refuse(Refusal::Payload(vec![Fault::of_field("status", "is nonsense")])),
    };
    let mut origin = prepared.origin.clone();
    origin.request_id = RequestId::parse(&ticket.to_string()).unwrap();
    origin.idempotency = key.map(|(key, one)| Idempotency {
        key: prepared.keys[usize::from(key)].clone(),
        hash: RequestHash([u8::from(one); 32]),
    });
    Arc::new(Command { action, origin })
}
