//! A manifest's text. Also run by `signing/tests/it/fuzz.rs`.

use p2c2r_signing::Manifest;

/// No text panics; a manifest that parses is within all limits and survives being written and read.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(manifest) = Manifest::from_json(bytes) else { return };
    assert_eq!(manifest.validate(), Ok(()));
    let Ok(text) = manifest.to_json() else { return };
    assert_eq!(Manifest::from_json(&text), Ok(manifest));
}
