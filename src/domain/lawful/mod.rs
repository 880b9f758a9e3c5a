//! The rules that every event of a log keeps, given those before it: whatever [`super::decide`] accepts and the writer
//! appends is lawful, and a log that was edited past the writer is likely not.
//!
//! Pure, and small: eight bytes a task, whatever their events hold. So two things are left to those who fold whole
//! states: that merged metadata stays within its limits, and the values of fields. That no caller uses a key twice is
//! looked at by whoever can keep so many keys.

mod breach;
mod fact;
mod ids;
mod tasks;

pub use breach::{Breach, Rule};
pub use fact::{Asked, Fact, Text};
use ids::Ids;
use tasks::{TaskState, Tasks, Tenants};

use super::command::ParentRef;
use super::numbering::Numbering;
use super::origin::Role;
use super::position::{Position, Version};
use super::record::LedgerId;
use super::status::Status;
use super::time::Timestamp;
use super::vtid::Vtid;

/// A log, read from its first event on, as far as it was lawful.
pub struct Lawful {
    ledger: LedgerId,
    /// Events of another ledger come before those of this one, if at all.
    foreign: u64,
    last: Position,
    time: Timestamp,
    /// The ids of the events whose time is that of the last one. An id holds its event's time, and times never run
    /// backwards, so that an id can be given twice only within a millisecond.
    ids: Ids,
    numbering: Numbering,
    tasks: Tasks,
    tenants: Tenants,
    /// What must follow at once.
    owed: Option<Owed>,
}

/// A task was created as complete: this request completes it with the next event.
struct Owed {
    vtid: Vtid,
    time: Timestamp,
    actor: Vec<u8>,
    role: Role,
    actor_tenant: Option<Vec<u8>>,
    request: Vec<u8>,
}

impl Lawful {
    /// Before the first event of `ledger`.
    #[must_use]
    pub fn new(ledger: LedgerId) -> Self {
        Self {
            ledger,
            foreign: 0,
            last: Position::ZERO,
            time: Timestamp::MIN,
            ids: Ids::default(),
            numbering: Numbering::default(),
            tasks: Tasks::default(),
            tenants: Tenants::default(),
            owed: None,
        }
    }

    /// The last event that was lawful.
    #[must_use]
    pub fn last(&self) -> Position {
        self.last
    }

    /// How many events, the first ones, another ledger recorded.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`Breach`]: the first rule that it breaks. What follows can't be judged any more: do not go on.
    pub fn admit(&mut self, fact: &Fact) -> Result<(), Breach> {
        let position = self.last.next();
        self.judge(position, fact).map_err(|rule| Breach { position, rule })?;
        self.last = position;
        Ok(())
    }

    /// The log ends here.
    ///
    /// # Errors
    /// [`Breach`], if it can't.
    pub fn end(&self) -> Result<(), Breach> {
        match &self.owed {
            Some(owed) => {
                Err(Breach { position: self.last.next(), rule: Rule::CompletionMissing(owed.vtid) })
            }
            None => Ok(()),
        }
    }

    fn judge(&mut self, position: Position, fact: &Fact) -> Result<(), Rule> {
        if fact.position != position {
            return Err(Rule::Position(fact.position));
        }
        self.source(fact)?;
        self.time_and_id(fact)?;
        let completes_create = match &self.owed {
            None => false,
            Some(owed) if owed.is_paid_by(fact) => {
                self.owed = None;
                true
            }
            Some(owed) => return Err(Rule::CompletionMissing(owed.vtid)),
        };
        match fact.asked {
            Asked::Create { tenant, status, parent } => self.create(fact, tenant, status, parent),
            Asked::Patch { .. } => self.patch(fact, completes_create),
        }
    }

    fn source(&mut self, fact: &Fact) -> Result<(), Rule> {
        if fact.source != self.ledger {
            if self.last.get() > self.foreign {
                return Err(Rule::Source);
            }
            self.foreign += 1;
        }
        Ok(())
    }

