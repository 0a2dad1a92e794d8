//! Modules that must not verify, and what is said about each.

use p2c2r_signing::{
    FormatError, Manifest, SignError, TrustedKeys, UnverifiedModule, VerifyError, attach, limits, sign_module,
    verify_module,
};
use proptest::prelude::*;

use crate::samples::{attached, author, custom, join, leb, manifest, shaders, signed, split, stranger, wasm};

fn trusted() -> TrustedKeys {
    TrustedKeys::from(author().public())
}

/// `module` is refused and the reason contains `want`.
#[track_caller]
fn check(module: Vec<u8>, want: &str) {
    let error = verify_module(module, &trusted()).unwrap_err().to_string();
    assert!(error.contains(want), "want {want:?}, got {error:?}");
}

/// The signed sample with its sections changed by `edit`, signature left as it was.
#[track_caller]
fn check_edit(edit: impl FnOnce(&mut Vec<Vec<u8>>), want: &str) {
    let (header, mut sections) = split(&signed());
    edit(&mut sections);
    check(join(&header, &sections), want);
}

/// The signed sample with the bytes of its signature section changed by `edit` and the section's length put right.
#[track_caller]
fn check_signature(edit: impl FnOnce(&mut Vec<u8>), want: &str) {
    check_edit(
        |sections| {
            let mut content = sections[0][3 + 1 + 9..].to_vec();
            edit(&mut content);
            sections[0] = custom("signature", &content);
        },
        want,
    );
}

#[test]
fn the_sample_verifies() {
    let kernel = verify_module(signed(), &trusted()).unwrap();
    assert_eq!(kernel.bytes(), signed());
    assert_eq!(kernel.manifest(), &manifest());
    assert_eq!(kernel.signer(), author().public());
    let names: Vec<_> = kernel.shaders().map(|(name, _)| name).collect();
    assert_eq!(names, ["blur", "trace"], "sorted by name");
    assert_eq!(kernel.shader("blur"), Some("// nothing"));
    assert_eq!(kernel.shader("none"), None);
}

#[test]
fn every_truncation_is_refused() {
    let module = signed();
    for len in 0..module.len() {
        let error = verify_module(module[..len].to_vec(), &trusted()).unwrap_err();
        let says = match &error {
            VerifyError::Format(FormatError::NotWasm { .. }) => len < 8,
            VerifyError::NotSigned => len == 8,
            VerifyError::Format(FormatError::Truncated { left, need, .. }) => left < need,
            // A cut between two sections leaves a well-formed module, which is not the one signed.
            VerifyError::Changed { .. } => true,
            _ => false,
        };
        assert!(says, "cut to {len} bytes: {error}");
    }
}

#[test]
fn every_bit_flip_is_refused() {
    let module = signed();
    let signed_from = 8 + split(&module).1[0].len();
    for bit in 0..module.len() * 8 {
        let mut flipped = module.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = verify_module(flipped, &trusted()).unwrap_err();
        let says = match (&error, bit / 8) {
            (VerifyError::Format(FormatError::NotWasm { .. }), at) => at < 8,
            (VerifyError::Format(_), at) => at >= 8,
            // The signature section may stop being one, or name another key, or another hash, or not fit.
            (VerifyError::NotSigned | VerifyError::Untrusted { .. } | VerifyError::Signature(_), at) => {
                (8..signed_from).contains(&at)
            }
            (VerifyError::Changed { signed, actual }, at) => at >= 8 && signed != actual,
            _ => false,
        };
        assert!(says, "bit {} of byte {}: {error}", bit % 8, bit / 8);
    }
}

#[test]
fn every_byte_dropped_doubled_or_put_in_is_refused() {
    let module = signed();
    for at in 0..=module.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut longer = module.clone();
            longer.insert(at, byte);
            assert!(verify_module(longer, &trusted()).is_err(), "{byte} put in at {at}");
        }
        if at < module.len() {
            let mut shorter = module.clone();
            shorter.remove(at);
            assert!(verify_module(shorter, &trusted()).is_err(), "byte {at} dropped");
        }
    }
}

