//! Key files, openssl, and keys that are none.

use std::path::Path;
use std::process::Command;

use p2c2r_signing::{KeyError, PublicKey, SecretKey, SignatureError, limits};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::samples::{author, hex, stranger, unhex};

/// Runs openssl; `None` and a line that says so when there is none.
fn openssl(dir: &Path, args: &str) -> Option<Vec<u8>> {
    match Command::new("openssl").args(args.split(' ')).current_dir(dir).output() {
        Ok(out) => {
            assert!(out.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&out.stderr));
            Some(out.stdout)
        }
        Err(e) => {
            eprintln!("SKIPPED: openssl {args}: {e}");
            None
        }
    }
}

#[test]
fn openssl_reads_our_keys() {
    let dir = tempdir().unwrap();
    author().save_new(&dir.path().join("secret.pem")).unwrap();
    std::fs::write(dir.path().join("public.pem"), author().public().to_pem()).unwrap();
    let Some(public) = openssl(dir.path(), "pkey -in secret.pem -pubout") else { return };
    assert_eq!(String::from_utf8(public).unwrap(), author().public().to_pem());
    openssl(dir.path(), "pkey -pubin -in public.pem -noout");

    std::fs::write(dir.path().join("message"), b"hello").unwrap();
    std::fs::write(dir.path().join("signature"), author().sign(b"hello")).unwrap();
    openssl(dir.path(), "pkeyutl -verify -pubin -inkey public.pem -rawin -in message -sigfile signature");
    openssl(dir.path(), "pkeyutl -sign -inkey secret.pem -rawin -in message -out theirs");
    author().public().verify(b"hello", &std::fs::read(dir.path().join("theirs")).unwrap()).unwrap();
}

#[test]
fn we_read_openssl_keys() {
    let dir = tempdir().unwrap();
    let Some(_) = openssl(dir.path(), "genpkey -algorithm ed25519 -out secret.pem") else { return };
    openssl(dir.path(), "pkey -in secret.pem -pubout -out public.pem");
    let secret = SecretKey::load(&dir.path().join("secret.pem")).unwrap();
    assert_eq!(secret.public(), PublicKey::load(&dir.path().join("public.pem")).unwrap());

    openssl(dir.path(), "pkey -in secret.pem -aes256 -passout pass:x -out locked.pem");
    let error = SecretKey::load(&dir.path().join("locked.pem")).err().unwrap().to_string();
    assert!(error.contains("decrypt it first: openssl pkey"), "{error}");
    openssl(dir.path(), "genpkey -algorithm x25519 -out other.pem");
    let error = SecretKey::load(&dir.path().join("other.pem")).err().unwrap().to_string();
    assert!(error.contains("not an ed25519 key"), "{error}");
}

#[test]
fn key_files_are_bounded() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("public.pem");
    let pem = author().public().to_pem();
    for (bytes, fits) in [(limits::KEY_FILE_BYTES, true), (limits::KEY_FILE_BYTES + 1, false)] {
        // What stands before the key is a comment.
        let comment = "x".repeat(bytes - pem.len() - 1);
        std::fs::write(&path, format!("{comment}\n{pem}")).unwrap();
        match PublicKey::load(&path) {
            Ok(key) => assert!(fits && key == author().public()),
            Err(error) => assert!(!fits && matches!(error, KeyError::TooLarge { .. }), "{error}"),
        }
    }
}

#[test]
fn pem_round_trips() {
    let key = SecretKey::generate();
    assert_eq!(SecretKey::from_pem(&key.to_pem()).unwrap().public(), key.public());
    assert_eq!(PublicKey::from_pem(&key.public().to_pem()).unwrap(), key.public());
    assert_ne!(SecretKey::generate().public(), key.public());
}

