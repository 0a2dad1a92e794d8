//! Revocation lists: what they do to verification, and which are believed.

use std::collections::BTreeSet;

use p2c2r_signing::{
    RevocationDraft, RevocationError, Revocations, SecretKey, TrustedKeys, VerifyError, limits, verify_module,
};
use proptest::prelude::*;

use crate::samples::{author, custom, join, signed, split, stranger};

fn operator() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

fn draft() -> RevocationDraft {
    RevocationDraft {
        version: 5,
        issued_ms: 1_800_000_000_000,
        keys: BTreeSet::from([author().public(), stranger().public()]),
        contents: BTreeSet::from([[1; 32], [2; 32]]),
    }
}

fn open(bytes: &[u8]) -> Result<Revocations, RevocationError> {
    Revocations::open(bytes, &operator().public(), None)
}

#[test]
fn revoked_keys_and_contents_are_refused() {
    let trusted = TrustedKeys::new([author().public(), stranger().public()]).unwrap();
    let kernel = verify_module(signed(), &trusted).unwrap();
    let with =
        |draft: RevocationDraft| trusted.clone().with_revocations(open(&draft.sign(&operator()).unwrap()).unwrap());

    let key = with(RevocationDraft { keys: BTreeSet::from([author().public()]), ..RevocationDraft::default() });
    assert_eq!(verify_module(signed(), &key).unwrap_err(), VerifyError::KeyRevoked(author().public()));
    assert!(!key.contains(&author().public()) && key.contains(&stranger().public()));

    let content = with(RevocationDraft { contents: BTreeSet::from([*kernel.content()]), ..RevocationDraft::default() });
    assert!(matches!(verify_module(signed(), &content), Err(VerifyError::ContentRevoked(_))));
    // Dropping the key id, which nothing signs, makes another file and another module id, but no other content.
    let (header, mut sections) = split(&signed());
    let mut signature = sections[0][13..].to_vec();
    signature.drain(41..53);
    (signature[4], signature[39], signature[40]) = (signature[4] - 12, signature[39] - 12, 0);
    sections[0] = custom("signature", &signature);
    let respelled = join(&header, &sections);
    assert_ne!(verify_module(respelled.clone(), &trusted).unwrap().id(), kernel.id());
    assert!(matches!(verify_module(respelled, &content), Err(VerifyError::ContentRevoked(_))));

    let other = with(RevocationDraft { contents: BTreeSet::from([[0; 32]]), ..RevocationDraft::default() });
    assert!(verify_module(signed(), &other).is_ok());
}

#[test]
fn lists_round_trip_and_do_not_roll_back() {
    let bytes = draft().sign(&operator()).unwrap();
    assert_eq!(open(&bytes).unwrap().list(), &draft());
    for seen in [None, Some(0), Some(5)] {
        assert!(Revocations::open(&bytes, &operator().public(), seen).is_ok());
    }
    let old = Revocations::open(&bytes, &operator().public(), Some(6)).unwrap_err().to_string();
    assert_eq!(old, "revocation list version 5 is older than version 6, which was seen before");
    let other = Revocations::open(&bytes, &stranger().public(), None).unwrap_err();
    assert!(matches!(other, RevocationError::Signature(_)), "{other}");
}

#[test]
fn every_change_is_refused() {
    let bytes = draft().sign(&operator()).unwrap();
    for len in 0..bytes.len() {
        assert!(open(&bytes[..len]).is_err(), "cut to {len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let error = open(&bad).unwrap_err();
        let says =
            matches!((&error, bit / 8 < 31), (RevocationError::Domain, true) | (RevocationError::Signature(_), false));
        assert!(says, "bit {bit}: {error}");
    }
    assert!(open(&[&bytes[..], &[0]].concat()).is_err());
}

/// Lists the operator's key signed, but that are not well formed: only a buggy signer makes them.
#[test]
fn a_good_signature_does_not_excuse_bad_form() {
    let head = || [&b"P2C2R 2026-11-22 revocations v1"[..], &[0; 16]].concat();
    let check = |body: Vec<u8>, want: &str| {
        let signature = operator().sign(&body);
        let error = open(&[&body[..], &signature].concat()).unwrap_err().to_string();
        assert!(error.contains(want), "want {want:?}, got {error:?}");
    };
    check(head(), "revocation list is ");
    check([head(), vec![0; 9]].concat(), "revocation list is 120 bytes, its counts say 119");
    check([head(), vec![0; 4], 5u32.to_le_bytes().to_vec(), vec![0; 32]].concat(), "151 bytes, its counts say 183");
    check(
        [head(), vec![0; 4], 2u32.to_le_bytes().to_vec(), vec![0; 64]].concat(),
        "revoked contents are not strictly ascending at entry 1",
    );
    check([head(), u32::MAX.to_le_bytes().to_vec()].concat(), "4294967295 revoked keys, the limit is 4096");
    check([head(), 1u32.to_le_bytes().to_vec(), vec![0; 36]].concat(), "revoked keys: public key 0000");
}

#[test]
fn lists_are_bounded() {
    let content = |n: usize| {
        let mut content = [0; 32];
        content[..8].copy_from_slice(&n.to_be_bytes());
        content
    };
    let full = RevocationDraft { contents: (0..limits::REVOCATIONS).map(content).collect(), ..draft() };
    assert!(open(&full.sign(&operator()).unwrap()).is_ok());
    let over = RevocationDraft { contents: (0..=limits::REVOCATIONS).map(content).collect(), ..draft() };
    let error = over.sign(&operator()).unwrap_err().to_string();
    assert_eq!(error, "4097 revoked contents, the limit is 4096");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..300), domain: bool) {
        let domain: &[u8] = if domain { b"P2C2R 2026-11-22 revocations v1" } else { b"" };
        prop_assert!(open(&[domain, &tail].concat()).is_err());
    }
}
