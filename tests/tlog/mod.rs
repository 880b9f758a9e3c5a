//! The transparency log over HTTP: tiles, entry bundles, checkpoints, proofs; clients that share no code with it; witnesses.

mod access;
mod clients;
mod proofs;
mod stage;
mod tiles;
mod verify;
mod witness;
mod witness_client;
mod witness_stage;
