//! `p2c2r probe`: what this machine's adapters may vote on.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use p2c2r_runtime::gpu::{Gpu, GpuInfo, GpuOpenError};
use p2c2r_signing::ResultClass;
use serde::Serialize;

use crate::table;

/// Run the probe suite on every GPU of this machine and say what each may vote on
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The JSON form; fields are only ever added.
#[derive(Debug, Serialize)]
struct Report {
    adapters: Vec<Adapter>,
}

#[derive(Debug, Serialize)]
struct Adapter {
    name: String,
    /// Result classes; none if it failed an integer probe.
    votes: Vec<ResultClass>,
    #[serde(flatten)]
    open: Option<Open>,
    /// Why it may not vote on everything.
    problems: Vec<String>,
}

/// What is known of one whose integers are right.
#[derive(Debug, Serialize)]
struct Open {
    driver: String,
    backend: String,
    software: bool,
    numeric_class: String,
    /// Whether its driver lets loops run for longer than any shader may.
    long_loops: bool,
}

impl Probe {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let adapters = Gpu::survey().into_iter().map(|(name, info)| Adapter::of(name, info)).collect();
        let report = Report { adapters };
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            report.print(out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Adapter {
    fn of(name: String, info: Result<GpuInfo, GpuOpenError>) -> Self {
        let info = match info {
            Ok(info) => info,
            Err(error) => return Self { name, votes: Vec::new(), open: None, problems: vec![error.to_string()] },
        };
        let votes = [ResultClass::Exact, ResultClass::Device].into_iter().filter(|class| info.may_vote_on(*class));
        Self {
            name,
            votes: votes.collect(),
            problems: info.unfit_floats.into_iter().chain(info.unfit_loops).collect(),
            open: Some(Open {
                driver: info.driver,
                backend: info.backend,
                software: info.software,
                numeric_class: info.numeric_class.to_string(),
                long_loops: info.long_loops,
            }),
        }
    }
}

impl Report {
    fn print(&self, out: &mut impl Write) -> Result<()> {
        if self.adapters.is_empty() {
            writeln!(out, "no Vulkan, Metal or DX12 adapter: exact shaders run on the CPU, others not at all")?;
        }
        for adapter in &self.adapters {
            table::line(out, "adapter", &adapter.name)?;
            if let Some(open) = &adapter.open {
                let software = if open.software { ", in software" } else { "" };
                table::line(out, "driver", &format!("{} ({}{software})", open.driver, open.backend))?;
                table::line(out, "numeric", &open.numeric_class)?;
                table::line(
                    out,
                    "loops",
                    if open.long_loops {
                        "as long as they like"
                    } else {
                        "cut short by the driver; no shader's budget is as long"
                    },
                )?;
            }
            let votes: Vec<&str> = adapter.votes.iter().map(|class| name(*class)).collect();
            table::line(out, "votes on", &if votes.is_empty() { "nothing".to_owned() } else { votes.join(", ") })?;
            for problem in &adapter.problems {
                table::line(out, "problem", problem)?;
            }
        }
        Ok(())
    }
}

const fn name(class: ResultClass) -> &'static str {
    match class {
        ResultClass::Exact => "exact",
        ResultClass::Device => "device",
    }
}
