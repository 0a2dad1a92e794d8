//! A blake3 Merkle tree over the lines of a settlement batch, so that one line can be proved without the others.
//!
//! Shape of RFC 6962: a level is paired from the left and a lone last node moves up unchanged. Leaves, inner nodes and
//! the root are hashed in blake3's key-derivation mode under three domains, and the root covers the number of leaves,
//! so neither can a node pass for a leaf nor one tree have the root of another.

use crate::id::Digest;

const LEAF_DOMAIN: &str = "P2C2R 2026-11-22 merkle leaf v1";
const NODE_DOMAIN: &str = "P2C2R 2026-11-22 merkle node v1";
const ROOT_DOMAIN: &str = "P2C2R 2026-11-22 merkle root v1";

/// A tree in memory: 64 bytes a leaf.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Level 0 is the leaves' hashes; the last has one node, or none in an empty tree.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Builds the tree over the leaves' bytes, in order.
    pub fn new<L: AsRef<[u8]>>(leaves: impl IntoIterator<Item = L>) -> Self {
        let mut levels = vec![leaves.into_iter().map(|l| leaf_hash(l.as_ref())).collect::<Vec<_>>()];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.chunks(2).map(|pair| match pair {
                [left, right] => node_hash(left, right),
                lone => lone[0],
            });
            let above = above.collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// Number of leaves.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// Whether there is no leaf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels[0].is_empty()
    }

    /// The root. An empty tree has one too.
    #[must_use]
    pub fn root(&self) -> Digest {
        root_hash(self.len(), self.levels.last().and_then(|top| top.first()))
    }

    /// The siblings from leaf `index` upwards, for [`verify`]; `None` past the last leaf.
    #[must_use]
    pub fn path(&self, index: u64) -> Option<Vec<Digest>> {
        let mut at = usize::try_from(index).ok().filter(|&i| i < self.levels[0].len())?;
        let mut path = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            path.extend(level.get(at ^ 1).copied());
            at /= 2;
        }
        Some(path)
    }
}

/// Whether `leaf` is the leaf number `index` of the `count` leaves under `root`. Work is bounded by `path`, which
/// is at most 64 long when it fits.
#[must_use]
pub fn verify(root: &Digest, leaf: &[u8], index: u64, count: u64, path: &[Digest]) -> bool {
    if index >= count {
        return false;
    }
    let (mut node, mut at, mut width, mut siblings) = (leaf_hash(leaf), index, count, path.iter());
    while width > 1 {
        if at % 2 == 1 {
            let Some(left) = siblings.next() else { return false };
            node = node_hash(left, &node);
        } else if at + 1 < width {
            let Some(right) = siblings.next() else { return false };
            node = node_hash(&node, right);
        }
        at /= 2;
        width = width.div_ceil(2);
    }
    siblings.next().is_none() && root_hash(count, Some(&node)) == *root
}

fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest::from_bytes(blake3::derive_key(LEAF_DOMAIN, leaf))
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut h = blake3::Hasher::new_derive_key(NODE_DOMAIN);
    h.update(left.as_bytes());
    h.update(right.as_bytes());
    Digest::from_bytes(*h.finalize().as_bytes())
}

fn root_hash(count: u64, top: Option<&Digest>) -> Digest {
    let mut h = blake3::Hasher::new_derive_key(ROOT_DOMAIN);
    h.update(&count.to_le_bytes());
    h.update(top.map_or(&[][..], |t| t.as_bytes()));
    Digest::from_bytes(*h.finalize().as_bytes())
}
