//! What can be seen in a module without running it: imports and exports, and whether a profile allows them.

use anyhow::{Context, Result, bail, ensure};
use p2c2r_signing::limits::PAGE_BYTES;
use p2c2r_signing::{Manifest, Profile};
use serde::Serialize;
use wasmparser::{Parser, Payload};

/// Module of the imports of a core kernel, `p2c2r_abi::IMPORT_MODULE`.
const P2C2R_IMPORTS: &str = "p2c2r_v1";

/// Module of the imports of WASI preview 1.
const WASI_IMPORTS: &str = "wasi_snapshot_preview1";

/// A module's edges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Interface {
    /// Module and name, in file order.
    pub(crate) imports: Vec<(String, String)>,
    /// Names, in file order.
    pub(crate) exports: Vec<String>,
    /// What its memory starts with, in bytes.
    pub(crate) memory_bytes: Option<u64>,
}

impl Interface {
    /// Reads imports and exports.
    pub(crate) fn read(wasm: &[u8]) -> Result<Self> {
        let mut interface = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.context("not a WebAssembly module")? {
                Payload::Version { encoding, .. } => ensure!(
                    encoding == wasmparser::Encoding::Module,
                    "this is a component; a kernel is a core module (build for wasm32-unknown-unknown or wasm32-wasip1)"
                ),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.context("not a WebAssembly module")?;
                        interface.imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::MemorySection(section) => {
                    let memory = section.into_iter().next().transpose().context("not a WebAssembly module")?;
                    interface.memory_bytes = memory.map(|memory| memory.initial.saturating_mul(PAGE_BYTES));
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        interface.exports.push(export.context("not a WebAssembly module")?.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    /// Whether the module exports `name`.
    pub(crate) fn exports(&self, name: &str) -> bool {
        self.exports.iter().any(|export| export == name)
    }

    /// Refuses what would end as `bad_abi` on every peer, while its author is still looking.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<()> {
        let allowed: &[&str] = match manifest.profile {
            Profile::Core => &[P2C2R_IMPORTS],
            Profile::Wasi => &[P2C2R_IMPORTS, WASI_IMPORTS],
        };
        if let Some((module, name)) = self.imports.iter().find(|(module, _)| !allowed.contains(&module.as_str())) {
            let hint = match module.as_str() {
                WASI_IMPORTS => "; set profile = \"wasi\" for a program that reads stdin and writes stdout",
                "env" => "; a function was declared but not linked in",
                _ if module.contains("wbindgen") => {
                    "; a dependency expects JavaScript, look for its wasm-bindgen or js feature"
                }
                _ => "",
            };
            bail!("the module imports {module}.{name}, which no peer provides{hint}");
        }
        let entry = &manifest.entry;
        if !self.exports(entry) {
            bail!(
                "the module exports no function {entry}; mark the kernel's function with #[kernel], or set entry in p2c2r.toml"
            );
        }
        let (needs, limit) = (self.memory_bytes.unwrap_or(0), manifest.limits.memory_bytes);
        ensure!(
            needs <= limit,
            "the module's memory starts with {needs} bytes, for its stack and data, and limits.memory_bytes is {limit}; raise it in p2c2r.toml"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(profile: &str, entry: &str) -> Manifest {
        let text = format!(
            r#"{{"name":"k","version":"1.0.0","abi":1,"publisher":"P","unit":"u","profile":"{profile}","entry":"{entry}"}}"#
        );
        Manifest::from_json(text.as_bytes()).unwrap()
    }

    fn check(wat: &str, manifest: &Manifest, expected: Option<&str>) {
        let interface = Interface::read(&wat::parse_str(wat).unwrap()).unwrap();
        let error = interface.check(manifest).err().map(|e| e.to_string());
        match (error.as_deref(), expected) {
            (Some(error), Some(part)) => assert!(error.contains(part), "{error:?} does not say {part:?}"),
            (error, expected) => assert_eq!(error, expected),
        }
    }

    #[test]
    fn profiles_allow_their_imports() {
        let core = manifest("core", "main");
        let wasi = manifest("wasi", "main");
        let main = r#"(func (export "main"))"#;
        let module = |import: &str| format!("(module {import} {main})");
        let fd_write = module(r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#);
        check(&module(r#"(import "p2c2r_v1" "seed" (func))"#), &core, None);
        check(&fd_write, &core, Some("set profile = \"wasi\""));
        check(&fd_write, &wasi, None);
        check(&module(r#"(import "env" "now" (func))"#), &core, Some("imports env.now"));
        check("(module)", &core, Some("exports no function main"));
    }

    #[test]
    fn memory_must_fit_from_the_start() {
        let module = |pages: u32| format!(r#"(module (memory {pages}) (func (export "main")))"#);
        // 16 MiB, the default.
        check(&module(256), &manifest("core", "main"), None);
        let part = "starts with 16842752 bytes, for its stack and data, and limits.memory_bytes is 16777216";
        check(&module(257), &manifest("core", "main"), Some(part));
    }

    #[test]
    fn components_are_refused() {
        let bytes = wat::parse_str("(component)").unwrap();
        assert!(Interface::read(&bytes).unwrap_err().to_string().contains("component"));
    }
}
