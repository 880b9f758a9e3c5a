//! Faults on the real thing: the program, `PostgreSQL` and NATS are struck while callers write and read; afterwards every
//! answer, the log, the read table and the stream have to fit together.

mod checker;
mod folded;
mod history;
mod objection;
mod objects;
mod order;
