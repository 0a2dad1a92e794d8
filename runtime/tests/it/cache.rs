//! Compiled code on disk: used when it is ours, made again when it is not.

use std::fs;
use std::path::{Path, PathBuf};

use p2c2r_runtime::{Attempt, GpuPolicy, Sandbox, SandboxConfig, SandboxError};
use p2c2r_signing::Manifest;

use crate::kit::{core, manifest, module};

fn open(dir: &Path) -> Sandbox {
    let cache_dir = Some(dir.join("aot"));
    Sandbox::new(SandboxConfig { cache_dir, gpu: GpuPolicy::Off, workers: 2, ..SandboxConfig::default() }).unwrap()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let engines = fs::read_dir(dir.join("aot")).unwrap().map(|e| e.unwrap().path());
    engines.flat_map(|engine| fs::read_dir(engine).unwrap().map(|e| e.unwrap().path())).collect()
}

#[test]
fn a_second_load_comes_from_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    for fuel in [None, Some(100_000)] {
        let module = module(&core("(call $put (i32.const 5))"), &Manifest { fuel, ..manifest() });
        let first = open(dir.path()).load(&module).unwrap();
        assert!(!first.from_cache());
        let sandbox = open(dir.path());
        let second = sandbox.load(&module).unwrap();
        assert!(second.from_cache());
        assert_eq!(sandbox.run(&second, Attempt::new("")).unwrap().output, 5i32.to_le_bytes());
    }
    assert_eq!(entries(dir.path()).len(), 2);
}

#[test]
fn a_changed_entry_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let module = module(&core("(call $put (i32.const 5))"), &manifest());
    open(dir.path()).load(&module).unwrap();
    let path = entries(dir.path()).remove(0);
    let good = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut longer = good.clone();
    longer.push(0);
    let mut cases: Vec<(String, Vec<u8>)> =
        [0, 31, 32, 100, good.len() / 2, good.len() - 1].map(|at| (format!("bit flip at {at}"), flipped(at))).into();
    cases.push(("empty".to_owned(), Vec::new()));
    cases.push(("mac only".to_owned(), good[..32].to_vec()));
    cases.push(("cut".to_owned(), good[..good.len() - 1].to_vec()));
    cases.push(("longer".to_owned(), longer));
    for (name, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let sandbox = open(dir.path());
        let kernel = sandbox.load(&module).unwrap();
        assert!(!kernel.from_cache(), "{name}");
        assert_eq!(sandbox.run(&kernel, Attempt::new("")).unwrap().output, 5i32.to_le_bytes(), "{name}");
        assert!(open(dir.path()).load(&module).unwrap().from_cache(), "{name}: repaired");
    }
}

#[test]
fn an_entry_counts_for_its_own_module_only() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (module(&core("(call $put (i32.const 1))"), &manifest()), module(&core(""), &manifest()));
    let sandbox = open(dir.path());
    sandbox.load(&a).unwrap();
    let path = entries(dir.path()).remove(0);
    let stolen = path.with_file_name(format!("{}.plain", b.id()));
    fs::copy(&path, stolen).unwrap();
    assert!(!sandbox.load(&b).unwrap().from_cache());
}

#[test]
fn entries_of_another_machine_do_not_count() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let module = module(&core(""), &manifest());
    open(there.path()).load(&module).unwrap();
    open(here.path()).load(&module).unwrap();
    fs::copy(&entries(there.path())[0], &entries(here.path())[0]).unwrap();
    assert!(!open(here.path()).load(&module).unwrap().from_cache());
}

#[test]
fn the_key_is_private_and_lies_outside_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let module = module(&core(""), &manifest());
    open(dir.path()).load(&module).unwrap();
    let key = dir.path().join("aot.key");
    assert_eq!(fs::read(&key).unwrap().len(), 32);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        // A key that others could have read is not trusted, and neither is what it authenticated.
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!open(dir.path()).load(&module).unwrap().from_cache());
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::write(&key, b"short").unwrap();
    assert!(!open(dir.path()).load(&module).unwrap().from_cache());
    assert_eq!(fs::read(&key).unwrap().len(), 32);
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let config = SandboxConfig {
        cache_dir: Some(file.join("aot")),
        gpu: GpuPolicy::Off,
        workers: 1,
        ..SandboxConfig::default()
    };
    let error = Sandbox::new(config).unwrap_err();
    assert!(matches!(error, SandboxError::Cache { .. }));
    assert!(error.to_string().contains("file/aot"), "{error}");
}
