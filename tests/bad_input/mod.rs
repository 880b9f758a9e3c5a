//! Every kind of bad input, each refused with its clear error and nothing appended; and what stands at its limit, taken.
//! By hand first; then by machine (`fuzz_…`), as many cases as `FUZZ_CASES` says. Tokens by hand are the subject of
//! [`crate::identity`].

mod cursors;
mod free_text;
mod fuzz_parsers;
mod fuzz_requests;
mod fuzz_tokens;
mod generate_requests;
mod headers;
mod json;
mod ledger;
mod mutate;
mod numbers;
mod raw;
mod sizes;
mod slow;
mod tally;
mod tenants;
mod vtids;
