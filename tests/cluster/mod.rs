//! NATS as a cluster of three servers, with the stream on all of them: its servers are killed, frozen, taken away and
//! restarted while callers write. Nothing is lost, doubled or out of order, and the stream is whole again by itself.

mod failover;
mod older_copy;
mod stage;
mod storm;
