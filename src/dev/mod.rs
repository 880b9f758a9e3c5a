//! Private `PostgreSQL` and NATS servers for `vtid-ledger dev` and for the tests.
//!
//! Each server runs under a guard (see [`guard`]) and ends with us, however we end. A data folder looks like this:
//!
//! ```text
//! <data>/lock             held by the process that uses the folder, whose id it holds
//! <data>/endpoints.json   the addresses, while everything is up
//! <data>/postgres/        data/ (the cluster), password, server.log, lock (held by the server itself)
//! <data>/nats/            jetstream/ (the store), nats.conf, server.log, lock
//! ```

mod binaries;
mod cluster;
mod endpoints;
mod error;
mod folder;
mod guard;
mod guarded;
mod nats;
mod port;
mod postgres;
mod servers;
mod service_login;
mod standby;
mod user;

pub use binaries::{NATS_VARIABLE, POSTGRES_VARIABLE, postgres_programs};
pub use endpoints::Endpoints;
pub use error::DevError;
pub use guard::{GuardArgs, guard_main};
pub use nats::{NatsOptions, NatsServer};
pub use postgres::{Durability, PostgresOptions, PostgresServer};
pub use servers::DevServers;
pub use service_login::ServiceLogin;
