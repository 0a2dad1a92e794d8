//! `p2c2r.toml`, an author's description of a kernel, and the shaders beside it. It has the fields of the manifest;
//! what cargo or the tool knows already may be left out.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use p2c2r_signing::{Manifest, limits, manifest};
use serde::Deserialize as _;
use toml::{Table, Value};

use crate::files;

/// Name of the description in a kernel's folder.
pub(crate) const DESCRIPTION_FILE: &str = "p2c2r.toml";

/// Folder of the shaders in a kernel's folder.
const SHADER_FOLDER: &str = "shaders";

/// What `Cargo.toml` says; `None` for a kernel in another language.
pub(crate) struct Defaults<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

/// Reads the manifest of the kernel in `folder`.
pub(crate) fn read_manifest(folder: &Path, defaults: Option<Defaults<'_>>) -> Result<Manifest> {
    let path = folder.join(DESCRIPTION_FILE);
    ensure!(
        path.is_file(),
        "{} has no {DESCRIPTION_FILE}; make one with at least:\n  publisher = \"your name\"\n  unit = \"item\"",
        folder.display()
    );
    let bytes = files::read(&path, "kernel description", limits::MANIFEST_BYTES as u64)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not text", path.display()))?;
    manifest_of(&text, defaults).with_context(|| format!("{}", path.display()))
}

fn manifest_of(text: &str, defaults: Option<Defaults<'_>>) -> Result<Manifest> {
    let mut table: Table = text.parse().context("not valid TOML")?;
    let mut fill = |key: &str, value: Value| {
        table.entry(key).or_insert(value);
    };
    fill("abi", Value::Integer(manifest::ABI_VERSION.into()));
    if let Some(Defaults { name, version }) = defaults {
        // Cargo needs names that are unique among crates; kernels of one publisher need only be unique among themselves.
        fill("name", name.strip_prefix("kernel-").unwrap_or(name).replace('_', "-").into());
        fill("version", version.into());
    }
    if table.get("profile").and_then(Value::as_str) == Some("wasi") {
        table.entry("entry").or_insert("_start".into());
    }
    for (key, example) in [("name", "my-kernel"), ("version", "0.1.0"), ("publisher", "Your Name"), ("unit", "item")] {
        ensure!(table.contains_key(key), "{key} is missing; add a line such as {key} = {example:?}");
    }
    let manifest = Manifest::deserialize(table)?;
    manifest.validate()?;
    Ok(manifest)
}

/// Reads `shaders/*.wgsl`: name and WGSL text with the blocks it uses, sorted by name.
pub(crate) fn read_shaders(folder: &Path) -> Result<Vec<(String, String)>> {
    let folder = folder.join(SHADER_FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut shaders = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "wgsl") {
            continue;
        }
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            bail!("shader {} has a name that is not UTF-8", path.display());
        };
        let bytes = files::read(&path, "shader", limits::SHADER_BYTES as u64)?;
        let text = String::from_utf8(bytes).with_context(|| format!("shader {} is not UTF-8", path.display()))?;
        let whole = p2c2r_wgsl::expand(&text).with_context(|| format!("shader {}", path.display()))?;
        shaders.push((name.to_owned(), whole.into_text()));
    }
    shaders.sort();
    Ok(shaders)
}

#[cfg(test)]
mod tests {
    use p2c2r_signing::Profile;

    use super::*;

    const CARGO: Defaults<'static> = Defaults { name: "kernel-my_mesh", version: "1.2.3" };

    #[test]
    fn cargo_fills_name_and_version() {
        let manifest = manifest_of("publisher = 'P'\nunit = 'ray'\n[limits]\nunits = 7", Some(CARGO)).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("my-mesh", "1.2.3"));
        assert_eq!((manifest.abi, manifest.limits.units, manifest.entry.as_str()), (1, 7, "p2c2r_main"));
    }

    #[test]
    fn the_description_wins_over_cargo() {
        let text = "name = 'other'\nversion = '9.0.0'\npublisher = 'P'\nunit = 'ray'\nprofile = 'wasi'";
        let manifest = manifest_of(text, Some(CARGO)).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("other", "9.0.0"));
        assert_eq!((manifest.profile, manifest.entry.as_str()), (Profile::Wasi, "_start"));
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, part: &str| {
            let error = format!("{:#}", manifest_of(text, Some(CARGO)).unwrap_err());
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        };
        check("unit = 'ray'", "publisher is missing; add a line such as publisher = \"Your Name\"");
        check("publisher = 'P'", "unit is missing");
        check("publisher = 'P'\nunit = 'ray'\nmemory = 3", "unknown field `memory`");
        check("publisher = 'P'\nunit = 'ray'\n[limits]\nmemory_bytes = 70000", "limits.memory_bytes is 70000");
        check("publisher = 'P'\nunit =", "line 2");
        let error = manifest_of("publisher = 'P'\nunit = 'ray'", None).unwrap_err();
        assert!(error.to_string().starts_with("name is missing"), "{error}");
    }
}
