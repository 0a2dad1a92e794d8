//! The probe suite: what an adapter must compute right, and how it computes what WGSL leaves open.
//!
//! Small on purpose: it runs at every start and takes lavapipe a fifth of a second, so that no verdict is kept for which the driver
//! may have changed. It catches broken integer paths, capped loops and a change of float behaviour; it does not certify a driver.

mod exact;
mod float;
#[cfg(test)]
mod tests;

use std::time::Instant;

use p2c2r_signing::ResultClass;

use super::device::{Device, Source, Staging, Work};
use super::fault::{GpuFault, GpuOpenError};
use super::limits::{LOOP_FUEL, LOOP_ROUNDS, PROBE, SLICE_BINDING, SLICE_BYTES, TRAP_BINDING};
use super::pipeline::Pipeline;
use super::shader::Shader;
use super::until::Until;

/// More than the 65,535 at which one known driver stops counting.
const LONG_LOOP: u32 = 70_000;

/// Neighbours that loop one after the other, and their iterations: within the budget of each, with what is around it.
const TURNS: u32 = 8;
const TURN: u32 = 50_000;
const _: () = assert!(TURN + TURNS + 2 < LOOP_FUEL && TURN * TURNS > LONG_LOOP);

/// The one probe whose budget may seem used up.
const EXITS: &str = "loops with several exits";

/// What the suite found about an adapter whose integers are right.
pub(super) struct Probed {
    /// Results that differ between adapters.
    pub(super) words: Vec<u32>,
    /// Whether [`LONG_LOOP`] iterations ran.
    pub(super) long_loops: bool,
    /// What it gets wrong about loops that `exact` shaders may have.
    pub(super) unfit_loops: Vec<String>,
    /// Why floats are not to be relied on, if so.
    pub(super) floats: Result<(), String>,
}

/// A shader with what goes in and must come out.
struct Probe {
    name: &'static str,
    wgsl: &'static str,
    groups: [u32; 3],
    /// The buffer at binding 0.
    input: Vec<u32>,
    /// Those from binding 1 on, before and after.
    output: Vec<(Vec<u32>, Vec<u32>)>,
    /// How often it runs, with the same answers.
    runs: u32,
}

/// A word that came out wrong.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    word: usize,
    got: u32,
    want: u32,
}

/// What is asked: what a shader makes of its buffers.
struct Question<'a> {
    shader: &'a Shader,
    /// The buffer at binding 0.
    input: &'a [u32],
    /// Those from binding 1 on.
    output: &'a [&'a [u32]],
    groups: [u32; 3],
}

/// Those from binding 1 on as the shader left them, and whether it ran out of its budget.
type Answer = (Vec<Vec<u32>>, bool);

/// Runs the suite on a device.
pub(super) fn run(device: &Device, adapter: &str) -> Result<Probed, GpuOpenError> {
    let until = Until::from(Instant::now() + PROBE);
    judge(adapter, &|question| compute(device, &until, question))
}

/// Asks everything, and says what the answers are worth.
fn judge(adapter: &str, ask: &dyn Fn(&Question<'_>) -> Result<Answer, GpuFault>) -> Result<Probed, GpuOpenError> {
    let suite = Suite { adapter, ask };
    for probe in exact::probes() {
        suite.check(&probe)?;
    }
    suite.loops()?;
    let (mut words, floats) = suite.floats()?;
    words.extend(float::constants());
    let counted = suite.own("long loop", include_str!("long_loop.wgsl"), &[LONG_LOOP], 1)?;
    let long_loops = counted == [LONG_LOOP];
    words.extend(counted);
    let mut unfit_loops = Vec::new();
    for (name, wgsl, input, want, reason) in [
        (
            "loops in turns",
            include_str!("turns.wgsl"),
            &[TURNS, TURN][..],
            vec![TURN; 64],
            "ends loops early when neighbouring invocations loop one after the other",
        ),
        (
            "loops in uneven workgroups",
            include_str!("uneven.wgsl"),
            &[1],
            vec![95; 12],
            "is wrong about loops in workgroups that fill no vector",
        ),
        (EXITS, include_str!("exits.wgsl"), &[1], vec![4; 16], "miscounts loops that have several exits"),
    ] {
        let (got, trapped) = suite.rewritten(name, wgsl, input, want.len())?;
        // Where a budget that was not used up seems to be, nothing can be relied on; but a miscounted loop uses it up.
        if name != EXITS {
            suite.compare(name, &[u32::from(trapped)], &[0])?;
        }
        if got != want || trapped {
            unfit_loops.push(format!("{reason}: not for exact"));
        }
        words.extend(got);
        words.push(trapped.into());
    }
    Ok(Probed { words, long_loops, unfit_loops, floats })
}

struct Suite<'a> {
    adapter: &'a str,
    ask: &'a dyn Fn(&Question<'_>) -> Result<Answer, GpuFault>,
}

