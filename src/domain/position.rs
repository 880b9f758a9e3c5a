//! Places in the log: a position over the whole ledger, a version within one task.

use std::fmt;

macro_rules! count_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// Before the first one.
            pub const ZERO: Self = Self(0);

            /// From a plain number.
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// As a plain number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// For the database, whose integers are signed; past 2⁶³ − 1 there is none, and it stays there.
            #[must_use]
            pub fn to_i64(self) -> i64 {
                i64::try_from(self.0).unwrap_or(i64::MAX)
            }

            /// From the database, where none is negative.
            #[must_use]
            pub fn from_i64(value: i64) -> Self {
                Self(u64::try_from(value).unwrap_or(0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

count_type!(
    /// An event's place in the ledger: 1, 2, 3, … without a gap.
    Position
);
count_type!(
    /// An event's place in its task's stream: 1, 2, 3, … without a gap.
    Version
);

impl Position {
    /// `self` and the `count` positions after it end here.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}
