//! The client tests: real HTTP, real `PostgreSQL`, real `JetStream`.
// The whole file is a test, helpers included.
#![cfg(test)]

mod dev_crash;
mod dev_servers;
mod domain;
mod log;
mod oasis;
mod simulation;
mod support;