impl Suite<'_> {
    /// Runs a probe like a kernel's shader.
    fn check(&self, probe: &Probe) -> Result<(), GpuOpenError> {
        let shader = self.parse(probe.name, probe.wgsl)?;
        for _ in 0..probe.runs {
            let before: Vec<_> = probe.output.iter().map(|(before, _)| before.as_slice()).collect();
            let (got, trapped) = self.answer(&shader, &probe.input, &before, probe.groups)?;
            self.compare(probe.name, &[u32::from(trapped)], &[0])?;
            for (got, (_, want)) in got.iter().zip(&probe.output) {
                self.compare(probe.name, got, want)?;
            }
        }
        Ok(())
    }

    /// Every loop runs for as long as its budget lasts, and no longer.
    fn loops(&self) -> Result<(), GpuOpenError> {
        const NAME: &str = "loops";
        const INVOCATIONS: usize = 64;
        let shader = self.parse(NAME, include_str!("loops.wgsl"))?;
        // The look at the condition that ends a loop is an iteration too.
        let (iterations, rounds) = (LOOP_FUEL - 1, LOOP_ROUNDS - 1);
        for (past, inputs) in [
            (0, [iterations, rounds]),
            (1, [iterations + 1, rounds]),
            (1, [iterations, rounds + 1]),
            (1, [u32::MAX, u32::MAX]),
        ] {
            let zeros = vec![0; 2 * INVOCATIONS];
            let (got, trapped) = self.answer(&shader, &inputs.repeat(INVOCATIONS), &[&zeros], [1, 1, 1])?;
            self.compare("loop budget", &[u32::from(trapped)], &[past])?;
            if past == 0 {
                self.compare(NAME, &got.concat(), &inputs.repeat(INVOCATIONS))?;
            }
        }
        Ok(())
    }

    /// What a shader makes of its input, rewritten like a kernel's, and whether it ran out of its budget.
    fn rewritten(&self, name: &str, wgsl: &str, input: &[u32], words: usize) -> Result<(Vec<u32>, bool), GpuOpenError> {
        let (got, trapped) = self.answer(&self.parse(name, wgsl)?, input, &[&vec![0; words]], [1, 1, 1])?;
        Ok((got.concat(), trapped))
    }

    /// The adapter's signature, and whether it is one to rely on: within what WGSL allows, and the same each time.
    fn floats(&self) -> Result<(Vec<u32>, Result<(), String>), GpuOpenError> {
        let (inputs, text) = (exact::random_pairs(), include_str!("floats.wgsl"));
        let flat: Vec<u32> = inputs.iter().flatten().copied().collect();
        let words = self.own("floats", text, &flat, inputs.len() * float::WORDS)?;
        let again = self.own("floats", text, &flat, inputs.len() * float::WORDS)?;
        let judged = if words == again {
            float::judge(&inputs, &words)
        } else {
            Err("the same computation gave other bits the second time".to_owned())
        };
        Ok((words, judged))
    }

    /// What a shader of ours makes of its input, as it is written.
    fn own(&self, name: &str, wgsl: &str, input: &[u32], words: usize) -> Result<Vec<u32>, GpuOpenError> {
        let shader = Shader::own(name, wgsl).map_err(|e| self.failed(GpuFault::Refused(e.to_string())))?;
        let (got, _) = self.answer(&shader, input, &[&vec![0; words]], [1, 1, 1])?;
        Ok(got.concat())
    }

    fn parse(&self, name: &str, wgsl: &str) -> Result<Shader, GpuOpenError> {
        let parsed = Shader::parse(name, wgsl, ResultClass::Device);
        parsed.map_err(|e| self.failed(GpuFault::Refused(e.to_string())))
    }

    fn answer(
        &self,
        shader: &Shader,
        input: &[u32],
        output: &[&[u32]],
        groups: [u32; 3],
    ) -> Result<Answer, GpuOpenError> {
        (self.ask)(&Question { shader, input, output, groups }).map_err(|fault| self.failed(fault))
    }

    fn compare(&self, test: &'static str, got: &[u32], want: &[u32]) -> Result<(), GpuOpenError> {
        compare(got, want).map_err(|Wrong { word, got, want }| GpuOpenError::WrongAnswer {
            adapter: self.adapter.to_owned(),
            test,
            word,
            got,
            want,
        })
    }

    fn failed(&self, fault: GpuFault) -> GpuOpenError {
        GpuOpenError::Probe { adapter: self.adapter.to_owned(), fault }
    }
}

/// What a device answers.
fn compute(device: &Device, until: &Until, question: &Question<'_>) -> Result<Answer, GpuFault> {
    let Question { shader, input, output, groups } = *question;
    let pipeline = Pipeline::new(device, shader)?;
    let filled = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let buffer = device.buffer(bytes.len() as u64)?;
        device.write(&buffer, 0, &bytes).map(|()| buffer)
    };
    let input = filled(input)?;
    let buffers = output.iter().map(|words| filled(words)).collect::<Result<Vec<_>, _>>()?;
    let trap = if shader.has_trap() { Some(device.trap()?) } else { None };
    let place = if shader.has_place() { Some(device.uniform(u64::from(SLICE_BYTES))?) } else { None };
    let bound = std::iter::once((0, &input))
        .chain((1..).zip(&buffers))
        .chain(trap.iter().map(|trap| (TRAP_BINDING, trap)))
        .chain(place.iter().map(|place| (SLICE_BINDING, place)));
    let bound = device.bind(&pipeline.layout, bound)?;
    device.dispatch(&Work { pipeline: pipeline.pipeline, bound, groups }, until)?;
    let mut trapped = false;
    let mut staging = Staging::default();
    let mut results = Vec::new();
    for (buffer, words) in buffers.iter().zip(output) {
        let mut bytes = vec![0; words.len() * 4];
        let source = Source { buffer, offset: 0, flag: trap.as_ref() };
        trapped |= device.read(&mut staging, source, None, &mut bytes, until, drop)?;
        results.push(bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect());
    }
    Ok((results, trapped))
}

fn compare(got: &[u32], want: &[u32]) -> Result<(), Wrong> {
    match (0..).zip(got.iter().zip(want)).find(|(_, (got, want))| got != want) {
        Some((word, (got, want))) => Err(Wrong { word, got: *got, want: *want }),
        None => Ok(()),
    }
}
