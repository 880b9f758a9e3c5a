//! The client tests: real HTTP, real `PostgreSQL`, real `JetStream`.

mod dev_servers;
mod log;
mod support;
