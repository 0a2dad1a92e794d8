//! The probe suite: what an adapter must compute right, and how it computes what WGSL leaves open.
//!
//! Small on purpose: one workgroup of each shader. It catches broken integer paths, capped loops and a change of
//! float behaviour; it does not certify a driver.

use std::time::Instant;

use p2c2r_signing::ResultClass;

use super::device::{Device, Staging};
use super::fault::{GpuFault, GpuOpenError};
use super::limits::{LOOP_FUEL, LOOP_ROUNDS, PROBE, TRAP_BINDING};
use super::pipeline::Pipeline;
use super::shader::Shader;
use super::until::Until;

const EXACT: &str = include_str!("probe_exact.wgsl");
const FLOAT: &str = include_str!("probe_float.wgsl");
const LOOPS: &str = include_str!("probe_loops.wgsl");

const INVOCATIONS: usize = 64;
const EXACT_WORDS: usize = 16;
const FLOAT_WORDS: usize = 32;
const LOOP_WORDS: usize = 2;

/// More than the 65,535 at which one known driver stops counting.
const LONG_LOOP: u32 = 70_000;

/// What the suite found.
pub(super) struct Probed {
    /// Results that differ between adapters.
    pub(super) words: Vec<u32>,
    /// Whether [`LONG_LOOP`] iterations ran.
    pub(super) long_loops: bool,
}

/// Runs the suite.
pub(super) fn run(device: &Device, adapter: &str) -> Result<Probed, GpuOpenError> {
    let deadline = Until::from(Instant::now() + PROBE);
    let failed = |fault| GpuOpenError::Probe { adapter: adapter.to_owned(), fault };
    let inputs = inputs();

    let own = |wgsl| Shader::own("probe", wgsl).map_err(|e| failed(GpuFault::Refused(e.to_string())));
    let (got, _) = compute(device, &own(EXACT)?, &inputs, EXACT_WORDS, &deadline).map_err(failed)?;
    compare(adapter, "integers", got, expected(&inputs))?;
    loops(device, adapter, &deadline)?;

    let mut float_inputs = inputs;
    float_inputs[0][0] = LONG_LOOP;
    let (words, _) = compute(device, &own(FLOAT)?, &float_inputs, FLOAT_WORDS, &deadline).map_err(failed)?;
    let long_loops = words.get(FLOAT_WORDS - 1) == Some(&LONG_LOOP);
    Ok(Probed { words, long_loops })
}

/// Every loop runs for as long as its budget lasts, and no longer.
fn loops(device: &Device, adapter: &str, deadline: &Until) -> Result<(), GpuOpenError> {
    let failed = |fault| GpuOpenError::Probe { adapter: adapter.to_owned(), fault };
    let shader = Shader::parse("probe", LOOPS, ResultClass::Device);
    let shader = shader.map_err(|e| failed(GpuFault::Refused(e.to_string())))?;
    // The look at the condition that ends a loop is an iteration too.
    let (iterations, rounds) = (LOOP_FUEL - 1, LOOP_ROUNDS - 1);
    for (past, inputs) in [
        (0, [iterations, rounds]),
        (1, [iterations + 1, rounds]),
        (1, [iterations, rounds + 1]),
        (1, [u32::MAX, u32::MAX]),
    ] {
        let (got, trapped) = compute(device, &shader, &[inputs; INVOCATIONS], LOOP_WORDS, deadline).map_err(failed)?;
        compare(adapter, "loop budget", vec![u32::from(trapped)], vec![past])?;
        if past == 0 {
            compare(adapter, "loops", got, inputs.repeat(INVOCATIONS))?;
        }
    }
    Ok(())
}

fn compare(adapter: &str, test: &'static str, got: Vec<u32>, want: Vec<u32>) -> Result<(), GpuOpenError> {
    match got.into_iter().zip(want).enumerate().find(|(_, (got, want))| got != want) {
        Some((word, (got, want))) => {
            Err(GpuOpenError::WrongAnswer { adapter: adapter.to_owned(), test, word, got, want })
        }
        None => Ok(()),
    }
}

/// What `shader` makes of `inputs` in one workgroup, and whether it ran out of its budget.
fn compute(
    device: &Device,
    shader: &Shader,
    inputs: &[[u32; 2]; INVOCATIONS],
    words: usize,
    deadline: &Until,
) -> Result<(Vec<u32>, bool), GpuFault> {
    let pipeline = Pipeline::new(device, shader)?;
    let given: Vec<u8> = inputs.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    let input = device.buffer(given.len() as u64)?;
    device.write(&input, 0, &given)?;
    let output = device.buffer((INVOCATIONS * words * 4) as u64)?;
    let trap = if shader.has_trap() { Some(device.buffer(4)?) } else { None };
    let mut buffers = vec![(0, &input), (1, &output)];
    buffers.extend(trap.as_ref().map(|trap| (TRAP_BINDING, trap)));
    let bound = device.bind(&pipeline.layout, buffers.into_iter())?;
    device.dispatch(&pipeline.pipeline, &bound, [1, 1, 1], deadline)?;
    let mut bytes = vec![0; INVOCATIONS * words * 4];
    let trapped = device.read(&mut Staging::default(), (&output, 0), trap.as_ref(), &mut bytes, deadline)?;
    Ok((bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect(), trapped))
}

/// Corner cases first, then xorshift.
fn inputs() -> [[u32; 2]; INVOCATIONS] {
    const CORNERS: [u32; 8] = [0, 1, u32::MAX, 1 << 31, i32::MAX as u32, 31, 32, 0x0001_0000];
    let mut state = 0x9e37_79b9u32;
    std::array::from_fn(|i| {
        if i < CORNERS.len() {
            return [CORNERS[i], CORNERS[(i * 3 + 1) % CORNERS.len()]];
        }
        [(); 2].map(|()| xorshift(&mut state))
    })
}

fn xorshift(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

/// The answers to `probe_exact.wgsl`.
fn expected(inputs: &[[u32; 2]; INVOCATIONS]) -> Vec<u32> {
    let total = inputs.iter().fold(0u32, |sum, [a, _]| sum.wrapping_add(*a));
    let mut words = Vec::with_capacity(INVOCATIONS * EXACT_WORDS);
    for (i, &[a, b]) in inputs.iter().enumerate() {
        let [mirror_a, mirror_b] = inputs[INVOCATIONS - 1 - i];
        let mut state = a | 1;
        for _ in 0..b & 1023 {
            xorshift(&mut state);
        }
        words.extend([
            a.wrapping_add(b),
            a.wrapping_sub(b),
            a.wrapping_mul(b),
            a / (b | 1),
            a % (b | 1),
            a << (b & 31),
            a >> (b & 31),
            ((a as i32) >> (b & 31)) as u32,
            (a as i32).wrapping_div((b | 1) as i32) as u32,
            a.count_ones() + 100 * (b | 1).ilog2(),
            a.reverse_bits(),
            (a >> 5) & 0x7ff,
            if (a as i32) < (b as i32) { a.max(b) } else { a.min(b) },
            mirror_a ^ mirror_b,
            total,
            state,
        ]);
    }
    words
}