#[test]
fn every_section_dropped_doubled_or_moved_is_refused() {
    let (header, sections) = split(&signed());
    assert!(sections.len() > 8, "the sample has all kinds of section");
    for from in 0..sections.len() {
        let mut dropped = sections.clone();
        dropped.remove(from);
        assert!(verify_module(join(&header, &dropped), &trusted()).is_err(), "section {from} dropped");
        for to in 0..=sections.len() {
            let mut doubled = sections.clone();
            doubled.insert(to, sections[from].clone());
            assert!(verify_module(join(&header, &doubled), &trusted()).is_err(), "section {from} again at {to}");
            let mut moved = dropped.clone();
            moved.insert(to.min(dropped.len()), sections[from].clone());
            if moved != sections {
                assert!(verify_module(join(&header, &moved), &trusted()).is_err(), "section {from} moved to {to}");
            }
        }
    }
}

/// One past each of these is in the tests below; the largest module is in those of the sandbox.
#[test]
fn a_module_at_every_bound_verifies() {
    let name = |number: usize| format!("{number:0width$}", width = limits::NAME_BYTES);
    let shader = |number: usize, bytes: usize| (name(number), " ".repeat(bytes));
    let mut shaders: Vec<_> = (1..limits::SHADERS).map(|number| shader(number, 1)).collect();
    shaders.push(shader(0, limits::SHADER_BYTES));
    let with = |sections: usize| {
        let wasm = [wasm(), custom("x", b"").repeat(sections)].concat();
        let signed = sign_module(&attach(&wasm, &manifest(), &shaders).map_err(|e| e.to_string())?, &author());
        verify_module(signed.map_err(|e| e.to_string())?, &trusted()).map_err(|e| e.to_string())
    };
    let plain = with(0).unwrap();
    assert_eq!(plain.shaders().count(), limits::SHADERS);
    let room = limits::SECTIONS - split(plain.bytes()).1.len();
    assert_eq!(split(with(room).unwrap().bytes()).1.len(), limits::SECTIONS);
    assert!(with(room + 1).err().unwrap().contains("more than 256 sections"));
    let longer = [(format!("{}x", name(0)), "x".to_owned())];
    let error = attach(&wasm(), &manifest(), &longer).unwrap_err().to_string();
    assert!(error.contains("is not 1 to 64 of"), "{error}");
}

