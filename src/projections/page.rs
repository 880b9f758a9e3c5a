//! What a list asks for, and the cursor from one page to the next.

use crate::domain::command::ParentRef;
use crate::domain::moment::{Moment, Place};
use crate::domain::opaque::{Binding, Named, numbers, pair};
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
    fn texts(&self) -> [Named; 6] {
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
#[error("must be the next_cursor of a list with the same filters, and the same at or position")]
pub struct BadPageCursor;

impl PageCursor {
    /// After `task`.
    pub(super) fn after(task: &Task) -> Self {
        Self { created_at: task.created_at, created_position: task.created_position }
    }

    /// Before every task that was there at `place`, and after all others.
    pub(super) fn past(place: Place) -> Self {
        Self { created_at: place.time, created_position: place.position.next() }
    }

    /// The opaque text for callers: base64url, 32 characters.
    #[must_use]
    pub fn print(self, filters: &Filters) -> String {
        binding(&filters.texts()).seal(&self.place())
    }

    /// Reads what [`Self::print`] printed for the same filters.
    ///
    /// # Errors
    /// [`BadPageCursor`].
    pub fn parse(text: &str, filters: &Filters) -> Result<Self, BadPageCursor> {
        binding(&filters.texts()).open(text).map(Self::at).ok_or(BadPageCursor)
    }

    fn place(self) -> [u8; 16] {
        pair(self.created_at.millis(), self.created_position.to_i64())
    }

    fn at(place: [u8; 16]) -> Self {
        let (millis, position) = numbers(place);
        Self { created_at: Timestamp::from_millis(millis), created_position: Position::from_i64(position) }
    }
}

fn binding(filters: &[Named]) -> Binding<'_> {
    Binding { label: "vtid-ledger page cursor 1", asked: filters }
}

/// Where a page of a list as it was ended. The walk stays on the position on which it began, whatever is appended
/// meanwhile: a time may still come to stand for a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PastCursor {
    /// Where the page ended.
    pub page: PageCursor,
    /// What the walk shows.
    pub position: Position,
}

impl PastCursor {
    /// The opaque text for callers: base64url, 43 characters.
    #[must_use]
    pub fn print(self, filters: &Filters, moment: Moment) -> String {
        let mut place = [0; 24];
        place[..16].copy_from_slice(&self.page.place());
        place[16..].copy_from_slice(&self.position.to_i64().to_be_bytes());
        past_binding(&Self::asked(filters, moment)).seal(&place)
    }

    /// Reads what [`Self::print`] printed for the same filters and the same moment.
    ///
    /// # Errors
    /// [`BadPageCursor`].
    pub fn parse(text: &str, filters: &Filters, moment: Moment) -> Result<Self, BadPageCursor> {
        let place: [u8; 24] = past_binding(&Self::asked(filters, moment)).open(text).ok_or(BadPageCursor)?;
        let page = PageCursor::at(std::array::from_fn(|index| place[index]));
        let position = i64::from_be_bytes(std::array::from_fn(|index| place[16 + index]));
        Ok(Self { page, position: Position::from_i64(position) })
    }

    fn asked(filters: &Filters, moment: Moment) -> Vec<Named> {
        filters.texts().into_iter().chain([moment.named()]).collect()
    }
}

fn past_binding(asked: &[Named]) -> Binding<'_> {
    Binding { label: "vtid-ledger past page cursor 1", asked }
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
        fn cursors_of_the_past_come_back(
            page in cursors(), filters in filters(), other in filters(), position in 0..=i64::MAX, to in 0..=i64::MAX
        ) {
            let cursor = PastCursor { page, position: Position::from_i64(position) };
            let moment = Moment::Position(Position::from_i64(to));
            let text = cursor.print(&filters, moment);
            prop_assert_eq!(text.len(), 43);
            prop_assert_eq!(PastCursor::parse(&text, &filters, moment), Ok(cursor));
            let at = Moment::At(Timestamp::from_millis(to));
            prop_assert_eq!(PastCursor::parse(&text, &filters, at), Err(BadPageCursor), "another moment");
            prop_assert_eq!(PageCursor::parse(&text, &filters), Err(BadPageCursor), "a list of today");
            prop_assert!(PastCursor::parse(&page.print(&filters), &filters, moment).is_err());
            if other != filters {
                prop_assert_eq!(PastCursor::parse(&text, &other, moment), Err(BadPageCursor));
            }
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
