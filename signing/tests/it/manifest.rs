//! Bounds of the manifest, one row a field.

use p2c2r_signing::{Gpu, Manifest, ManifestError, Profile, ResultClass, Split, limits};
use proptest::prelude::*;

use crate::samples::manifest;

#[track_caller]
fn check(edit: impl FnOnce(&mut Manifest), want: Option<&str>) {
    let mut edited = manifest();
    edit(&mut edited);
    match (edited.validate(), want) {
        (Ok(()), None) => {
            let text = edited.to_json().unwrap();
            assert_eq!(Manifest::from_json(&text).unwrap(), edited, "what validates, round trips");
        }
        (Err(e), Some(want)) => {
            assert!(e.to_string().contains(want), "want {want:?}, got {:?}", e.to_string());
            assert_eq!(edited.to_json(), Err(e.clone()), "and is never written");
            assert_eq!(Manifest::from_json(&serde_json::to_vec(&edited).unwrap()), Err(e), "nor read");
        }
        (got, want) => panic!("want {want:?}, got {got:?}"),
    }
}

fn gpu(edit: impl FnOnce(&mut Gpu)) -> impl FnOnce(&mut Manifest) {
    move |m| edit(m.gpu.as_mut().unwrap())
}

fn split(header_bytes: u32, item_bytes: u32) -> impl FnOnce(&mut Manifest) {
    move |m| m.split = Some(Split { header_bytes, item_bytes })
}

#[test]
fn every_field_has_its_bound() {
    check(|_| {}, None);
    check(|m| m.name = "a".repeat(64), None);
    check(|m| m.name = "a".repeat(65), Some("manifest field name is aaaa"));
    for bad in ["", "A", "1a", "-a", "a_b", "a b", "a\u{e9}", "a/b", "a.b"] {
        check(|m| m.name = bad.to_owned(), Some("want a letter a-z, then a-z 0-9 -, 64 bytes at most"));
    }
    for good in ["0.0.0", "1.20.300", "4294967295.0.0"] {
        check(|m| m.version = good.to_owned(), None);
    }
    for bad in ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.-3", "1.2.x", "1..3", "1.2.3-rc1", "4294967296.0.0", "+1.0.0"]
    {
        check(|m| m.version = bad.to_owned(), Some("want major.minor.patch"));
    }
    check(|m| m.abi = 0, Some("manifest field abi is 0, want 1"));
    check(|m| m.abi = 2, Some("manifest field abi is 2, want 1"));
    check(|m| m.publisher = "Käse & Söhne".to_owned(), None);
    check(|m| m.publisher = "p".repeat(limits::PUBLISHER_BYTES), None);
    check(|m| m.publisher = "p".repeat(129), Some("want 1 to 128 bytes of printable text"));
    for bad in ["", "  ", "a\nb", "\u{1b}[31m"] {
        check(|m| m.publisher = bad.to_owned(), Some("manifest field publisher"));
    }
    check(|m| m.entry = "_start".to_owned(), None);
    check(|m| m.entry = String::new(), Some("manifest field entry"));
    check(|m| m.entry = "a b".to_owned(), Some("manifest field entry is a b"));
    check(|m| m.entry = "e".repeat(limits::NAME_BYTES), None);
    check(|m| m.entry = "e".repeat(65), Some("manifest field entry"));
    check(|m| m.unit = "path_step".to_owned(), None);
    check(|m| m.unit = "u".repeat(limits::UNIT_BYTES), None);
    check(|m| m.unit = "u".repeat(33), Some("manifest field unit"));
    check(|m| m.unit = "Unit".to_owned(), Some("manifest field unit is Unit"));

    check(|m| m.limits.memory_bytes = limits::MEMORY_BYTES, None);
    check(|m| m.limits.memory_bytes = limits::PAGE_BYTES, None);
    check(|m| m.limits.memory_bytes = 0, Some("limits.memory_bytes is 0, want 65536 to 1073741824"));
    check(|m| m.limits.memory_bytes = limits::MEMORY_BYTES + limits::PAGE_BYTES, Some("limits.memory_bytes"));
    check(|m| m.limits.memory_bytes = 100_000, Some("limits.memory_bytes is 100000, want a multiple of 65536"));
    check(|m| m.limits.input_bytes = limits::INPUT_BYTES, None);
    check(|m| m.limits.input_bytes = limits::INPUT_BYTES + 1, Some("limits.input_bytes is 8388609, want 0 to 8388608"));
    check(|m| m.limits.output_bytes = limits::OUTPUT_BYTES, None);
    check(|m| m.limits.output_bytes = limits::OUTPUT_BYTES + 1, Some("limits.output_bytes is 8388609"));
    check(|m| m.limits.units = 0, Some("limits.units is 0, want 1 to 1099511627776"));
    check(|m| m.limits.units = limits::UNITS, None);
    check(|m| m.limits.units = limits::UNITS + 1, Some("limits.units is 1099511627777"));
    check(|m| m.fuel = Some(limits::FUEL), None);
    check(|m| m.fuel = Some(0), Some("manifest field fuel is 0"));
    check(|m| m.fuel = Some(limits::FUEL + 1), Some("manifest field fuel is 17592186044417"));
    check(|m| m.fuel = Some(u64::MAX), Some("manifest field fuel is 18446744073709551615"));

    check(gpu(|g| g.buffers = 0), Some("gpu.buffers is 0, want 1 to 64"));
    check(gpu(|g| g.buffers = limits::GPU_BUFFERS), None);
    check(gpu(|g| g.buffers = 65), Some("gpu.buffers is 65"));
    check(gpu(|g| g.buffer_bytes = 3), Some("gpu.buffer_bytes is 3"));
    check(gpu(|g| g.buffer_bytes = limits::GPU_BUFFER_BYTES), None);
    check(gpu(|g| g.buffer_bytes = limits::GPU_BUFFER_BYTES + 1), Some("gpu.buffer_bytes is 1073741825"));
    check(gpu(|g| g.dispatches = 0), Some("gpu.dispatches is 0"));
    check(gpu(|g| g.dispatches = limits::GPU_DISPATCHES), None);
    check(gpu(|g| g.dispatches = limits::GPU_DISPATCHES + 1), Some("gpu.dispatches is 65537"));
    check(gpu(|g| g.workgroups = 0), Some("gpu.workgroups is 0"));
    check(gpu(|g| g.workgroups = limits::GPU_WORKGROUPS), None);
    check(gpu(|g| g.workgroups = limits::GPU_WORKGROUPS + 1), Some("gpu.workgroups is 16777217"));
    check(|m| m.profile = Profile::Wasi, Some("gpu is present, want absent: a wasi kernel cannot dispatch"));
    check(|m| (m.profile, m.gpu) = (Profile::Wasi, None), None);
    check(|m| m.result_class = ResultClass::Device, None);
    check(|m| (m.result_class, m.gpu) = (ResultClass::Device, None), Some("result_class is device, want exact"));

    check(split(0, 1), None);
    check(split((1 << 20) - 16, 16), None);
    check(split(0, 0), Some("split.item_bytes is 0, want 1 to 1048576"));
    check(split(0, (1 << 20) + 1), Some("split.item_bytes is 1048577"));
    check(split((1 << 20) - 15, 16), Some("split.header_bytes is 1048561, want 0 to 1048560"));
    check(split(u32::MAX, u32::MAX), Some("split.item_bytes is 4294967295"));
    check(
        |m| (m.limits.input_bytes, m.split) = (0, Some(Split { header_bytes: 0, item_bytes: 1 })),
        Some("split.item_bytes is 1"),
    );
}

