//! Who calls, what each may do, and how often.

mod keys;
mod limits;
mod order;
mod rules;
mod tokens;
