//! Which tiles a proof needs, and proofs from them: `tlog_tiles` asks for hashes, and here they come from tiles that were
//! fetched before.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tlog_tiles::{Error, HASH_SIZE, Hash, HashReader, Tile, check_record, check_tree};

use super::tree::TILE_HEIGHT;

/// A tile's place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileKey {
    /// Of tiles, not of hashes.
    pub level: u8,
    /// Which one of its level, from 0 on.
    pub number: u64,
}

/// Tiles by their place, each with as many hashes as it has in the tree that is asked about, or more.
pub type Tiles = BTreeMap<TileKey, Vec<u8>>;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is none: the record or the older tree is not in the tree.
    #[error("a tree of {size} leaves has no leaf or older tree {of}")]
    Beyond {
        /// The tree's size.
        size: u64,
        /// What is not in it.
        of: u64,
    },
    /// The tiles do not fit.
    #[error("the tiles do not fit the tree: {0}")]
    Tiles(#[from] Error),
}

/// Something that is told from a tree's hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The root of the tree of this size.
    Root {
        /// The tree's size.
        size: u64,
    },
    /// That a leaf is in the tree of this size.
    Inclusion {
        /// The tree's size.
        size: u64,
        /// The leaf, from 0 on.
        index: u64,
    },
    /// That the tree of `size` goes on where the tree of `old` ended.
    Consistency {
        /// The tree's size.
        size: u64,
        /// The older tree's.
        old: u64,
    },
}

impl Ask {
    fn run(self, hashes: &impl HashReader) -> Result<Vec<Hash>, ProofError> {
        match self {
            Self::Root { size } => Ok(vec![tlog_tiles::tree_hash(size, hashes)?]),
            Self::Inclusion { size, index } if index < size => {
                Ok(tlog_tiles::prove_record(size, index, hashes)?)
            }
            Self::Inclusion { size, index } => Err(ProofError::Beyond { size, of: index }),
            // RFC 6962 knows no proof from the empty tree: everything goes on from it.
            Self::Consistency { old: 0, .. } => Ok(Vec::new()),
            Self::Consistency { size, old } if old <= size => Ok(tlog_tiles::prove_tree(size, old, hashes)?),
            Self::Consistency { size, old } => Err(ProofError::Beyond { size, of: old }),
        }
    }

    /// The tiles it needs.
    ///
    /// # Errors
    /// [`ProofError::Beyond`]
    pub fn needs(self) -> Result<BTreeSet<TileKey>, ProofError> {
        let asked = Asked::default();
        self.run(&asked)?;
        Ok(asked.0.into_inner())
    }

    /// The hashes: a root alone; of an inclusion from the leaf's sibling up; of a consistency as RFC 6962 orders them.
    ///
    /// # Errors
    /// [`ProofError`]
    pub fn answer(self, tiles: &Tiles) -> Result<Vec<Hash>, ProofError> {
        self.run(&Fetched(tiles))
    }
}

/// Notes what is asked for, and answers anything.
#[derive(Default)]
struct Asked(RefCell<BTreeSet<TileKey>>);

impl HashReader for Asked {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        self.0.borrow_mut().extend(indexes.iter().map(|index| key(&Tile::from_index(TILE_HEIGHT, *index))));
        Ok(vec![Hash::default(); indexes.len()])
    }
}

struct Fetched<'a>(&'a Tiles);

impl HashReader for Fetched<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let read = |index: &u64| {
            let tile = Tile::from_index(TILE_HEIGHT, *index);
            let hashes = self.0.get(&key(&tile)).ok_or(Error::InvalidTile)?;
            let width = u32::try_from(hashes.len() / HASH_SIZE).map_err(|_| Error::InvalidTile)?;
            if !(tile.width()..=1 << TILE_HEIGHT).contains(&width) {
                return Err(Error::InvalidTile);
            }
            Tile::new(TILE_HEIGHT, tile.level(), tile.level_index(), width, false)
                .hash_at_index(hashes, *index)
        };
        indexes.iter().map(read).collect()
    }
}

fn key(tile: &Tile) -> TileKey {
    TileKey { level: tile.level(), number: tile.level_index() }
}

/// Whether `path` shows that `leaf` is at `index` of the tree of `size` with this `root`. Never panics, whatever is given.
#[must_use]
pub fn includes(path: &[Hash], size: u64, root: Hash, index: u64, leaf: Hash) -> bool {
    index < size && check_record(&path.to_vec(), size, root, index, leaf).is_ok()
}

/// Whether `path` shows that the tree of `size` with `root` goes on where that of `old_size` with `old_root` ended.
#[must_use]
pub fn goes_on(path: &[Hash], (size, root): (u64, Hash), (old_size, old_root): (u64, Hash)) -> bool {
    match old_size {
        0 => path.is_empty() && old_root == tlog_tiles::EMPTY_HASH,
        old if old == size => path.is_empty() && old_root == root,
        old => old < size && check_tree(&path.to_vec(), size, root, old, old_root).is_ok(),
    }
}
