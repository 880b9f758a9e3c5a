//! The witness's rules, each by itself and in any order; what it keeps; what it reads.

mod client;
mod requests;
mod rules;
mod settings;
mod store;

use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::{KeyKind, SecretKey};
use crate::tlog::tile::{Ask, TileKey, Tiles};
use crate::tlog::tree::Tree;
use crate::tlog::{Hash, leaf};
use crate::witness::request::AddCheckpoint;

fn log_key(origin: &str) -> SecretKey {
    SecretKey::generate(origin.parse().unwrap(), KeyKind::Log).unwrap()
}

fn witness_key() -> SecretKey {
    SecretKey::generate("witness.example.org".parse().unwrap(), KeyKind::Witness).unwrap()
}

fn clock() -> Clock {
    Clock::new(|| Timestamp::from_millis(1_679_315_147_000))
}

/// A log of fewer than 256 leaves, which are others from the position `forked` on.
#[derive(Clone)]
struct TestLog {
    key: SecretKey,
    forked: u64,
}

impl TestLog {
    fn new(origin: &str) -> Self {
        Self { key: log_key(origin), forked: u64::MAX }
    }

    /// The same log with another past from `index` on.
    fn forked(&self, index: u64) -> Self {
        Self { forked: index, ..self.clone() }
    }

    fn tree(&self, size: u64) -> Tree {
        let mut tree = Tree::new();
        for index in 0..size {
            let branch = if index < self.forked { "" } else { "another " };
            tree.push(leaf(&format!("{branch}record {index}")));
        }
        tree
    }

    fn root(&self, size: u64) -> Hash {
        self.tree(size).root()
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let origin = self.key.public().name();
        Checkpoint::sign(origin, size, self.root(size), std::slice::from_ref(&self.key)).unwrap()
    }

    fn proof(&self, old: u64, size: u64) -> Vec<Hash> {
        let hashes = self.tree(size).edge(0).iter().flat_map(|hash| hash.0).collect();
        let tiles = Tiles::from([(TileKey { level: 0, number: 0 }, hashes)]);
        if old > size { Vec::new() } else { Ask::Consistency { size, old }.answer(&tiles).unwrap() }
    }

    /// What an honest log sends.
    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint { old, proof: self.proof(old, size), checkpoint: self.checkpoint(size) }
    }
}