#[test]
fn errors_say_what_is_wrong() {
    check(Vec::new(), "not a core webassembly module: starts with , want");
    check(b"\0asm\x0d\0\x01\0".to_vec(), "starts with 0061736d0d000100");
    check(attached(), "not signed; sign it with: p2c2r sign");
    check(vec![0; limits::MODULE_BYTES + 1], "module is 33554433 bytes, the limit is 33554432");

    // Sections. In the sample: 0 signature, 1 type, 2 function, 3 memory, 4 export, 5 code, 6 producers, 7 manifest, ...
    check_edit(|s| s.insert(1, s[1].clone()), "type section at byte ");
    check_edit(|s| s.insert(1, s[1].clone()), "is a duplicate");
    check_edit(|s| s.swap(1, 2), "type section at byte 144 comes after the function section");
    check_edit(|s| s.push(s[5].clone()), "code section at byte ");
    check_edit(|s| s.swap(6, 7), "changed after signing: its sections hash to ");
    check_edit(|s| s.push(s[7].clone()), "custom section p2c2r.manifest at byte ");
    check_edit(|s| s.push(s[8].clone()), "custom section p2c2r.shader.blur at byte ");
    check_edit(|s| s.push(s[0].clone()), "is not the first section");
    check_edit(|s| s.swap(0, 1), "signature section at byte 15 is not the first section");
    check_edit(|s| s.push(custom("signature_delimiter", &[0; 16])), "signatures over parts of a module");
    check_edit(|s| s.push(custom("p2c2r.other", b"")), "names starting with p2c2r. are reserved");
    check_edit(|s| s.push(custom("extra", b"")), "changed after signing");
    check_edit(|s| s.push(custom("p2c2r.signer", &[0; 32])), "custom section p2c2r.signer at byte ");
    check_edit(|s| s[10] = custom("p2c2r.signer", &[0; 31]), "p2c2r.signer is 31 bytes, want 32");
    check_edit(|s| s[10] = custom("p2c2r.signer", &[0; 32]), "p2c2r.signer is key 0000");
    check_edit(|s| s.truncate(10), "changed after signing");
    check_edit(|s| s.push(vec![14, 0]), "section id 14 at byte ");
    check_edit(|s| s.push(vec![0, 3, 2, 0xff, 0xff]), "is not utf-8");
    check_edit(|s| s.push(vec![0]), "section size at byte ");
    check_edit(|s| s.push(vec![0, 5, 1]), "needs 5 bytes, 1 are left");
    check_edit(|s| s.push(vec![0, 1, 2]), "custom section name at byte ");
    check_edit(|s| s.push(vec![0, 0xff, 0xff, 0xff, 0xff, 0x1f]), "is not a valid 32-bit number");
    check_edit(|s| s.extend(vec![custom("x", b""); limits::SECTIONS]), "more than 256 sections");
    check_edit(|s| s.push(custom("p2c2r.shader.Bad", b"x")), "shader name \"Bad\" is not 1 to 64 of a-z");
    check_edit(|s| s.push(custom("p2c2r.shader.", b"x")), "shader name \"\"");
    check_edit(|s| s.push(custom("p2c2r.shader.none", b"")), "shader \"none\" is 0 bytes");
    check_edit(|s| s.push(custom("p2c2r.shader.binary", &[0xff])), "p2c2r.shader.binary is not utf-8");
    let large = vec![b' '; limits::SHADER_BYTES + 1];
    check_edit(|s| s.push(custom("p2c2r.shader.large", &large)), "shader \"large\" is 262145 bytes, 1 to 262144");
    let many = (0..limits::SHADERS).map(|i| custom(&format!("p2c2r.shader.s{i}"), b"x"));
    check_edit(|s| s.extend(many), "65 shaders or more, the limit is 64");
    let long = vec![b' '; limits::MANIFEST_BYTES + 1];
    check_edit(|s| s[7] = custom("p2c2r.manifest", &long), "manifest is 16385 bytes, the limit is 16384");

    // The signature section's own spelling.
    check_edit(
        |s| {
            let body = s[0][3..].to_vec();
            s[0] = [&[0, leb(body.len())[0], leb(body.len())[1] | 0x80, 0][..], &body].concat();
        },
        "length of the signature section at byte 9 is not a shortest-form",
    );
    check_edit(
        |s| {
            let body = [&[0x89, 0][..], &s[0][4..]].concat();
            s[0] = [vec![0], leb(body.len()), body].concat();
        },
        "length of the signature section at byte 9 is not a shortest-form",
    );
    // Its fields: 0 version, 1 content type, 2 hash function, 3 sets, 4 length, 5 hashes, 6..38 hash, 38 signatures,
    // 39 length, 40 key id length, 41..53 key id, 53 algorithm, 54 length, 55..119 signature.
    check_signature(|s| s[0] = 2, "specification version is 2, want 1");
    check_signature(|s| s[1] = 2, "content type is 2, want 1 (module)");
    check_signature(|s| s[2] = 3, "hash function is 3, want 1 (sha-256)");
    check_signature(|s| s[3] = 0, "number of signed hash sets is 0, want 1");
    check_signature(|s| s[4] ^= 1, "length of the signed hash set is 115, want the rest of the section");
    check_signature(|s| s[5] = 2, "number of hashes is 2, want 1 (the whole module)");
    check_signature(|s| s[6] ^= 1, "changed after signing");
    check_signature(|s| s[38] = 2, "number of signatures is 2, want 1");
    check_signature(|s| s[39] ^= 1, "length of the signature record is 78, want the rest of the section");
    check_signature(|s| s[40] = 32, "key id length is 32, want 0 or 12");
    check_signature(|s| s[41] ^= 1, ", but the signature section names key id ");
    check_signature(|s| s[53] = 2, "algorithm is 2, want 1 (ed25519)");
    check_signature(|s| s[54] = 63, "signature length is 63, want 64");
    check_signature(|s| s[55] ^= 1, "the signature is not by key ");
    check_signature(|s| s.truncate(100), "length of the signed hash set is 114");
    check_signature(|s| s.push(0), "length of the signed hash set is 114");
    check_signature(
        |s| {
            // Both lengths reach one byte further, and so does the section.
            (s[4], s[39]) = (s[4] + 1, s[39] + 1);
            s.push(0);
        },
        "signature section has 1 bytes behind its end",
    );
    check_signature(
        |s| {
            s.splice(4..5, [s[4] | 0x80, 0]);
        },
        "length of the signed hash set at byte 25 is not a shortest-form",
    );
    check_signature(Vec::clear, "specification version at byte ");
}

