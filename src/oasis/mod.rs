//! The ledger's events as OASIS events on NATS `JetStream`: what a message looks like ([`message`]), the stream that
//! holds them ([`stream`]), and the follower that puts them there ([`relay`]).
//!
//! The stream's sequence is the ledger's position, so that `JetStream` is the relay's cursor and its fence.

pub mod message;
pub mod published;
pub mod relay;
