//! The client tests: real HTTP, real `PostgreSQL`, real `JetStream`.

// `cfg(test)` tells clippy that everything here is a test, helpers included.
#[cfg(test)]
mod dev_crash;
#[cfg(test)]
mod dev_servers;
#[cfg(test)]
mod support;