#[test]
fn only_trusted_signers_count() {
    let key_of_stranger = TrustedKeys::from(stranger().public());
    let error = verify_module(signed(), &key_of_stranger).unwrap_err();
    assert!(matches!(error, VerifyError::Untrusted { trusted: 1, .. }), "{error}");
    let nobody = verify_module(signed(), &TrustedKeys::default()).unwrap_err();
    assert!(matches!(nobody, VerifyError::Untrusted { trusted: 0, .. }), "{nobody}");
    let both = TrustedKeys::new([stranger().public(), author().public()]).unwrap();
    assert_eq!(verify_module(signed(), &both).unwrap().signer(), author().public());
}

#[test]
fn a_small_order_signature_is_refused() {
    // R = identity and S = 0 fit every message under a key of small order. No such key can be trusted (see `keys`), and
    // under a good key or without a key id they fit nothing.
    let mut forged = [0; 64];
    forged[0] = 1;
    check_signature(|s| s[55..].copy_from_slice(&forged), "the signature is not by key ");
    let without_key_id = |s: &mut Vec<u8>| {
        s[55..].copy_from_slice(&forged);
        s.drain(41..53);
        (s[4], s[39], s[40]) = (s[4] - 12, s[39] - 12, 0);
    };
    check_edit(
        |sections| {
            let mut content = sections[0][3 + 1 + 9..].to_vec();
            without_key_id(&mut content);
            sections[0] = custom("signature", &content);
        },
        "the signature is not by key ",
    );
}

#[test]
fn trusted_keys_are_bounded() {
    let key = |n: usize| p2c2r_signing::SecretKey::from_seed(&[n as u8; 32]).public();
    let mut full = TrustedKeys::new((0..limits::TRUSTED_KEYS).map(key)).unwrap();
    assert_eq!(full.len(), limits::TRUSTED_KEYS);
    assert!(full.insert(key(0)).is_ok(), "one it has is no new one");
    assert!(full.insert(key(100)).is_err());
    assert!(!full.contains(&key(100)));
    assert!(TrustedKeys::new((0..=limits::TRUSTED_KEYS).map(key)).is_err());
}

/// Signs whatever it is given, as another tool would.
fn sign_blindly(module: &[u8]) -> Vec<u8> {
    let module = wasmsign2::Module::deserialize(&mut &module[..]).unwrap();
    let key = wasmsign2::SecretKey::from_pem(&author().to_pem()).unwrap();
    let mut out = Vec::new();
    key.sign(module, None).unwrap().serialize(&mut out).unwrap();
    out
}

#[test]
fn a_good_signature_does_not_excuse_bad_content() {
    let with = |sections: &[Vec<u8>]| sign_blindly(&[wasm(), sections.concat()].concat());
    let manifest_section = custom("p2c2r.manifest", &manifest().to_json().unwrap());
    check(with(&[]), "the module has no p2c2r.manifest section");
    check(with(&[custom("p2c2r.manifest", b"{}")]), "manifest is not valid: missing field `name`");
    let unknown = br#"{"name":"a","version":"1.0.0","abi":1,"publisher":"P","unit":"u","colour":"red"}"#;
    check(with(&[custom("p2c2r.manifest", unknown)]), "unknown field `colour`");
    let twice = br#"{"name":"a","name":"b","version":"1.0.0","abi":1,"publisher":"P","unit":"u"}"#;
    check(with(&[custom("p2c2r.manifest", twice)]), "duplicate field `name`");
    let next = br#"{"name":"a","version":"1.0.0","abi":2,"publisher":"P","unit":"u"}"#;
    check(with(&[custom("p2c2r.manifest", next)]), "manifest field abi is 2, want 1");
    let no_gpu = br#"{"name":"a","version":"1.0.0","abi":1,"publisher":"P","unit":"u"}"#;
    let no_gpu = [custom("p2c2r.manifest", no_gpu), custom("p2c2r.shader.s", b"x")];
    check(with(&no_gpu), "1 shaders, but its manifest has no gpu bounds");
    let broken = [b"\0asm\x01\0\0\0\x01\x01\x05".to_vec(), manifest_section].concat();
    check(sign_blindly(&broken), "not valid webassembly: ");
}

