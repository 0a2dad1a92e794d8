//! The public tool `wasmsign2` verifies what we sign, and we verify what it signs.

use p2c2r_signing::{KeyId, TrustedKeys, UnverifiedModule, VerifyError, sign_module, verify_module};
use wasmsign2::{Module, SecretKey, WSError};

use crate::samples::{attached, author, custom, signed, stranger};

fn their_secret() -> SecretKey {
    SecretKey::from_pem(&author().to_pem()).unwrap()
}

fn their_public(key: &p2c2r_signing::SecretKey) -> wasmsign2::PublicKey {
    wasmsign2::PublicKey::from_pem(&key.public().to_pem()).unwrap()
}

fn serialize(module: &Module) -> Vec<u8> {
    let mut out = Vec::new();
    module.serialize(&mut out).unwrap();
    out
}

fn read(bytes: &[u8]) -> Module {
    Module::deserialize(&mut &bytes[..]).unwrap()
}

#[test]
fn they_verify_ours() {
    their_public(&author()).verify(&mut &signed()[..], None).unwrap();
    // What their command line does: a raw key file, and the default key id attached before verifying.
    let file = [&[1][..], author().public().as_bytes()].concat();
    let command_line = wasmsign2::PublicKey::from_bytes(&file).unwrap().attach_default_key_id();
    command_line.verify(&mut &signed()[..], None).unwrap();

    let wrong = their_public(&stranger()).verify(&mut &signed()[..], None);
    assert!(matches!(wrong, Err(WSError::VerificationFailed)));
    let mut changed = signed();
    *changed.last_mut().unwrap() ^= 1;
    assert!(their_public(&author()).verify(&mut &changed[..], None).is_err());
}

#[test]
fn they_verify_ours_with_padded_lengths() {
    // What clang writes: a section length padded to 5 bytes. It is signed as it stands.
    let mut module = attached();
    module.extend([0, 0x85, 0x80, 0x80, 0x80, 0, 4, b'p', b'a', b'd', b's']);
    let signed = sign_module(&module, &author()).unwrap();
    assert!(signed.windows(6).any(|bytes| bytes == [0, 0x85, 0x80, 0x80, 0x80, 0]));
    their_public(&author()).verify(&mut &signed[..], None).unwrap();
}

#[test]
fn they_read_our_section_as_they_would_write_it() {
    let section = |module: &Module| match &module.sections[0] {
        wasmsign2::Section::Custom(section) => section.outer_payload().unwrap(),
        wasmsign2::Section::Standard(_) => panic!("the first section is the signature"),
    };
    let ours = read(&signed());
    let id = their_public(&author()).attach_default_key_id().key_id;
    // Without its first section, the signature, a signed module is what either tool would sign.
    let unsigned = [&signed()[..8], &crate::samples::split(&signed()).1[1..].concat()].concat();
    let theirs = their_secret().sign(read(&unsigned), id.as_ref()).unwrap();
    assert_eq!(section(&ours), section(&theirs));
    assert_eq!(signed(), serialize(&theirs), "ed25519 is deterministic: both tools write the same file");
}

#[test]
fn we_verify_theirs() {
    let trusted = TrustedKeys::new([stranger().public(), author().public()]).unwrap();
    for id in [None, their_public(&author()).attach_default_key_id().key_id] {
        let module = serialize(&their_secret().sign(read(&attached()), id.as_ref()).unwrap());
        let kernel = verify_module(module, &trusted).unwrap();
        assert_eq!(kernel.signer(), author().public());
    }
    let (whole, _) = their_secret().sign_multi(read(&attached()), None, false, false).unwrap();
    assert_eq!(verify_module(serialize(&whole), &trusted).unwrap().signer(), author().public());
}

#[test]
fn we_refuse_their_other_shapes() {
    let trusted = TrustedKeys::from(author().public());
    let check = |module: &Module, want: &str| {
        let error = verify_module(serialize(module), &trusted).unwrap_err().to_string();
        assert!(error.contains(want), "want {want:?}, got {error:?}");
    };
    let odd_id = their_secret().sign(read(&attached()), Some(&b"my key".to_vec())).unwrap();
    check(&odd_id, "key id length is 6, want 0 or 12");
    let other_id = their_secret().sign(read(&attached()), Some(&vec![1; 12])).unwrap();
    check(&other_id, "the signer is not trusted: the signature names key id 010101");
    let (parts, _) = their_secret().sign_multi(read(&attached()), None, false, true).unwrap();
    check(&parts, "signature");
    let (parts, _) = their_secret()
        .sign_multi(read(&[attached(), custom("signature_delimiter", &[1; 16])].concat()), None, false, false)
        .unwrap();
    check(&parts, "signature_delimiter section at byte ");
    let second = SecretKey::from_pem(&stranger().to_pem()).unwrap();
    let (twice, _) = second.sign_multi(read(&signed()), None, false, false).unwrap();
    check(&twice, "number of signatures is 2, want 1");
    let over_ours = second.sign(read(&signed()), None).unwrap();
    check(&over_ours, &format!("the signature is not by key {}", author().public()));
}

#[test]
fn their_key_without_our_trust_is_named() {
    let by_stranger = SecretKey::from_pem(&stranger().to_pem()).unwrap().sign(read(&attached()), None).unwrap();
    let module = UnverifiedModule::parse(serialize(&by_stranger)).unwrap();
    assert_eq!(module.claim().unwrap().key_id, KeyId::Absent);
    let ours = UnverifiedModule::parse(signed()).unwrap();
    assert_eq!(ours.claim().unwrap().key_id, KeyId::Key(*author().public().as_bytes()));
    let error = module.verify(&TrustedKeys::from(author().public())).unwrap_err();
    assert_eq!(error, VerifyError::Untrusted { key_id: KeyId::Absent, trusted: 1 });
}