#[test]
fn pem_of_something_else_is_refused() {
    let check = |got: Option<KeyError>, want: &str| {
        let error = got.unwrap().to_string();
        assert!(error.contains(want), "want {want:?}, got {error:?}");
    };
    let secret = author().to_pem();
    let public = author().public().to_pem();
    check(SecretKey::from_pem(&public).err(), "pem holds a \"PUBLIC KEY\", want a \"PRIVATE KEY\"");
    check(PublicKey::from_pem(&secret).err(), "derive the public key: openssl pkey -in KEY -pubout");
    check(SecretKey::from_pem("").err(), "not an ed25519 key in pem");
    check(SecretKey::from_pem("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n").err(), "not an ed25519");
    check(SecretKey::from_pem(&format!("{}x", *secret)).err(), "not an ed25519 key in pem");
    for len in 0..secret.trim_end().len() {
        assert!(SecretKey::from_pem(&secret[..len]).is_err(), "cut to {len}");
    }
    for len in 0..public.trim_end().len() {
        assert!(PublicKey::from_pem(&public[..len]).is_err(), "cut to {len}");
    }
}

#[test]
fn key_files_are_private_new_and_bounded() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("key.pem");
    author().save_new(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(SecretKey::load(&path).unwrap().public(), author().public());
    let again = stranger().save_new(&path).unwrap_err();
    assert!(matches!(again, KeyError::Exists { .. }), "{again}");
    assert_eq!(SecretKey::load(&path).unwrap().public(), author().public(), "still the first key");

    let large = dir.path().join("large.pem");
    std::fs::write(&large, "x".repeat(10_000)).unwrap();
    assert!(matches!(SecretKey::load(&large).err().unwrap(), KeyError::TooLarge { .. }));
    let missing = SecretKey::load(&dir.path().join("none.pem")).err().unwrap().to_string();
    assert!(missing.contains("none.pem"), "{missing}");
}

#[test]
fn weak_keys_are_refused_everywhere() {
    // The eight points of order 1, 2, 4 and 8, and the second spellings a lax decoder takes for them.
    let sign = |text: &str| text[..62].to_owned() + &hex(&[u8::from_str_radix(&text[62..], 16).unwrap() ^ 0x80]);
    let small = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    let other_spelling = [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let check = |text: String, want: &str| {
        let bytes: [u8; 32] = unhex(&text).try_into().unwrap();
        let message = PublicKey::from_bytes(&bytes).unwrap_err().to_string();
        assert!(message.contains(want) && message.contains(&text), "{message}");
        assert!(text.parse::<PublicKey>().is_err());
        assert!(serde_json::from_str::<PublicKey>(&format!("\"{text}\"")).is_err());
        assert!(rmp_serde::from_slice::<PublicKey>(&[&[0xc4, 32], &bytes[..]].concat()).is_err());
    };
    for text in small {
        check(text.to_owned(), "is weak");
        check(sign(text), "is weak");
    }
    for text in other_spelling {
        check(text.to_owned(), "is not canonical");
        check(sign(text), "is not canonical");
    }
    check("02".to_owned() + &"00".repeat(31), "is not a point of the curve");
}

#[test]
fn signatures_are_checked_strictly() {
    let (key, message) = (author(), b"message");
    let good = key.sign(message);
    key.public().verify(message, &good).unwrap();
    let mismatch = SignatureError::Mismatch { key: key.public() };
    assert_eq!(stranger().public().verify(message, &good), Err(SignatureError::Mismatch { key: stranger().public() }));
    assert_eq!(key.public().verify(b"massage", &good), Err(mismatch));
    assert_eq!(key.public().verify(message, &good[..63]), Err(SignatureError::Length { got: 63 }));
    for bit in 0..512 {
        let mut bad = good;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.public().verify(message, &bad), Err(mismatch), "bit {bit}");
    }
    // S + L is the same scalar in another spelling.
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut other = good;
    let mut carry = 0u16;
    for (s, l) in other[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        (*s, carry) = ((sum & 0xff) as u8, sum >> 8);
    }
    assert_eq!(key.public().verify(message, &other), Err(mismatch));
}

proptest! {
    #[test]
    fn random_pem_never_panics(text in "(-----BEGIN (PRIVATE|PUBLIC) KEY-----\n)?[A-Za-z0-9+/=\n]{0,120}(-----END (PRIVATE|PUBLIC) KEY-----\n)?") {
        prop_assert!(SecretKey::from_pem(&text).is_err());
        prop_assert!(PublicKey::from_pem(&text).is_err());
    }

    #[test]
    fn random_keys_are_points_or_refused(bytes: [u8; 32]) {
        if let Ok(key) = PublicKey::from_bytes(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes);
            prop_assert!(key.verify(b"", &[0; 64]).is_err());
        }
    }
}