#[test]
fn signing_refuses_what_would_not_verify() {
    let unfit = sign_module(&wasm(), &author()).unwrap_err();
    assert_eq!(unfit, SignError::Unfit(VerifyError::NoManifest));
    let not_wasm = sign_module(b"MZ", &author()).unwrap_err();
    assert!(matches!(not_wasm, SignError::Format(FormatError::NotWasm { .. })));
}

#[test]
fn signing_again_replaces_the_signature() {
    let first = signed();
    assert_eq!(sign_module(&first, &author()).unwrap(), first, "signing is deterministic");
    let second = sign_module(&first, &stranger()).unwrap();
    assert_eq!(second.len(), first.len());
    assert!(verify_module(second.clone(), &trusted()).is_err());
    let by_stranger = verify_module(second, &TrustedKeys::from(stranger().public())).unwrap();
    assert_ne!(by_stranger.id(), verify_module(first.clone(), &trusted()).unwrap().id());
    assert_ne!(by_stranger.content(), verify_module(first, &trusted()).unwrap().content(), "the signer is part of it");
}

#[test]
fn attaching_again_replaces_everything_attached() {
    assert_eq!(attach(&signed(), &manifest(), &shaders()).unwrap(), attached());
    let none = attach(&signed(), &manifest(), &[]).unwrap();
    assert_eq!(UnverifiedModule::parse(none).unwrap().shaders().count(), 0);
}

#[test]
fn attaching_refuses_bad_input() {
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let check = |wasm: &[u8], manifest: &Manifest, shaders: &[(String, String)], want: &str| {
        let error = attach(wasm, manifest, shaders).unwrap_err().to_string();
        assert!(error.contains(want), "want {want:?}, got {error:?}");
    };
    let (wasm, good) = (wasm(), manifest());
    check(b"", &good, &[], "not a core webassembly module");
    check(&[&wasm[..], &[1, 0]].concat(), &good, &[], "type section at byte ");
    check(b"\0asm\x01\0\0\0\x01\x01\x05", &good, &[], "not valid webassembly");
    check(&wasm, &good, &[text("a", "1"), text("a", "2")], "two shaders are named \"a\"");
    check(&wasm, &good, &[text("A", "1")], "shader name \"A\"");
    check(&wasm, &good, &[text("a", "")], "shader \"a\" is 0 bytes");
    let many: Vec<_> = (0..=limits::SHADERS).map(|i| text(&format!("s{i}"), "x")).collect();
    check(&wasm, &good, &many, "65 shaders or more");
    let no_gpu = Manifest { gpu: None, ..good.clone() };
    check(&wasm, &no_gpu, &shaders(), "add a [gpu] table");
    let nameless = Manifest { name: String::new(), ..good };
    check(&wasm, &nameless, &[], "manifest field name is ,");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), wasm in any::<bool>()) {
        if wasm {
            bytes.splice(..0, *b"\0asm\x01\0\0\0");
        }
        prop_assert!(verify_module(bytes, &trusted()).is_err());
    }

    #[test]
    fn random_sections_never_panic(
        sections in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        names in proptest::collection::vec(0usize..5, 12),
    ) {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for ((id, body), name) in sections.iter().zip(names) {
            let known = ["signature", "p2c2r.manifest", "p2c2r.shader.a", "signature_delimiter", ""];
            if *id < 128 {
                module.extend(custom(known[name], body));
            } else {
                module.extend([vec![id % 16], leb(body.len()), body.clone()].concat());
            }
        }
        prop_assert!(verify_module(module, &trusted()).is_err());
    }

    #[test]
    fn mutated_modules_never_verify(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        splice in any::<bool>(),
    ) {
        let good = signed();
        let mut module = good.clone();
        for (from, to, byte) in edits {
            if splice {
                // Moves a stretch of the module over another place in it.
                let (a, b) = (from.index(module.len()), to.index(module.len()));
                let stretch = module[a.min(b)..a.max(b)].to_vec();
                let at = usize::from(byte) * module.len() / 256;
                module.splice(at..(at + stretch.len() / 2).min(module.len()), stretch);
            } else {
                module[from.index(good.len())] = byte;
            }
        }
        if module != good {
            prop_assert!(verify_module(module, &trusted()).is_err());
        }
    }
}
