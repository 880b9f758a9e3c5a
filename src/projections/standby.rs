//! Whether this process projects, by its lease; and without one, where nobody else does and a reader waits.

use std::time::Duration;

use crate::domain::position::Position;

/// A cursor that stands still for so long, while there are events and a reader waits for them, is moved by whoever finds
/// it: its holder died or froze, and its lease runs for up to 3 s more. Two that move it at once do no harm.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a process without the lease has seen of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Standby {
    cursor: Position,
    /// Since when it has stood there under the eyes of a reader who waits.
    waited_since: Option<Duration>,
    /// Where the log ended when this process began; none before that is known.
    began_at: Option<Position>,
    /// Another has moved the cursor under this process's hands since.
    met_another: bool,
}

impl Standby {
    /// A process that begins brings the table up to where the log ended then, unless it meets another who does: the one
    /// before it may have been killed with its lease, and whoever starts a ledger wants to see all of it at once.
    pub(super) fn catches_up(&self, cursor: Position) -> bool {
        !self.met_another && self.began_at.is_some_and(|head| cursor < head)
    }

    /// Another moves the cursor.
    pub(super) fn meets_another(&mut self) {
        self.met_another = true;
    }

    /// The cursor was found at `cursor`, and the log's head at `head`; `waits`: a reader does.
    pub(super) fn projects(
        &mut self,
        now: Duration,
        holds: bool,
        waits: bool,
        cursor: Position,
        head: Position,
    ) -> bool {
        if !waits || cursor != self.cursor || cursor >= head {
            (self.cursor, self.waited_since) = (cursor, None);
        }
        if waits && cursor < head {
            self.waited_since.get_or_insert(now);
        }
        self.began_at.get_or_insert(head);
        let catches_up = self.catches_up(cursor);
        holds || catches_up || self.waited_since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    /// One that began when cursor and log stood there.
    fn begun(position: u64) -> Standby {
        let mut standby = Standby::default();
        assert!(!standby.projects(Duration::ZERO, false, false, at(position), at(position)));
        standby
    }

    /// Looks at these milliseconds, each time with a reader that waits, at a cursor and a head.
    fn looks(looks: &[(u64, u64, u64)]) -> Vec<bool> {
        let mut standby = begun(1);
        let look = |(ms, cursor, head): &(u64, u64, u64)| {
            standby.projects(Duration::from_millis(*ms), false, true, at(*cursor), at(*head))
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn a_cursor_that_moves_is_left_alone() {
        assert_eq!(looks(&[(0, 1, 9), (200, 1, 9), (300, 2, 9), (500, 2, 9)]), [false; 4]);
        // It stood at the log's end for long: that is no reason yet.
        assert_eq!(looks(&[(0, 5, 5), (9_000, 5, 6), (9_200, 5, 6)]), [false; 3]);
    }

    #[test]
    fn one_that_stands_still_is_moved_once_a_reader_has_waited() {
        assert_eq!(looks(&[(0, 1, 9), (250, 1, 9), (260, 4, 9)]), [false, true, false]);
        let mut standby = begun(1);
        let mut look = |ms, waits| standby.projects(Duration::from_millis(ms), false, waits, at(1), at(9));
        let looks = [look(0, false), look(900, false), look(901, true), look(1_200, true)];
        assert_eq!(looks, [false, false, false, true]);
        assert!(standby.projects(Duration::ZERO, true, false, at(1), at(1)), "the holder");
    }

    #[test]
    fn one_that_begins_catches_up_once_unless_another_does() {
        let mut standby = Standby::default();
        let mut look = |cursor, head| standby.projects(Duration::ZERO, false, false, at(cursor), at(head));
        assert_eq!([look(3, 9), look(5, 12), look(9, 12)], [true, true, false]);
        let mut standby = Standby::default();
        assert!(standby.projects(Duration::ZERO, false, false, at(3), at(9)));
        standby.meets_another();
        assert!(!standby.projects(Duration::ZERO, false, false, at(4), at(9)));
    }
}
