//! `Idempotency-Key`: a write can be sent again, at any time and through any process, and is done once.

mod crash;
mod order;
mod refused;
mod replay;
