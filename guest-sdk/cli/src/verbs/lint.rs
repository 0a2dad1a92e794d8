//! `p2c2r lint`: what peers make of shaders.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use p2c2r_runtime::gpu::{self, limits::SHADER_BYTES};
use p2c2r_signing::{Manifest, ResultClass, UnverifiedModule};
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
            Report::of_shader(None, &text)
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

impl Report {
    fn of_shader(shader: Option<&str>, wgsl: &str) -> Self {
        let (class, findings) = match gpu::lint(wgsl) {
            Ok((gpu::Class::Exact, findings)) => (Class::Exact, findings),
            Ok((gpu::Class::Device, findings)) => (Class::Device, findings),
            Err(finding) => (Class::Refused, vec![finding]),
        };
        let finding = |finding: gpu::Finding| Finding {
            shader: shader.map(str::to_owned),
            line: finding.place.map(|place| place.line),
            column: finding.place.map(|place| place.column),
            message: finding.reason,
        };
        Self { class, findings: findings.into_iter().map(finding).collect() }
    }

    /// Of all shaders together; a manifest that claims more than they keep is refused like a shader.
    fn of_module(bytes: Vec<u8>) -> Result<Self> {
        let module = UnverifiedModule::parse(bytes)?;
        let mut report = Self { class: Class::Exact, findings: Vec::new() };
        for (name, wgsl) in module.shaders() {
            let shader = Self::of_shader(Some(name), wgsl);
            report.class = report.class.max(shader.class);
            report.findings.extend(shader.findings);
        }
        let manifest = module.manifest_text().and_then(|text| Manifest::from_json(text.as_bytes()).ok());
        let claims_exact = manifest.is_some_and(|manifest| manifest.result_class == ResultClass::Exact);
        if claims_exact && report.class == Class::Device {
            report.class = Class::Refused;
            let message =
                "the manifest says result_class = \"exact\" and the shaders are not; change them, or say \"device\"";
            report.findings.push(Finding { shader: None, line: None, column: None, message: message.to_owned() });
        }
        Ok(report)
    }

    fn print(&self, out: &mut impl Write, file: &str) -> Result<()> {
        for finding in &self.findings {
            let shader = finding.shader.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
            let place = match (finding.line, finding.column) {
                (Some(line), Some(column)) => format!(":{line}:{column}"),
                _ => String::new(),
            };
            writeln!(out, "{file}{shader}{place}: {}", finding.message)?;
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
