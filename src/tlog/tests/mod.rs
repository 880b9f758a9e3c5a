//! The formats and the tree: held to published values, to a plain reading of RFC 6962, and to each other.

mod keys;
mod proofs;
mod trees;

use tlog_tiles::{EMPTY_HASH, Hash, node_hash};

/// RFC 6962, 2.1, word for word: what the tree is held to.
fn tree_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_HASH,
        [leaf] => *leaf,
        leaves => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(tree_hash(&leaves[..k]), tree_hash(&leaves[k..]))
        }
    }
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|n| super::leaf(&format!("record {n}"))).collect()
}

fn hex(hash: Hash) -> String {
    hash.0.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
