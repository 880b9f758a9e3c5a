//! What somebody outside the database has of this log. Pure.

use super::status::Finding;
use crate::domain::position::Position;
use crate::tlog::Hash;

/// What somebody outside the database has of this log.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    /// Who, for people.
    pub(super) whose: String,
    /// Of a tree of so many events.
    pub(super) size: u64,
    /// Its root, which one of this log's keys signed; none where that is not told.
    pub(super) root: Option<Hash>,
}

impl Outside {
    /// What there is to say where the ledger ends at `head`, before that.
    pub(super) fn fewer(&self, head: Position) -> Finding {
        let what =
            format!("{} has a checkpoint of {} events, and the ledger has fewer", self.whose, self.size);
        Finding { first: head.next(), last: Position::new(self.size), what }
    }

    /// What there is to say where its events are not the ledger's any more.
    pub(super) fn others(&self) -> Finding {
        let Self { whose, size, .. } = self;
        let what = format!("{whose} has a checkpoint of {size} events, and those events are others now");
        Finding { first: Position::new(1), last: Position::new(*size), what }
    }
}

/// Of those who have seen more than the `sealed` events on record: the one whose tree nothing can be held against. A witness
/// tells its tree's size and not the root, so that it takes a checkpoint that is no smaller, on record or in the stream, to say
/// that those events are the same. Where there is none, a signature might be one for another past.
pub(super) fn unseen(ahead: &[Outside], sealed: u64) -> Option<Finding> {
    let known = ahead.iter().filter(|one| one.root.is_some()).map(|one| one.size).max().unwrap_or(0);
    let unknown = ahead.iter().find(|one| one.root.is_none() && one.size > known.max(sealed))?;
    let Outside { whose, size, .. } = unknown;
    let what = format!(
        "{whose} has a checkpoint of {size} events, which is neither on record nor in the audit stream: that those events are \
         the ledger's can't be shown"
    );
    Some(Finding { first: Position::new(sealed).next(), last: Position::new(*size), what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::EMPTY;

    fn of(size: u64, root: Option<Hash>) -> Outside {
        Outside { whose: "somebody".to_owned(), size, root }
    }

    #[test]
    fn a_size_alone_counts_where_a_root_of_no_smaller_tree_is_there() {
        let found = |ahead: &[Outside], sealed| {
            unseen(ahead, sealed).map(|found| (found.first.get(), found.last.get()))
        };
        let root = Some(EMPTY);
        assert_eq!(found(&[], 0), None);
        assert_eq!(found(&[of(9, root)], 3), None);
        assert_eq!(found(&[of(9, None)], 0), Some((1, 9)));
        assert_eq!(found(&[of(9, None)], 3), Some((4, 9)));
        assert_eq!(found(&[of(8, root), of(9, None)], 3), Some((4, 9)));
        assert_eq!(found(&[of(9, None), of(9, root)], 3), None);
        assert_eq!(found(&[of(9, None), of(10, root)], 3), None);
        // The checkpoint went on record meanwhile.
        assert_eq!(found(&[of(9, None)], 9), None);
    }
}