#[test]
fn defaults_are_those_documented() {
    let json = br#"{"name":"a","version":"1.0.0","abi":1,"publisher":"P","unit":"u"}"#;
    let m = Manifest::from_json(json).unwrap();
    assert_eq!(m.entry, "p2c2r_main");
    assert_eq!((m.profile, m.result_class), (Profile::Core, ResultClass::Exact));
    assert_eq!((m.limits.memory_bytes, m.limits.units), (16 << 20, 1 << 32));
    assert_eq!((m.limits.input_bytes, m.limits.output_bytes), (1 << 20, 1 << 20));
    assert_eq!((m.gpu, m.fuel, m.split), (None, None, None));
}

#[test]
fn json_is_bounded_and_strict() {
    let large = vec![b' '; limits::MANIFEST_BYTES + 1];
    assert_eq!(Manifest::from_json(&large), Err(ManifestError::TooLarge { bytes: limits::MANIFEST_BYTES + 1 }));
    let text = manifest().to_json().unwrap();
    let longest = [&text[..], &vec![b' '; limits::MANIFEST_BYTES - text.len()]].concat();
    assert_eq!(Manifest::from_json(&longest), Ok(manifest()));
    let deep = b"[".repeat(limits::MANIFEST_BYTES);
    assert!(matches!(Manifest::from_json(&deep), Err(ManifestError::Json { .. })));
    let good = String::from_utf8(manifest().to_json().unwrap()).unwrap();
    let unknown_inside = good.replace("\"buffers\"", "\"buffer\"");
    let error = Manifest::from_json(unknown_inside.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("unknown field `buffer`"), "{error}");
    for tail in ["x", "{}", "\0"] {
        let error = Manifest::from_json((good.clone() + tail).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("trailing characters"), "{error}");
    }
    for len in 0..good.len() {
        assert!(Manifest::from_json(&good.as_bytes()[..len]).is_err(), "cut to {len}");
    }
}

proptest! {
    #[test]
    fn random_text_never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Manifest::from_json(&text).is_err());
    }

    #[test]
    fn flipped_text_never_panics_and_stays_in_bounds(at: prop::sample::Index, byte: u8) {
        let mut text = manifest().to_json().unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(m) = Manifest::from_json(&text) {
            prop_assert!(m.validate().is_ok());
        }
    }
}
