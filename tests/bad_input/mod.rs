//! Every kind of bad input, each refused with its clear error and nothing appended; and what stands at its limit, taken.
//! Tokens are the subject of [`crate::identity`].

mod cursors;
mod free_text;
mod headers;
mod json;
mod ledger;
mod names;
mod numbers;
mod raw;
mod sizes;
mod slow;