    fn time_and_id(&mut self, fact: &Fact) -> Result<(), Rule> {
        if fact.time < self.time {
            return Err(Rule::Time { last: self.time, found: fact.time });
        }
        let millis = u128::try_from(fact.time.millis()).unwrap_or(0);
        if fact.id.as_u128() >> 80 != millis || fact.id.get_version_num() != 7 {
            return Err(Rule::Id);
        }
        if fact.time > self.time {
            self.ids.clear();
            self.time = fact.time;
        }
        if self.ids.add(fact.id.as_u128()) { Ok(()) } else { Err(Rule::IdAgain) }
    }

    fn create(
        &mut self,
        fact: &Fact,
        tenant: Text,
        status: Status,
        parent: Option<ParentRef>,
    ) -> Result<(), Rule> {
        let (vtid, version) = (fact.vtid, Version::ZERO.next());
        if self.tasks.place(vtid).is_some() {
            return Err(Rule::CreatedAgain(vtid));
        }
        let expected = self.numbering.give_out(fact.time);
        if vtid != expected {
            return Err(Rule::Number { expected, found: vtid });
        }
        if fact.version != version {
            return Err(Rule::Version { vtid, expected: version, found: fact.version });
        }
        if fact.tenant != tenant {
            let (task, found) = (tenant.as_str().to_owned(), fact.tenant.as_str().to_owned());
            return Err(Rule::Tenant { vtid, task, found });
        }
        match parent {
            Some(ParentRef::Task(parent)) if self.tasks.place(parent).is_none() => return Err(Rule::Parent),
            Some(ParentRef::NeverAssigned) => return Err(Rule::Parent),
            _ => {}
        }
        if status == Status::Complete {
            if fact.has_key {
                return Err(Rule::KeyTooEarly);
            }
            self.owed = Some(Owed::by(fact));
        }
        let tenant = self.tenants.number(tenant);
        self.tasks.add(vtid, TaskState { version, status, tenant });
        Ok(())
    }

    fn patch(&mut self, fact: &Fact, completes_create: bool) -> Result<(), Rule> {
        let vtid = fact.vtid;
        let Asked::Patch { completes, status, .. } = fact.asked else { return Ok(()) };
        let place = self.tasks.place(vtid).ok_or(Rule::NeverCreated(vtid))?;
        let task = self.tasks.get(place);
        let expected = task.version.next();
        if fact.version != expected {
            return Err(Rule::Version { vtid, expected, found: fact.version });
        }
        let tenant = self.tenants.name(task.tenant);
        if fact.tenant != tenant {
            let (task, found) = (tenant.as_str().to_owned(), fact.tenant.as_str().to_owned());
            return Err(Rule::Tenant { vtid, task, found });
        }
        if completes_create {
            self.tasks.set(place, TaskState { version: expected, ..task });
            return Ok(());
        }
        let may_patch = match fact.role {
            Role::ServiceRole | Role::Admin => true,
            Role::Authenticated => fact.actor_tenant == Some(tenant),
        };
        if !may_patch {
            let (actor, role, tenant) =
                (fact.actor.as_str().to_owned(), fact.role.as_str(), tenant.as_str().to_owned());
            return Err(Rule::Tenancy { actor, role, vtid, tenant });
        }
        let to = status.unwrap_or(task.status);
        if !task.status.may_become(to) {
            return Err(Rule::Transition { vtid, from: task.status, to });
        }
        match (completes, to == Status::Complete && task.status != Status::Complete) {
            (true, false) => return Err(Rule::CompletesNothing(vtid)),
            (false, true) => return Err(Rule::CompletesUnsaid(vtid)),
            _ => {}
        }
        self.tasks.set(place, TaskState { version: expected, status: to, tenant: task.tenant });
        Ok(())
    }
}

impl Owed {
    fn by(fact: &Fact) -> Self {
        Self {
            vtid: fact.vtid,
            time: fact.time,
            actor: fact.actor.0.to_owned(),
            role: fact.role,
            actor_tenant: fact.actor_tenant.map(|tenant| tenant.0.to_owned()),
            request: fact.request.0.to_owned(),
        }
    }

    fn is_paid_by(&self, fact: &Fact) -> bool {
        fact.asked == Asked::Patch { completes: true, status: None, is_empty: true }
            && fact.vtid == self.vtid
            && fact.time == self.time
            && fact.actor.0 == self.actor
            && fact.role == self.role
            && fact.actor_tenant.map(|tenant| tenant.0) == self.actor_tenant.as_deref()
            && fact.request.0 == self.request
    }
}
