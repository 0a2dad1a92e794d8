//! `p2c2r lint`: what peers make of shaders.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use p2c2r_signing::{Manifest, UnverifiedModule};
use serde::Serialize;

use crate::files;
use crate::shaders::{self, Class, Finding, Takes, Verdict};

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
    takes: Vec<Takes>,
    /// How many were looked at.
    shaders: usize,
}

impl Lint {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let file = self.file.display().to_string();
        let report = if self.file.extension().is_some_and(|extension| extension == "wasm") {
            Report::of_module(&file, files::read_module(&self.file)?)
                .with_context(|| format!("{file} is not a module a kernel could be"))?
        } else {
            let (Verdict { class, findings, takes }, _whole) = Verdict::of_text(&file, &shaders::read(&self.file)?);
            Report { class, findings, takes, shaders: 1 }
        };
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            report.print(out, &file)?;
        }
        Ok(if report.class == Class::Refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Report {
    /// A manifest that claims more than the shaders keep is refused like a shader.
    fn of_module(file: &str, bytes: Vec<u8>) -> Result<Self> {
        let module = UnverifiedModule::parse(bytes)?;
        let verdict = Verdict::of_module(&module);
        let manifest = module.manifest_text().and_then(|text| Manifest::from_json(text.as_bytes()).ok());
        let claim = manifest.and_then(|manifest| verdict.broken_claim(&manifest));
        let Verdict { mut class, mut findings, takes } = verdict;
        if let Some(claim) = claim {
            class = Class::Refused;
            findings.push(Finding::of_file(file, claim));
        }
        Ok(Self { class, findings, takes, shaders: module.shaders().count() })
    }

    fn print(&self, out: &mut impl Write, file: &str) -> Result<()> {
        for finding in &self.findings {
            writeln!(out, "{finding}")?;
        }
        for takes in &self.takes {
            writeln!(out, "{takes}")?;
        }
        let class = match self.class {
            _ if self.shaders == 0 => "no shaders",
            Class::Exact => "exact: the same bits on every adapter and on the CPU",
            Class::Device => "device: results compare only between adapters of one numeric class",
            Class::Refused => "refused: no peer runs it",
        };
        writeln!(out, "{file}: {class}")?;
        Ok(())
    }
}
