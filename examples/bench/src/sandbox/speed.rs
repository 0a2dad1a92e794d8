//! The same kernels natively, in the jail, and in this process with one thing changed: ratios of running time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use p2c2r_jail::{Jail, JailedKernel};
use p2c2r_runtime::{Execution, Kernel, Runaway, Sandbox};
use p2c2r_signing::limits::FUEL;
use p2c2r_signing::{Manifest, Outcome, VerifiedModule, attach};

use super::measure::{geomean, middle, ms, timed};
use super::signed::Author;
use super::workload::{self, Workload};
use crate::Args;
use crate::row::Row;

/// Times each is run in a round. The quickest counts: the others had the machine for less than themselves.
const RUNS: usize = 5;

/// A way to run a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// Native code in this process.
    Native,
    /// In the jail, as a peer runs it: wall-clock around the call.
    Jailed,
    /// The same attempts: what the worker says they took.
    Inside,
    /// In this process; otherwise as in the jail.
    InProcess,
    /// In the jail, without landlock and seccomp.
    Unwalled,
    /// In the jail, without resource limits.
    Unlimited,
    /// As in this process, without rewriting.
    AsSigned,
    /// As signed, and NaNs put right.
    NansOnly,
    /// As signed, and calls counted.
    StackOnly,
    /// As in this process, comparing each address with the size of memory.
    Compared,
    /// As in this process, looking at a deadline in every loop and call.
    Interrupted,
    /// As in this process, counting fuel.
    Metered,
}

use Setting::{
    AsSigned, Compared, InProcess, Inside, Interrupted, Jailed, Metered, NansOnly, Native, StackOnly, Unlimited,
    Unwalled,
};

impl Setting {
    const ALL: [Self; 12] = [
        Native,
        Jailed,
        Inside,
        Unwalled,
        Unlimited,
        InProcess,
        AsSigned,
        NansOnly,
        StackOnly,
        Compared,
        Interrupted,
        Metered,
    ];
}

/// A ratio worth a row: what is measured against what, the row's name, and what the baseline is.
const RATIOS: [(Setting, Setting, &str, &str); 11] = [
    (Jailed, Native, "geomean", "native"),
    (Inside, Native, "geomean_inside", "native"),
    (Jailed, InProcess, "cost_process", "in this process"),
    (Jailed, Unwalled, "cost_walls", "without landlock and seccomp"),
    (Jailed, Unlimited, "cost_limits", "without rlimits"),
    (InProcess, AsSigned, "cost_rewriting", "not rewritten"),
    (NansOnly, AsSigned, "cost_nans", "not rewritten"),
    (StackOnly, AsSigned, "cost_stack", "not rewritten"),
    (Compared, InProcess, "cost_compared_bounds", "guard pages"),
    (Interrupted, InProcess, "cost_epochs", "killed at the deadline"),
    (Metered, InProcess, "cost_fuel", "not metered"),
];

/// The rows of kernels against native code, and of the protections that are in the code or around it.
pub(super) fn measure(args: &Args, worker: &Path) -> Result<Vec<Row>> {
    let halls = Halls::open(worker)?;
    let author = Author::new();
    let mut loaded = BTreeMap::new();
    let workloads = workload::all()?;
    for workload in &workloads {
        if !loaded.contains_key(workload.kernel) {
            let file = args.kernels.join(format!("{}.wasm", workload.kernel));
            let wasm = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            loaded.insert(workload.kernel, halls.load(&author, &wasm)?);
        }
    }
    let mut figures: Vec<Figures> = workloads.iter().map(|_| Figures::default()).collect();
    for round in 0..=args.rounds {
        for (workload, figures) in workloads.iter().zip(&mut figures) {
            let mut quickest = Times::default();
            for _ in 0..RUNS {
                halls.compare(workload, &loaded[workload.kernel], &mut quickest)?;
            }
            // The first round warms caches and workers up.
            if round > 0 {
                figures.0.push(quickest);
            }
        }
    }
    print(&workloads, &figures);
    Ok(rows(&workloads, &figures))
}

/// Where kernels run.
struct Halls {
    jail: Jail,
    unwalled: Jail,
    unlimited: Jail,
    killed: Sandbox,
    compared: Sandbox,
    interrupted: Sandbox,
}

/// One kernel, loaded everywhere.
struct Loaded {
    jailed: JailedKernel,
    unwalled: JailedKernel,
    unlimited: JailedKernel,
    in_process: Kernel,
    as_signed: Kernel,
    nans_only: Kernel,
    stack_only: Kernel,
    compared: Kernel,
    interrupted: Kernel,
    metered: Kernel,
}

/// The quickest run in each setting, milliseconds.
struct Times([f64; Setting::ALL.len()]);

/// One for each round.
#[derive(Default)]
struct Figures(Vec<Times>);

impl Times {
    fn note(&mut self, setting: Setting, time: Duration) {
        let quickest = &mut self.0[setting as usize];
        *quickest = quickest.min(ms(time));
    }
}

impl Default for Times {
    fn default() -> Self {
        Self([f64::INFINITY; Setting::ALL.len()])
    }
}

impl Figures {
    /// Milliseconds at the median.
    fn middle(&self, setting: Setting) -> f64 {
        let times: Vec<f64> = self.0.iter().map(|times| times.0[setting as usize]).collect();
        middle(&times)
    }
}

