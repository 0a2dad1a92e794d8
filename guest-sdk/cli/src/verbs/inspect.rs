//! `p2c2r inspect`: what a module says about itself, and whether its signature holds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use p2c2r_signing::signature::KeyId;
use p2c2r_signing::{Manifest, ModuleId, PublicKey, ResultClass, TrustedKeys, UnverifiedModule};
use serde::Serialize;

use crate::artifact::Interface;
use crate::{files, table};

/// Show what a module is: identity, manifest, signature, shaders, imports, exports
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Any WebAssembly module
    #[arg(value_name = "FILE.wasm")]
    module: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The JSON form; fields are only ever added.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    bytes: usize,
    id: ModuleId,
    signature: Signature,
    manifest: Option<Manifest>,
    /// Why the manifest section is no manifest.
    manifest_error: Option<String>,
    shaders: Vec<Shader>,
    #[serde(flatten)]
    interface: Interface,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Signature {
    /// None.
    Absent,
    /// Holds for the key that it names; whether to trust that key is another question.
    Valid { signer: PublicKey },
    /// Names its key in short or not at all.
    Unknown { key: String },
    /// Does not hold, or covers something that is no kernel.
    Invalid { key: String, reason: String },
}

#[derive(Debug, Serialize)]
struct Shader {
    name: String,
    bytes: usize,
}

impl Inspect {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let report = Report::of(self.module.display().to_string(), files::read_module(&self.module)?)?;
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            report.print(out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Report {
    fn of(file: String, bytes: Vec<u8>) -> Result<Self> {
        let context = || format!("{file} is not a module a kernel could be");
        let interface = Interface::read(&bytes).with_context(context)?;
        let module = UnverifiedModule::parse(bytes).with_context(context)?;
        let (manifest, manifest_error) = match module.manifest_text().map(|text| Manifest::from_json(text.as_bytes())) {
            Some(Ok(manifest)) => (Some(manifest), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        let shaders =
            module.shaders().map(|(name, text)| Shader { name: name.to_owned(), bytes: text.len() }).collect();
        Ok(Self {
            file,
            bytes: module.bytes().len(),
            id: module.id(),
            signature: Signature::of(module),
            manifest,
            manifest_error,
            shaders,
            interface,
        })
    }

    fn print(&self, out: &mut impl Write) -> Result<()> {
        table::line(out, "file", &format!("{}, {}", self.file, table::bytes(self.bytes as u64)))?;
        table::line(out, "id", &self.id.to_string())?;
        table::line(out, "signature", &self.signature.for_people())?;
        if let Some(manifest) = &self.manifest {
            print_manifest(out, manifest)?;
        } else {
            let reason = self.manifest_error.as_deref().unwrap_or("none; `p2c2r build` attaches one");
            table::line(out, "manifest", reason)?;
        }
        let shaders = self.shaders.iter().map(|s| format!("{} ({})", s.name, table::bytes(s.bytes as u64)));
        table::line(out, "shaders", &list(shaders))?;
        let mut imports = BTreeMap::<&str, Vec<&str>>::new();
        for (module, name) in &self.interface.imports {
            imports.entry(module).or_default().push(name);
        }
        let imports = imports.into_iter().map(|(module, names)| format!("{module}: {}", names.join(", ")));
        table::line(out, "imports", &or_none(imports.collect::<Vec<_>>().join("\n")))?;
        table::line(out, "exports", &list(self.interface.exports.iter().cloned()))?;
        Ok(())
    }
}

fn print_manifest(out: &mut impl Write, manifest: &Manifest) -> Result<()> {
    table::line(out, "kernel", &format!("{} {} by {}", manifest.name, manifest.version, manifest.publisher))?;
    let profile = word(&manifest.profile)?;
    let fuel = manifest.fuel.map(|fuel| format!(", fuel {}", table::number(fuel))).unwrap_or_default();
    table::line(out, "profile", &format!("{profile}, abi {}, entry {}{fuel}", manifest.abi, manifest.entry))?;
    let limits = &manifest.limits;
    let [memory, input, output] = [limits.memory_bytes, limits.input_bytes, limits.output_bytes].map(table::bytes);
    let units = format!("{} {}s", table::number(limits.units), manifest.unit);
    table::line(out, "limits", &format!("memory {memory}, input {input}, output {output}, {units}"))?;
    if let Some(gpu) = &manifest.gpu {
        let cpu = match manifest.result_class {
            ResultClass::Exact => "runs with or without a GPU",
            ResultClass::Device if gpu.cpu_path => "also runs without a GPU",
            ResultClass::Device => "needs a GPU",
        };
        let size = table::bytes(gpu.buffer_bytes);
        let work = format!("{} dispatches of {} workgroups", gpu.dispatches, gpu.workgroups);
        let class = word(&manifest.result_class)?;
        table::line(out, "gpu", &format!("{} buffers in {size}, {work}, {class} results, {cpu}", gpu.buffers))?;
    }
    if let Some(split) = &manifest.split {
        table::line(out, "split", &format!("header of {} B, items of {} B", split.header_bytes, split.item_bytes))?;
    }
    Ok(())
}

impl Signature {
    fn of(module: UnverifiedModule) -> Self {
        let Some(claim) = module.claim() else { return Self::Absent };
        let key = claim.key_id.to_string();
        let KeyId::Key(bytes) = claim.key_id else { return Self::Unknown { key } };
        let verified = match PublicKey::from_bytes(&bytes) {
            Ok(signer) => module.verify(&TrustedKeys::from(signer)).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match verified {
            Ok(module) => Self::Valid { signer: module.signer() },
            Err(reason) => Self::Invalid { key, reason },
        }
    }

    fn for_people(&self) -> String {
        match self {
            Self::Absent => "none; sign with: p2c2r sign FILE.wasm --key KEY.pem".to_owned(),
            Self::Valid { signer } => format!("intact, by {signer}"),
            Self::Unknown { key } => format!("names {key}; check it with: p2c2r verify FILE.wasm --key KEY"),
            Self::Invalid { key, reason } => format!("BROKEN, names {key}\n{reason}"),
        }
    }
}

/// The word serde writes for a unit variant.
fn word(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().to_owned())
}

fn list(items: impl Iterator<Item = String>) -> String {
    or_none(items.collect::<Vec<_>>().join(", "))
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}
