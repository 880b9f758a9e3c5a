use std::collections::BTreeMap;

use proptest::prelude::*;
use tlog_tiles::{Hash, record_hash};

use super::{hex, leaves, tree_hash};
use crate::tlog::tile::{Ask, TileKey, Tiles, goes_on, includes};
use crate::tlog::tree::{FullTile, MisfitEdge, TILE_BYTES, Tree, edge_width, levels};

/// The leaves of the trees with which the reference implementation of RFC 6962 is tested.
fn published_leaves() -> [Hash; 8] {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    leaves.map(record_hash)
}

#[test]
fn published_roots_of_rfc_6962() {
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::new();
    assert_eq!(hex(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (leaf, root) in published_leaves().into_iter().zip(roots) {
        tree.push(leaf);
        assert_eq!(hex(tree.root()), root, "{} leaves", tree.size());
    }
}

/// The paths of the same tests.
#[test]
fn published_paths_of_rfc_6962() {
    const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    const F: &str = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
    const G: &str = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
    const H: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    const I: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    let inclusion = |size, index| Ask::Inclusion { size, index };
    let consistency = |size, old| Ask::Consistency { size, old };
    for (ask, path) in [
        (inclusion(1, 0), &[][..]),
        (inclusion(8, 0), &[A, B, C]),
        (inclusion(8, 5), &[D, E, F]),
        (inclusion(3, 2), &[G]),
        (inclusion(5, 1), &[H, B, D]),
        (consistency(1, 1), &[]),
        (consistency(8, 1), &[A, B, C]),
        (consistency(8, 6), &[I, E, F]),
        (consistency(5, 2), &[B, D]),
    ] {
        let (Ask::Inclusion { size, .. } | Ask::Consistency { size, .. } | Ask::Root { size }) = ask;
        let (_, tiles) = grown(&published_leaves()[..usize::try_from(size).unwrap()]);
        let found: Vec<String> = ask.answer(&tiles).unwrap().into_iter().map(hex).collect();
        assert_eq!(found, path, "{ask:?}");
    }
}

/// Every tile of a tree, the edge's too.
fn tiles(tree: &Tree, full: &[FullTile]) -> Tiles {
    let key = |tile: &FullTile| TileKey { level: tile.level, number: tile.number };
    let mut tiles: Tiles = full.iter().map(|tile| (key(tile), tile.hashes.clone())).collect();
    for level in 0..levels(tree.size()) {
        let edge = tree.edge(u8::try_from(level).unwrap());
        let number = (tree.size() >> (8 * level)) / 256;
        if !edge.is_empty() {
            let hashes = edge.iter().flat_map(|hash| hash.0).collect();
            tiles.insert(TileKey { level: u8::try_from(level).unwrap(), number }, hashes);
        }
    }
    tiles
}

fn grown(leaves: &[Hash]) -> (Tree, Tiles) {
    let mut tree = Tree::new();
    let full: Vec<FullTile> = leaves.iter().flat_map(|leaf| tree.push(*leaf)).collect();
    let tiles = tiles(&tree, &full);
    (tree, tiles)
}

/// Round each width of tile and past two levels of them.
#[test]
fn the_root_is_that_of_rfc_6962() {
    let leaves = leaves(66_000);
    let mut tree = Tree::new();
    let mut full = Vec::new();
    for (index, leaf) in leaves.iter().enumerate() {
        full.extend(tree.push(*leaf));
        let size = index + 1;
        if size < 600 || (65_400..65_900).contains(&size) && size % 37 == 0 || size == 65_536 {
            assert_eq!(tree.root(), tree_hash(&leaves[..size]), "{size} leaves");
        }
    }
    let counts = full.iter().fold(BTreeMap::new(), |mut counts, tile| {
        assert_eq!(tile.hashes.len(), TILE_BYTES);
        *counts.entry(tile.level).or_insert(0) += 1;
        counts
    });
    assert_eq!(counts, BTreeMap::from([(0, 257), (1, 1)]));
}

#[test]
fn a_tree_is_taken_up_from_its_edge() {
    let (tree, _) = grown(&leaves(70_000));
    let edge: Vec<Vec<Hash>> = (0..3).map(|level| tree.edge(level).to_vec()).collect();
    // The example of tlog-tiles.md.
    assert_eq!(edge.iter().map(Vec::len).collect::<Vec<_>>(), [112, 17, 1]);
    assert_eq!(Tree::from_edge(70_000, edge.clone()), Ok(tree));
    let misfit = MisfitEdge { size: 70_001, level: 0, expected: 113, found: 112 };
    assert_eq!(Tree::from_edge(70_001, edge), Err(misfit));
    assert_eq!(Tree::from_edge(256, vec![Vec::new()]).unwrap_err().level, 1);
    assert_eq!((levels(0), levels(255), levels(256), levels(u64::MAX)), (0, 1, 2, 8));
    assert_eq!((edge_width(256, 0), edge_width(256, 1), edge_width(u64::MAX, 7)), (0, 1, 255));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A proof holds for what it was made for, and for nothing else.
    #[test]
    fn proofs_hold(size in 1u64..1500, index in 0u64..1500, old in 0u64..1500) {
        let (index, old) = (index % size, old % (size + 1));
        let leaves = leaves(size);
        let (tree, tiles) = grown(&leaves);
        let fetch = |ask: Ask| -> Vec<Hash> {
            let needed = ask.needs().unwrap();
            ask.answer(&tiles.clone().into_iter().filter(|(key, _)| needed.contains(key)).collect()).unwrap()
        };
        let root = tree.root();
        prop_assert_eq!(fetch(Ask::Root { size }), vec![root]);
        let leaf = leaves[usize::try_from(index).unwrap()];
        let path = fetch(Ask::Inclusion { size, index });
        prop_assert!(includes(&path, size, root, index, leaf));
        prop_assert!(!includes(&path, size, root, index, Hash::default()));
        prop_assert!(!includes(&path, size, Hash::default(), index, leaf));
        prop_assert!(size == 1 || !includes(&path, size, root, (index + 1) % size, leaf));
        prop_assert!(!includes(&path, size, root, size, leaf));
        prop_assert!(!includes(&[path.as_slice(), &[leaf]].concat(), size, root, index, leaf));
        let old_root = tree_hash(&leaves[..usize::try_from(old).unwrap()]);
        let path = fetch(Ask::Consistency { size, old });
        prop_assert!(goes_on(&path, (size, root), (old, old_root)));
        prop_assert!(!goes_on(&path, (size, root), (old, Hash::default())));
        prop_assert!(old == 0 || !goes_on(&path, (size, Hash::default()), (old, old_root)));
        prop_assert!(!goes_on(&[path.as_slice(), &[leaf]].concat(), (size, root), (old, old_root)));
    }
}

#[test]
fn there_is_no_proof_of_what_is_not_there() {
    assert!(Ask::Inclusion { size: 5, index: 5 }.needs().is_err());
    assert!(Ask::Consistency { size: 5, old: 6 }.needs().is_err());
    let (_, tiles) = grown(&leaves(5));
    assert!(Ask::Root { size: 6 }.answer(&tiles).is_err());
    assert!(!goes_on(&[], (3, Hash::default()), (4, Hash::default())));
    assert!(!includes(&[], u64::MAX, Hash::default(), 0, Hash::default()));
}
