//! The bodies of the fuzz targets on generated input, so that every test run compiles and runs them.

use proptest::prelude::*;

use crate::samples::{attached, manifest, signed};

#[path = "../../../fuzz/bodies/manifest.rs"]
mod manifest_body;
#[path = "../../../fuzz/bodies/module.rs"]
mod module_body;

/// Bytes to start from, with some of them replaced, removed, or doubled.
fn mutated(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0u8..3, any::<u8>());
    proptest::collection::vec(edit, 0..6).prop_map(move |edits| {
        let mut bytes = seed.clone();
        for (at, kind, byte) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn module(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..600),
        mutated(attached()),
        mutated(signed()),
    ]) {
        module_body::check(&bytes);
    }

    #[test]
    fn manifest_text(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        mutated(manifest().to_json().unwrap()),
    ]) {
        manifest_body::check(&bytes);
    }
}

#[test]
fn what_is_good_gets_through_the_bodies() {
    module_body::check(&signed());
    module_body::check(&attached());
    manifest_body::check(&manifest().to_json().unwrap());
}
