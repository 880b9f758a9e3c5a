//! What a list asks for, and the cursor from one page to the next.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::command::ParentRef;
use crate::domain::position::Position;
use crate::domain::status::Status;
use crate::domain::task::Task;
use crate::domain::text::{Assignee, TaskFamily, TaskType, Tenant};
use crate::domain::time::Timestamp;

/// Which tasks a list shows: those that match every filter given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filters {
    /// `taskFamily`
    pub family: Option<TaskFamily>,
    /// `taskType`
    pub kind: Option<TaskType>,
    /// `status`
    pub status: Option<Status>,
    /// `tenant`
    pub tenant: Option<Tenant>,
    /// `assignedTo`
    pub assigned_to: Option<Assignee>,
    /// `parentVtid`
    pub parent: Option<ParentRef>,
}

impl Filters {
    /// How many are given.
    pub(super) fn count(&self) -> usize {
        let Self { family, kind, status, tenant, assigned_to, parent } = self;
        [
            family.is_some(),
            kind.is_some(),
            status.is_some(),
            tenant.is_some(),
            assigned_to.is_some(),
            parent.is_some(),
        ]
        .into_iter()
        .filter(|given| *given)
        .count()
    }

    /// Each filter's name and value.
    fn texts(&self) -> [(&'static str, Option<String>); 6] {
        [
            ("family", self.family.as_ref().map(ToString::to_string)),
            ("type", self.kind.as_ref().map(ToString::to_string)),
            ("status", self.status.as_ref().map(ToString::to_string)),
            ("tenant", self.tenant.as_ref().map(ToString::to_string)),
            ("assigned_to", self.assigned_to.as_ref().map(ToString::to_string)),
            (
                "parent",
                self.parent.map(|parent| match parent {
                    ParentRef::Task(vtid) => vtid.to_string(),
                    ParentRef::NeverAssigned => String::new(),
                }),
            ),
        ]
    }
}

/// How many rows a page has at most: 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageLimit(u16);

impl PageLimit {
    /// The most that a page can have.
    pub const MAX: Self = Self(1000);

    /// None outside of 1 to 1000.
    #[must_use]
    pub fn new(limit: u16) -> Option<Self> {
        (1..=Self::MAX.0).contains(&limit).then_some(Self(limit))
    }

    /// As a plain number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ListQuery {
    /// Which tasks.
    pub filters: Filters,
    /// How many at most.
    pub limit: PageLimit,
    /// Where the last page ended; none for the first.
    pub cursor: Option<PageCursor>,
}

/// Where a page ended: its last row's place in the order, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageCursor {
    pub(super) created_at: Timestamp,
    pub(super) created_position: Position,
}

/// The text is no cursor, was changed, or belongs to a list with other filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the next_cursor of a list with the same filters")]
pub struct BadPageCursor;

const CHECKSUM: usize = 8;

impl PageCursor {
    /// After `task`.
    pub(super) fn after(task: &Task) -> Self {
        Self { created_at: task.created_at, created_position: task.created_position }
    }

    /// The opaque text for callers: base64url, 32 characters.
    #[must_use]
    pub fn print(self, filters: &Filters) -> String {
        let mut bytes = self.place().to_vec();
        bytes.extend(self.checksum(filters));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Self::print`] printed for the same filters.
    ///
    /// # Errors
    /// [`BadPageCursor`].
    pub fn parse(text: &str, filters: &Filters) -> Result<Self, BadPageCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadPageCursor)?;
        let (millis, rest) = bytes.split_first_chunk::<8>().ok_or(BadPageCursor)?;
        let (position, checksum) = rest.split_first_chunk::<8>().ok_or(BadPageCursor)?;
        let cursor = Self {
            created_at: Timestamp::from_millis(i64::from_be_bytes(*millis)),
            created_position: Position::from_i64(i64::from_be_bytes(*position)),
        };
        if checksum == cursor.checksum(filters) { Ok(cursor) } else { Err(BadPageCursor) }
    }

    fn place(self) -> [u8; 16] {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&self.created_at.millis().to_be_bytes());
        place[8..].copy_from_slice(&self.created_position.to_i64().to_be_bytes());
        place
    }

    /// No secret: it tells a mistake, and a caller who makes one up sees no more than by a cursor of their own.
    fn checksum(self, filters: &Filters) -> [u8; CHECKSUM] {
        let mut hash = Sha256::new();
        hash.update(b"vtid-ledger page cursor 1");
        hash.update(self.place());
        for (name, value) in filters.texts() {
            if let Some(value) = value {
                for part in [name, value.as_str()] {
                    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hash.update(part);
                }
            }
        }
        let digest = hash.finalize();
        std::array::from_fn(|index| digest[index])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::vtid::Vtid;

    fn filters() -> impl Strategy<Value = Filters> {
        let parent = prop_oneof![
            Just(ParentRef::NeverAssigned),
            (0u16..9999).prop_map(|year| ParentRef::Task(Vtid::first_of(year)))
        ];
        (
            proptest::option::of("[a-z]{1,3}"),
            proptest::option::of("[a-z]{1,3}"),
            proptest::option::of(prop::sample::select(Status::ALL.to_vec())),
            proptest::option::of("[a-z]{1,3}"),
            proptest::option::of("[a-z]{0,3}"),
            proptest::option::of(parent),
        )
            .prop_map(|(family, kind, status, tenant, assigned_to, parent)| Filters {
                family: family.map(|text| TaskFamily::parse(&text).unwrap()),
                kind: kind.map(|text| TaskType::parse(&text).unwrap()),
                status,
                tenant: tenant.map(|text| Tenant::parse(&text).unwrap()),
                assigned_to: assigned_to.map(|text| Assignee::parse(&text).unwrap()),
                parent,
            })
    }

    fn cursors() -> impl Strategy<Value = PageCursor> {
        (Timestamp::MIN.millis()..=Timestamp::MAX.millis(), 0..=i64::MAX).prop_map(|(millis, position)| {
            PageCursor {
                created_at: Timestamp::from_millis(millis),
                created_position: Position::from_i64(position),
            }
        })
    }

    proptest! {
        #[test]
        fn cursors_come_back(cursor in cursors(), filters in filters()) {
            let text = cursor.print(&filters);
            prop_assert_eq!(text.len(), 32);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(PageCursor::parse(&text, &filters), Ok(cursor));
        }

        #[test]
        fn other_filters_refuse_a_cursor(cursor in cursors(), ours in filters(), theirs in filters()) {
            prop_assume!(ours != theirs);
            prop_assert_eq!(PageCursor::parse(&cursor.print(&ours), &theirs), Err(BadPageCursor));
        }

        #[test]
        fn a_changed_character_is_refused(cursor in cursors(), filters in filters(), at in 0usize..32, to in "[A-Za-z0-9_-]") {
            let text = cursor.print(&filters);
            let mut changed = text.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != text);
            prop_assert_eq!(PageCursor::parse(&changed, &filters), Err(BadPageCursor));
        }

        #[test]
        fn any_other_text_is_refused(text in "\\PC{0,40}|[A-Za-z0-9_=-]{0,64}") {
            prop_assert_eq!(PageCursor::parse(&text, &Filters::default()), Err(BadPageCursor));
        }
    }

    #[test]
    fn limits() {
        assert_eq!([0, 1001, u16::MAX].map(PageLimit::new), [None; 3]);
        assert_eq!([1, 1000].map(|n| PageLimit::new(n).map(PageLimit::get)), [Some(1), Some(1000)]);
        assert_eq!(PageLimit::default().get(), 50);
    }
}
