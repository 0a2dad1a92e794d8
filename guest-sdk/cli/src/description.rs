//! `p2c2r.toml`, an author's description of a kernel, and the shaders beside it. It has the fields of the manifest;
//! what cargo or the tool knows already may be left out.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use p2c2r_signing::{Manifest, ManifestError, limits, manifest};
use serde::Deserialize as _;
use toml::Value;
use toml::de::{DeTable, Deserializer};

use crate::files;

/// Name of the description in a kernel's folder.
pub(crate) const DESCRIPTION_FILE: &str = "p2c2r.toml";

/// What `Cargo.toml` says; `None` for a kernel in another language.
pub(crate) struct Defaults<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

/// What is wrong with a description, and at which bytes.
#[derive(Debug)]
struct Mistake {
    span: Option<Range<usize>>,
    what: String,
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
    manifest_of(&text, defaults).map_err(|mistake| anyhow!("{}{}", path.display(), mistake.said_of(&text)))
}

fn manifest_of(text: &str, defaults: Option<Defaults<'_>>) -> Result<Manifest, Mistake> {
    if text.trim_start().starts_with('{') {
        return Err(Mistake::anywhere(
            "this is JSON, a description is TOML: write name = \"my-kernel\" and so on, a line each",
        ));
    }
    let mut table = DeTable::parse(text)?;
    let is_wasi = table.get_ref().get("profile").and_then(|profile| profile.get_ref().as_str()) == Some("wasi");
    let left_out = text_of(defaults, is_wasi);
    for (key, value) in DeTable::parse(&left_out)?.into_inner() {
        table.get_mut().entry(key).or_insert(value);
    }
    for (key, example) in [("name", "my-kernel"), ("version", "0.1.0"), ("publisher", "Your Name"), ("unit", "item")] {
        if !table.get_ref().contains_key(key) {
            return Err(Mistake::anywhere(format!("{key} is missing; add a line such as {key} = {example:?}")));
        }
    }
    let manifest = Manifest::deserialize(Deserializer::from(table))?;
    manifest.validate().map_err(|error| Mistake { span: place_of(&error, text), what: error.to_string() })?;
    Ok(manifest)
}

/// What may be left out of a description, as one.
fn text_of(defaults: Option<Defaults<'_>>, is_wasi: bool) -> String {
    let mut text = format!("abi = {}\n", manifest::ABI_VERSION);
    let mut put = |key: &str, value: String| {
        let _ = writeln!(text, "{key} = {}", Value::String(value));
    };
    if let Some(Defaults { name, version }) = defaults {
        // Cargo needs names that are unique among crates; kernels of one publisher need only be unique among themselves.
        put("name", name.strip_prefix("kernel-").unwrap_or(name).replace('_', "-"));
        put("version", version.to_owned());
    }
    if is_wasi {
        put("entry", "_start".to_owned());
    }
    text
}

/// Where the field that breaks a bound is written; nowhere if it is a default.
fn place_of(error: &ManifestError, text: &str) -> Option<Range<usize>> {
    let ManifestError::Field { field, .. } = error else { return None };
    let table = DeTable::parse(text).ok()?;
    let (mut names, mut inside) = (field.split('.'), table.get_ref());
    let mut value = inside.get(names.next()?)?;
    for name in names {
        inside = value.get_ref().as_table()?;
        value = inside.get(name)?;
    }
    Some(value.span())
}

impl Mistake {
    fn anywhere(what: impl Into<String>) -> Self {
        Self { span: None, what: what.into() }
    }

    /// `:2:8: sentence`, line and column in `text` from 1.
    fn said_of(&self, text: &str) -> String {
        let before = self.span.as_ref().and_then(|span| text.get(..span.start));
        let place = before.map(|before| {
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!(":{}:{column}", before.matches('\n').count() + 1)
        });
        format!("{}: {}", place.unwrap_or_default(), self.what)
    }
}

impl From<toml::de::Error> for Mistake {
    fn from(error: toml::de::Error) -> Self {
        Self { span: error.span(), what: error.message().trim_end().replace('\n', ": ") }
    }
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
            let error = manifest_of(text, Some(CARGO)).unwrap_err().said_of(text);
            assert!(error.contains(part) && !error.contains('\n'), "{error:?} does not say {part:?} in a line");
        };
        check("unit = 'ray'", "publisher is missing; add a line such as publisher = \"Your Name\"");
        check("publisher = 'P'", "unit is missing");
        check("publisher = 'P'\nunit = 'ray'\nmemory = 3", ":3:1: unknown field `memory`");
        check("publisher = 'P'\nunit = 7", ":2:8: invalid type: integer `7`, expected a string");
        let bound = ":4:16: manifest field limits.memory_bytes is 70000";
        check("publisher = 'P'\nunit = 'ray'\n[limits]\nmemory_bytes = 70000", bound);
        check("publisher = 'P'\nunit = 'ray'\n\n[gpu]\nbuffers = 1", ":4:1: missing field `buffer_bytes`");
        check("publisher = 'P'\nunit =", ":2:");
        check("{\"name\": \"k\"}", "this is JSON, a description is TOML");
        let error = manifest_of("publisher = 'P'\nunit = 'ray'", None).unwrap_err();
        assert!(error.what.starts_with("name is missing"), "{error:?}");
    }
}
