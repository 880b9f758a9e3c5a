//! The client tests: real HTTP, real `PostgreSQL`, real `JetStream`.