impl Halls {
    fn open(worker: &Path) -> Result<Self> {
        Ok(Self {
            jail: super::jail(worker, None)?,
            unwalled: super::jail(&worker.with_file_name("worker_without_walls"), None)?,
            unlimited: super::jail(&worker.with_file_name("worker_without_limits"), None)?,
            compared: Sandbox::with_compared_bounds(super::alone(Runaway::Killed))?,
            killed: super::sandbox(Runaway::Killed)?,
            interrupted: super::sandbox(Runaway::Interrupted)?,
        })
    }

    fn load(&self, author: &Author, wasm: &[u8]) -> Result<Loaded> {
        let module = author.module(wasm)?;
        let manifest = Manifest { fuel: Some(FUEL), ..module.manifest().clone() };
        let shaders: Vec<_> = module.shaders().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        let metered = author.module(&attach(wasm, &manifest, &shaders)?)?;
        Ok(Loaded {
            jailed: self.jail.load(&module)?,
            unwalled: self.unwalled.load(&module)?,
            unlimited: self.unlimited.load(&module)?,
            in_process: self.killed.load(&module)?,
            as_signed: load_partly(&self.killed, &module, (false, false))?,
            nans_only: load_partly(&self.killed, &module, (true, false))?,
            stack_only: load_partly(&self.killed, &module, (false, true))?,
            compared: self.compared.load(&module)?,
            interrupted: self.interrupted.load(&module)?,
            metered: self.killed.load(&metered)?,
        })
    }

    /// Runs a workload once in every setting, and compares the outputs.
    fn compare(&self, workload: &Workload, kernels: &Loaded, times: &mut Times) -> Result<()> {
        let host = workload.host();
        let (native, took) = timed(|| workload.run(host));
        let native = native?;
        times.note(Native, took);

        let (ran, took) = timed(|| self.jail.run(&kernels.jailed, &workload.attempt, &workload.blobs));
        let ran = ran?;
        times.note(Jailed, took);
        times.note(Inside, ran.duration);
        check(workload, Jailed, &ran, &native)?;

        for (setting, jail, kernel) in
            [(Unwalled, &self.unwalled, &kernels.unwalled), (Unlimited, &self.unlimited, &kernels.unlimited)]
        {
            let (ran, took) = timed(|| jail.run(kernel, &workload.attempt, &workload.blobs));
            times.note(setting, took);
            check(workload, setting, &ran?, &native)?;
        }

        for (setting, sandbox, kernel) in [
            (InProcess, &self.killed, &kernels.in_process),
            (AsSigned, &self.killed, &kernels.as_signed),
            (NansOnly, &self.killed, &kernels.nans_only),
            (StackOnly, &self.killed, &kernels.stack_only),
            (Compared, &self.compared, &kernels.compared),
            (Interrupted, &self.interrupted, &kernels.interrupted),
            (Metered, &self.killed, &kernels.metered),
        ] {
            let attempt = workload.attempt.clone();
            let (ran, took) = timed(|| sandbox.run(kernel, attempt));
            times.note(setting, took);
            check(workload, setting, &ran?, &native)?;
        }
        Ok(())
    }
}

fn check(workload: &Workload, setting: Setting, ran: &Execution, native: &[u8]) -> Result<()> {
    let name = workload.name;
    ensure!(ran.outcome == Outcome::Output, "{name}, {setting:?}: {:?} {:?}", ran.outcome, ran.log);
    ensure!(ran.output == native, "{name}, {setting:?}: another output than natively");
    Ok(())
}

#[expect(unsafe_code, reason = "runs code without what makes its results the same everywhere")]
fn load_partly(sandbox: &Sandbox, module: &VerifiedModule, (nans, stack): (bool, bool)) -> Result<Kernel> {
    let compiled = sandbox.compile_partly(module, nans, stack)?;
    // SAFETY: this very sandbox compiled it just now, of this module.
    Ok(unsafe { sandbox.load_compiled(module, &compiled) }?)
}

fn rows(workloads: &[Workload], figures: &[Figures]) -> Vec<Row> {
    let all = |setting: Setting| geomean(figures.iter().map(|figures| figures.middle(setting)));
    let row = |name: &str, value: f64, baseline: (&'static str, f64), aim| {
        Row::new(&format!("sandbox/{name}"), value, "ms", Some(baseline), aim)
    };
    let each = workloads
        .iter()
        .zip(figures)
        .map(|(workload, figures)| row(workload.name, figures.middle(Jailed), ("native", figures.middle(Native)), ""));
    let means = RATIOS.into_iter().map(|(setting, baseline, name, words)| {
        let aim = if name == "geomean" { "ratio <= 1.10" } else { "" };
        row(name, all(setting), (words, all(baseline)), aim)
    });
    each.chain(means).collect()
}

/// Every ratio behind the means.
#[expect(clippy::print_stdout, reason = "a command-line program talks to its user")]
fn print(workloads: &[Workload], figures: &[Figures]) {
    let mut table = Table::new();
    let names = RATIOS.iter().map(|(_, _, name, _)| name.trim_start_matches("cost_"));
    table.load_style(UTF8_FULL_CONDENSED).set_header(["", "native ms"].into_iter().chain(names));
    for (workload, figures) in workloads.iter().zip(figures) {
        let ratios = RATIOS
            .iter()
            .map(|(setting, baseline, ..)| format!("{:.2}", figures.middle(*setting) / figures.middle(*baseline)));
        let native = format!("{:.1}", figures.middle(Native));
        table.add_row([workload.name.to_owned(), native].into_iter().chain(ratios));
    }
    println!("ratios: jail and what its worker says against native; then each protection alone\n{table}");
}
