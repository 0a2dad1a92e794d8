//! `p2c2r lint`: what peers make of shaders.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use p2c2r_runtime::gpu::{self, limits::SHADER_BYTES};
use p2c2r_signing::{Manifest, ResultClass, UnverifiedModule};
use p2c2r_wgsl::{ExpandError, Expanded, Origin, expand};
use serde::Serialize;

use crate::files;

/// Say in which class shaders may run: exact, device, or refused (exit code 1), and why
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// WGSL text, or a WebAssembly module that carries shaders
    #[arg(value_name = "FILE.wgsl|FILE.wasm")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The JSON form; fields are only ever added.
#[derive(Debug, Serialize)]
struct Report {
    class: Class,
    findings: Vec<Finding>,
}

/// The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Class {
    Exact,
    Device,
    Refused,
}

#[derive(Debug, Serialize)]
struct Finding {
    /// Name of the shader in a module; absent for WGSL text.
    #[serde(skip_serializing_if = "Option::is_none")]
    shader: Option<String>,
    /// The block whose text it is in; absent for the author's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<&'static str>,
    /// From 1; absent if it is in no one place.
    line: Option<u32>,
    /// From 1, in bytes.
    column: Option<u32>,
    message: String,
}

impl Lint {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let report = if self.file.extension().is_some_and(|extension| extension == "wasm") {
            Report::of_module(files::read_module(&self.file)?)
                .with_context(|| format!("{} is not a module a kernel could be", self.file.display()))?
        } else {
            let text = files::read(&self.file, "shader", SHADER_BYTES as u64)?;
            let text = String::from_utf8(text).with_context(|| format!("{} is not UTF-8", self.file.display()))?;
            Report::of_source(&text)
        };
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            report.print(out, &self.file.display().to_string())?;
        }
        Ok(if report.class == Class::Refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Finding {
    fn nowhere(message: String) -> Self {
        Self { shader: None, block: None, line: None, column: None, message }
    }
}

impl Report {
    /// Of a shader that is to be part of a kernel: with the blocks it uses, as `p2c2r build` puts them in.
    fn of_source(wgsl: &str) -> Self {
        match expand(wgsl) {
            Ok(whole) => Self::of_shader(None, whole.text(), Some(&whole)),
            Err(ExpandError { line, mistake }) => {
                let finding = Finding { line: Some(line), ..Finding::nowhere(mistake.to_string()) };
                Self { class: Class::Refused, findings: vec![finding] }
            }
        }
    }

    /// `made` says where its lines come from, if it has blocks.
    fn of_shader(shader: Option<&str>, wgsl: &str, made: Option<&Expanded>) -> Self {
        let (class, findings) = match gpu::lint(wgsl) {
            Ok((gpu::Class::Exact, findings)) => (Class::Exact, findings),
            Ok((gpu::Class::Device, findings)) => (Class::Device, findings),
            Err(finding) => (Class::Refused, vec![finding]),
        };
        let finding = |gpu::Finding { place, reason }| {
            let origin = place.zip(made).map(|(place, made)| made.origin(place.line));
            let (block, line) = match origin {
                Some(Origin::Block { name, line }) => (Some(name), Some(line)),
                Some(Origin::Shader { .. }) | None => (None, place.map(|place| place.line)),
            };
            let column = place.map(|place| place.column);
            Finding { shader: shader.map(str::to_owned), block, line, column, message: reason }
        };
        Self { class, findings: findings.into_iter().map(finding).collect() }
    }

    /// Of all shaders together; a manifest that claims more than they keep is refused like a shader.
    fn of_module(bytes: Vec<u8>) -> Result<Self> {
        let module = UnverifiedModule::parse(bytes)?;
        let mut report = Self { class: Class::Exact, findings: Vec::new() };
        for (name, wgsl) in module.shaders() {
            // What `p2c2r build` made of a text it makes of the result again.
            let made = expand(wgsl).ok().filter(|made| made.text() == wgsl);
            let shader = Self::of_shader(Some(name), wgsl, made.as_ref());
            report.class = report.class.max(shader.class);
            report.findings.extend(shader.findings);
        }
        let manifest = module.manifest_text().and_then(|text| Manifest::from_json(text.as_bytes()).ok());
        let claims_exact = manifest.is_some_and(|manifest| manifest.result_class == ResultClass::Exact);
        if claims_exact && report.class == Class::Device {
            report.class = Class::Refused;
            let message =
                "the manifest says result_class = \"exact\" and the shaders are not; change them, or say \"device\"";
            report.findings.push(Finding::nowhere(message.to_owned()));
        }
        Ok(report)
    }

    fn print(&self, out: &mut impl Write, file: &str) -> Result<()> {
        for finding in &self.findings {
            let shader = finding.shader.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
            let block = finding.block.map(|name| format!(":block {name}")).unwrap_or_default();
            let place = match (finding.line, finding.column) {
                (Some(line), Some(column)) => format!(":{line}:{column}"),
                _ => String::new(),
            };
            writeln!(out, "{file}{shader}{block}{place}: {}", finding.message)?;
        }
        let class = match self.class {
            Class::Exact => "exact: the same bits on every adapter and on the CPU",
            Class::Device => "device: results compare only between adapters of one numeric class",
            Class::Refused => "refused: no peer runs it",
        };
        writeln!(out, "{file}: {class}")?;
        Ok(())
    }
}
