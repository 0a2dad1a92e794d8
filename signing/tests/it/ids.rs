//! Text and binary forms of the identities.

use core::fmt::Debug;
use core::str::FromStr;

use p2c2r_signing::{
    AccountId, AttemptNonce, BlobId, ClassId, Digest, InputDigest, ModuleId, PublicKey, Seal, SecretKey, SessionId,
    TaskId, TraceRoot, Vote,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn round_trip<T>(id: T) -> Result<(), TestCaseError>
where
    T: Copy + PartialEq + Debug + ToString + FromStr<Err: Debug> + Serialize + DeserializeOwned,
{
    prop_assert_eq!(id.to_string().parse::<T>().unwrap(), id);
    let json = serde_json::to_string(&id).unwrap();
    prop_assert_eq!(&json, &format!("{:?}", id.to_string()));
    prop_assert_eq!(serde_json::from_str::<T>(&json).unwrap(), id);
    let binary = rmp_serde::to_vec_named(&id).unwrap();
    prop_assert_eq!(binary.len(), 2 + id.to_string().len() / 2, "bin 8 header and the raw bytes");
    prop_assert_eq!(rmp_serde::from_slice::<T>(&binary).unwrap(), id);
    for short in 0..binary.len() {
        prop_assert!(rmp_serde::from_slice::<T>(&binary[..short]).is_err());
    }
    Ok(())
}

proptest! {
    #[test]
    fn identities_round_trip(long: [u8; 32], short: [u8; 16]) {
        round_trip(Digest::from_bytes(long))?;
        round_trip(ModuleId::from_bytes(long))?;
        round_trip(BlobId::from_bytes(long))?;
        round_trip(ClassId::from_bytes(long))?;
        round_trip(InputDigest::from_bytes(long))?;
        round_trip(TraceRoot::from_bytes(long))?;
        round_trip(Vote::from_bytes(long))?;
        round_trip(Seal::from_bytes(long))?;
        round_trip(TaskId::from_bytes(short))?;
        round_trip(AccountId::from_bytes(short))?;
        round_trip(SessionId::from_bytes(short))?;
        round_trip(AttemptNonce::from_bytes(short))?;
        round_trip(SecretKey::from_seed(&long).public())?;
    }

    #[test]
    fn other_text_is_refused(text in ".{0,80}") {
        let hex = |n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        prop_assert_eq!(text.parse::<Digest>().is_ok(), hex(64));
        prop_assert_eq!(text.parse::<TaskId>().is_ok(), hex(32));
        prop_assert!(text.parse::<PublicKey>().is_err() || hex(64));
    }
}

#[test]
fn errors_name_kind_length_and_text() {
    let error = "XYZ".parse::<TaskId>().unwrap_err().to_string();
    assert_eq!(error, "TaskId must be 32 lower-case hex digits, got \"XYZ\"");
    let upper = "AB".repeat(32).parse::<Digest>().unwrap_err().to_string();
    assert!(upper.starts_with("Digest must be 64 lower-case hex digits"), "{upper}");
    let endless = "z".repeat(1 << 20).parse::<Digest>().unwrap_err().to_string();
    assert!(endless.len() < 200, "an error does not carry a megabyte");
}

#[test]
fn short_forms_are_eight_digits() {
    assert_eq!(Digest::from_bytes([0xab; 32]).short(), "abababab");
}

#[test]
fn derived_identities_differ_by_every_part() {
    let account = SecretKey::from_seed(&[1; 32]).public().account();
    let other = SecretKey::from_seed(&[2; 32]).public().account();
    let session = SessionId::derive(&account, 1);
    assert_ne!(account, other);
    assert_eq!(session, SessionId::derive(&account, 1));
    assert_ne!(session, SessionId::derive(&account, 2));
    assert_ne!(session, SessionId::derive(&other, 1));
    assert_ne!(TaskId::derive(&session, 1), TaskId::derive(&session, 2));
    let same_bytes = SessionId::from_bytes(*account.as_bytes());
    assert_ne!(TaskId::derive(&same_bytes, 1).as_bytes(), session.as_bytes(), "domains separate the two");
}
