//! The client tests: real HTTP, real `PostgreSQL`, real `JetStream`.
// The whole file is a test, helpers included.
#![cfg(test)]

mod bad_input;
mod commands;
mod conditional;
mod connections_cut;
mod create;
mod damaged_store;
mod dev;
mod dev_crash;
mod dev_servers;
mod docs;
mod domain;
mod faults;
mod http;
mod identity;
mod leases;
mod ledger_behind;
mod list;
mod log;
mod metrics;
mod numbering;
mod oasis;
mod oasis_faults;
mod patch;
mod pooler;
mod projection;
mod properties;
mod reads;
mod reads_lost;
mod rebuild;
mod rebuild_under_load;
mod replicas;
mod retries;
mod roles;
mod rolling;
mod schemathesis;
mod simulation;
mod snapshot_held;
mod stream_lost;
mod stream_made_anew;
mod support;
mod versions;
