//! The VTID ledger: one ordered log of events in `PostgreSQL`, and followers of it.

pub mod app;
pub mod auth;
pub mod clock;
pub mod commands;
pub mod config;
pub mod database;
pub mod dev;
pub mod domain;
pub mod fetch;
pub mod health;
pub mod http;
pub mod leases;
pub mod log;
pub mod oasis;
pub mod progress;
pub mod projections;
pub mod sealer;
pub mod telemetry;
pub mod tlog;
pub mod witness;
pub mod writer;
