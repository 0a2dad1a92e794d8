//! A module from a stranger, and one that its author asks to have signed. Also run by `signing/tests/it/fuzz.rs`.

use p2c2r_signing::{SecretKey, TrustedKeys, sign_module, verify_module};

/// No bytes panic; what signing accepts verifies, unchanged; what was not signed by a trusted key does not.
pub(crate) fn check(bytes: &[u8]) {
    let key = SecretKey::from_seed(&[7; 32]);
    let (trusted, stranger) = (TrustedKeys::from(key.public()), SecretKey::from_seed(&[8; 32]).public());
    if let Ok(kernel) = verify_module(bytes.to_vec(), &trusted) {
        assert_eq!(kernel.bytes(), bytes);
        assert!(verify_module(bytes.to_vec(), &TrustedKeys::from(stranger)).is_err());
    }
    if let Ok(signed) = sign_module(bytes, &key) {
        let kernel = verify_module(signed.clone(), &trusted).expect("what was signed verifies");
        assert_eq!(kernel.bytes(), signed);
        assert_eq!(kernel.signer(), key.public());
    }
}
