//! What is remembered of each task: eight bytes.

use super::fact::Text;
use crate::domain::position::Version;
use crate::domain::status::Status;
use crate::domain::vtid::Vtid;

/// A tenant's number among those seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TenantNumber(u32);

/// What is known of a task after its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskState {
    pub(super) version: Version,
    pub(super) status: Status,
    pub(super) tenant: TenantNumber,
}

/// A version in 32 bits, a tenant in 29, a status in 3.
#[derive(Clone, Copy)]
struct Packed {
    version: u32,
    tenant_and_status: u32,
}

/// Every task so far, by its number: numbers have no gaps, so a task's place follows from its number.
#[derive(Default)]
pub(super) struct Tasks {
    /// Each year with tasks, and the place of its first one; in order.
    years: Vec<(u16, usize)>,
    tasks: Vec<Packed>,
}

impl Tasks {
    /// The place of a task; none if it does not exist.
    pub(super) fn place(&self, vtid: Vtid) -> Option<usize> {
        // Nearly all are of the last year or two.
        let at = self.years.iter().rposition(|(year, _)| *year == vtid.year())?;
        let (first, end) =
            (self.years[at].1, self.years.get(at + 1).map_or(self.tasks.len(), |(_, first)| *first));
        let index = usize::try_from(vtid.number() - 1).ok()?;
        (index < end - first).then_some(first + index)
    }

    pub(super) fn get(&self, place: usize) -> TaskState {
        let Packed { version, tenant_and_status } = self.tasks[place];
        TaskState {
            version: Version::new(u64::from(version)),
            status: Status::ALL[(tenant_and_status & 7) as usize],
            tenant: TenantNumber(tenant_and_status >> 3),
        }
    }

    pub(super) fn set(&mut self, place: usize, state: TaskState) {
        self.tasks[place] = pack(state);
    }

    /// Adds the task that comes next in the order of numbers.
    pub(super) fn add(&mut self, vtid: Vtid, state: TaskState) {
        if self.years.last().is_none_or(|(year, _)| *year != vtid.year()) {
            self.years.push((vtid.year(), self.tasks.len()));
        }
        self.tasks.push(pack(state));
    }
}

fn pack(TaskState { version, status, tenant }: TaskState) -> Packed {
    // In the order of Status::ALL, as the cast of a plain enum is. Versions past 2³² would need as many events of one
    // task: the next one is then told as a breach rather than passed.
    Packed {
        version: u32::try_from(version.get()).unwrap_or(u32::MAX),
        tenant_and_status: tenant.0 << 3 | status as u32,
    }
}

/// The tenants seen, each kept once.
#[derive(Default)]
pub(super) struct Tenants {
    names: Vec<Box<[u8]>>,
    numbers: std::collections::HashMap<Box<[u8]>, TenantNumber>,
}

impl Tenants {
    pub(super) fn number(&mut self, name: Text) -> TenantNumber {
        if let Some(number) = self.numbers.get(name.0) {
            return *number;
        }
        // Invariant: there are fewer tenants than 2²⁹, whose names alone would fill the memory.
        let number = TenantNumber(u32::try_from(self.names.len()).unwrap_or(u32::MAX >> 3));
        self.names.push(name.0.into());
        self.numbers.insert(name.0.into(), number);
        number
    }

    pub(super) fn name(&self, number: TenantNumber) -> Text<'_> {
        Text(self.names.get(number.0 as usize).map_or(&[], |name| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_from_numbers_and_states_come_back() {
        let (mut tasks, mut tenants) = (Tasks::default(), Tenants::default());
        let mut expected = Vec::new();
        for (n, year) in [2025, 2025, 2025, 2026, 2028, 2028].into_iter().enumerate() {
            let first = Vtid::first_of(year);
            let vtid = if tasks.place(first).is_none() {
                first
            } else {
                expected.last().map_or(first, |(vtid, _): &(Vtid, TaskState)| vtid.next())
            };
            let state = TaskState {
                version: Version::new(n as u64 + 1),
                status: Status::ALL[n % 5],
                tenant: tenants.number(["a", "b", "a"][n % 3].into()),
            };
            tasks.add(vtid, state);
            expected.push((vtid, state));
        }
        for (place, (vtid, state)) in expected.iter().enumerate() {
            assert_eq!(tasks.place(*vtid), Some(place), "{vtid}");
            assert_eq!(tasks.get(place), *state, "{vtid}");
        }
        assert_eq!(tenants.name(tenants.numbers[b"b".as_slice()]).as_str(), "b");
        for missing in ["VTID-2025-0004", "VTID-2026-0002", "VTID-2027-0001", "VTID-2024-0001"] {
            assert_eq!(tasks.place(Vtid::parse_possible(missing).unwrap()), None, "{missing}");
        }
    }
}
