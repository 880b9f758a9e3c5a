//! The ledger's events as OASIS events on NATS `JetStream`: what a message looks like ([`message`]), how a stored one
//! is told ([`published`]), the stream that holds them ([`stream`]), the follower that puts them there ([`relay`]), and
//! a subscriber for people ([`tail`]).
//!
//! The stream's sequence is the ledger's position, so that `JetStream` is the relay's cursor and its fence.

mod api_error;
pub mod comparison;
pub mod connect;
pub mod message;
pub mod published;
pub mod rebuild;
pub mod recover;
pub mod relay;
pub mod scan;
pub mod stored;
pub mod stream;
pub mod tail;
