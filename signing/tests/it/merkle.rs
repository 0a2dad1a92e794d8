//! Every leaf of every small tree proves itself and nothing else.

use p2c2r_signing::Digest;
use p2c2r_signing::merkle::{Tree, verify};
use proptest::prelude::*;

fn leaves(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|i| i.to_le_bytes().to_vec()).collect()
}

#[test]
fn every_leaf_of_every_small_tree_is_proved_in_its_place_only() {
    for count in 0..34u64 {
        let leaves = leaves(count);
        let tree = Tree::new(&leaves);
        assert_eq!((tree.len(), tree.is_empty()), (count, count == 0));
        assert!(tree.path(count).is_none());
        for (index, leaf) in (0u64..).zip(&leaves) {
            let path = tree.path(index).unwrap();
            let root = tree.root();
            assert!(verify(&root, leaf, index, count, &path), "leaf {index} of {count}");
            for wrong in (0..count + 2).filter(|&i| i != index) {
                assert!(!verify(&root, leaf, wrong, count, &path), "leaf {index} of {count} at {wrong}");
            }
            for wrong in (0..70).filter(|&n| n != count) {
                assert!(!verify(&root, leaf, index, wrong, &path), "leaf {index} of {count} as of {wrong}");
            }
            assert!(!verify(&root, b"other", index, count, &path));
            assert!(!verify(&Digest::of(b""), leaf, index, count, &path));
            for at in 0..path.len() {
                let mut bad = path.clone();
                bad[at] = Digest::of(b"");
                assert!(!verify(&root, leaf, index, count, &bad));
                assert!(!verify(&root, leaf, index, count, &path[..at]), "path cut to {at}");
            }
            let longer = [&path[..], &[Digest::of(b"")]].concat();
            assert!(!verify(&root, leaf, index, count, &longer));
        }
    }
}

#[test]
fn a_node_is_no_leaf() {
    let tree = Tree::new(leaves(4));
    let path = tree.path(0).unwrap();
    let inner = [path[0].as_bytes().as_slice(), path[1].as_bytes()].concat();
    assert!(!verify(&tree.root(), &inner, 0, 2, &path[1..]));
    assert_ne!(Tree::new([inner]).root(), tree.root());
}

#[test]
fn absurd_counts_end() {
    let root = Digest::of(b"");
    assert!(!verify(&root, b"", 0, u64::MAX, &[]));
    assert!(!verify(&root, b"", u64::MAX - 1, u64::MAX, &vec![root; 64]));
    assert!(!verify(&root, b"", u64::MAX, u64::MAX, &[]));
}

proptest! {
    #[test]
    fn order_and_content_decide_the_root(mut items in proptest::collection::vec(any::<[u8; 4]>(), 2..40), a: prop::sample::Index, b: prop::sample::Index) {
        let root = Tree::new(&items).root();
        let (a, b) = (a.index(items.len()), b.index(items.len()));
        items.swap(a, b);
        prop_assert_eq!(Tree::new(&items).root() == root, items[a] == items[b]);
    }

    #[test]
    fn random_paths_never_panic(root: [u8; 32], index: u64, count: u64, path in proptest::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let path: Vec<_> = path.into_iter().map(Digest::from_bytes).collect();
        prop_assert!(!verify(&Digest::from_bytes(root), b"leaf", index, count, &path));
    }
}
