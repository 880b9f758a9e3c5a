//! The Merkle tree, leaf by leaf: its right edge in memory, its tiles as they fill up.

use tlog_tiles::{EMPTY_HASH, HASH_SIZE, Hash, Tile, node_hash};

/// Levels of the tree in a tile.
pub const TILE_HEIGHT: u8 = 8;
/// Hashes of a full tile.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;
/// Bytes of a full tile.
pub const TILE_BYTES: usize = TILE_WIDTH * HASH_SIZE;

/// A tile that has filled up, and so never changes again.
#[derive(Debug, Clone, PartialEq)]
pub struct FullTile {
    /// 0: its hashes are those of leaves; above, those of full tiles of the level below.
    pub level: u8,
    /// Which one of its level, from 0 on.
    pub number: u64,
    /// Its 256 hashes.
    pub hashes: Vec<u8>,
    /// The hash of the whole tile.
    pub root: Hash,
}

/// A tree that grows at its right edge: what it takes to add leaves and to tell the root, some 8 KiB a level. Cheap to keep
/// however many leaves it has; what has filled up is handed out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    size: u64,
    /// The tile at the right edge of each level, none of them full.
    edge: Vec<Vec<Hash>>,
}

/// The edge does not belong to a tree of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("level {level} of a tree of {size} leaves has {expected} hashes at its edge, not {found}")]
pub struct MisfitEdge {
    /// The tree's size.
    pub size: u64,
    /// The first level that does not fit.
    pub level: usize,
    /// How many there should be.
    pub expected: u64,
    /// How many there are.
    pub found: u64,
}

impl Tree {
    /// A tree without a leaf.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `size` leaves, from the hashes of its right edge: of each level the tile that is not full.
    ///
    /// # Errors
    /// [`MisfitEdge`]
    pub fn from_edge(size: u64, mut edge: Vec<Vec<Hash>>) -> Result<Self, MisfitEdge> {
        edge.resize(edge.len().max(levels(size)), Vec::new());
        for (level, hashes) in edge.iter().enumerate() {
            let expected = edge_width(size, level);
            let found = hashes.len() as u64;
            if found != expected {
                return Err(MisfitEdge { size, level, expected, found });
            }
        }
        Ok(Self { size, edge })
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. Hands out what has filled up, lowest level first: a tile every 256 leaves, and one of the level above
    /// every 65,536.
    pub fn push(&mut self, leaf: Hash) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut hash = leaf;
        for level in 0.. {
            if self.edge.len() == level {
                self.edge.push(Vec::with_capacity(TILE_WIDTH));
            }
            let tile = &mut self.edge[level];
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                break;
            }
            let hashes = joined(tile);
            tile.clear();
            hash = Tile::subtree_hash(&hashes);
            let shift = usize::from(TILE_HEIGHT) * (level + 1);
            // A tree of 2⁶⁴ leaves has eight levels.
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            full.push(FullTile { level, number: self.size >> shift, hashes, root: hash });
        }
        self.size += 1;
        full
    }

    /// The root: RFC 6962's Merkle Tree Hash of all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root = None;
        // From the right, smallest subtrees first; each level's hashes in subtrees of powers of two, largest first.
        for hashes in &self.edge {
            let mut end = hashes.len();
            while end > 0 {
                let width = 1 << end.trailing_zeros();
                let left = Tile::subtree_hash(&joined(&hashes[end - width..end]));
                root = Some(root.map_or(left, |right| node_hash(left, right)));
                end -= width;
            }
        }
        root.unwrap_or(EMPTY_HASH)
    }

    /// The tile at the right edge of a level, if it has a hash.
    #[must_use]
    pub fn edge(&self, level: u8) -> &[Hash] {
        self.edge.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }
}

/// The bytes of hashes, one behind the other.
fn joined(hashes: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(hashes.len() * HASH_SIZE);
    for hash in hashes {
        bytes.extend_from_slice(&hash.0);
    }
    bytes
}

/// How many levels of tiles a tree of `size` leaves has.
#[must_use]
pub fn levels(size: u64) -> usize {
    // 64 bits are eight levels of eight.
    (0..8).take_while(|level| width_of_level(size, *level) > 0).count()
}

/// How many hashes the last tile of a level has that is not full.
#[must_use]
pub fn edge_width(size: u64, level: usize) -> u64 {
    width_of_level(size, level) % TILE_WIDTH as u64
}

/// How many hashes a level of tiles has.
fn width_of_level(size: u64, level: usize) -> u64 {
    let shift = u32::try_from(level * usize::from(TILE_HEIGHT)).unwrap_or(u32::MAX);
    size.checked_shr(shift).unwrap_or(0)
}
