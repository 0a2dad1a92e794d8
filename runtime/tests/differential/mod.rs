//! Generated shaders of the exact profile on the CPU reference, in several orders, and on the machine's adapter: the bytes must be
//! the same.

mod expression;
mod generator;
mod layout;
mod phase;
mod random;
mod statement;

use std::time::{Duration, Instant};

use p2c2r_runtime::gpu::{Gpu, GpuAttempt, GpuSession, GpuStop, ReferenceSession, Shaders};
use p2c2r_shader::reference::Order;
use p2c2r_shader::{Class, Shader};
use p2c2r_signing::{
    Manifest, ResultClass, SecretKey, TrustedKeys, VerifiedModule, attach, manifest, sign_module, verify_module,
};

pub(crate) use generator::{Text, shader};

/// As [`shader`], with what some drivers are known to get wrong.
pub(crate) fn hard(seed: u64) -> Text {
    generator::hard(seed)
}
use random::Random;

/// A software adapter shares two cores with everything else.
const PATIENCE: Duration = Duration::from_secs(120);

const ROOMY: manifest::Gpu =
    manifest::Gpu { buffers: 8, buffer_bytes: 16 << 20, dispatches: 8, workgroups: 1 << 16, cpu_path: false };

/// Seeds of orders, and how many invocations go side by side.
const ORDERS: [(u64, u32); 3] = [(1, 1), (2, 5), (3, 32)];

/// What a shader is run on: the contents of its buffers, by binding, and the workgroups along each axis.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    pub(crate) buffers: Vec<(u32, Vec<u32>)>,
    pub(crate) groups: [u32; 3],
}

/// What is in the buffers in the end, or that an invocation ran out of its budget.
pub(crate) type Outcome = Result<Vec<Vec<u32>>, GpuStop>;

/// What became of a shader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The same everywhere; whether as a trap.
    Agrees { trapped: bool },
    /// What differs, in words.
    Differs(String),
}

/// Time that both sides took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// All orders together.
    pub(crate) reference: Duration,
    pub(crate) compiling: Duration,
    pub(crate) adapter: Duration,
}

/// Whether the analysis calls it exact.
pub(crate) fn accept(wgsl: &str) -> Result<(), String> {
    let shader = Shader::parse(wgsl).map_err(|finding| finding.to_string())?;
    match shader.class() {
        Class::Exact => Ok(()),
        Class::Device => Err(shader.findings().first().map_or_else(String::new, ToString::to_string)),
    }
}

/// Buffers for a generated shader.
pub(crate) fn inputs(seed: u64, text: &Text) -> Inputs {
    const CORNERS: [u32; 12] =
        [0, 1, 2, 31, 32, 33, u32::MAX, 1 << 31, i32::MAX as u32, 0xffff, 0x8000_0001, 0x5555_5555];
    let mut random = Random::new(seed ^ 0x1279_1a8f);
    let layout = &text.layout;
    let places = layout.places as usize;
    let mut word = |corners: bool| {
        let word = random.next();
        match word >> 62 {
            0 if corners => CORNERS[(word % 12) as usize],
            1 => (word & 63) as u32,
            _ => word as u32,
        }
    };
    let mut words = |count: usize, corners: bool| (0..count).map(|_| word(corners)).collect::<Vec<_>>();
    let mut source = words(places + 64, true);
    (source[62], source[63]) = (layout.width, 1);
    let buffers = vec![
        (0, words(places * layout.stride as usize, false)),
        (1, source),
        (2, words(16, false)),
        (3, words(8, false)),
        (4, words(12 * (places.min(512) + 3), true)),
        (5, vec![7; places * 8]),
        (6, vec![0xdead_beef; places + 3]),
    ];
    Inputs { buffers, groups: layout.groups }
}

/// A signed module with these shaders, each named by its index.
pub(crate) fn module(shaders: &[&str]) -> VerifiedModule {
    let manifest = Manifest::from_json(
        br#"{"name":"differential","version":"0.1.0","abi":1,"publisher":"tests","unit":"word",
             "gpu":{"buffers":8,"buffer_bytes":16777216,"dispatches":8,"workgroups":65536}}"#,
    )
    .unwrap();
    let manifest = Manifest { result_class: ResultClass::Exact, ..manifest };
    let named: Vec<_> = shaders.iter().enumerate().map(|(n, text)| (n.to_string(), (*text).to_owned())).collect();
    let unsigned = attach(b"\0asm\x01\0\0\0", &manifest, &named).unwrap();
    let key = SecretKey::generate();
    verify_module(sign_module(&unsigned, &key).unwrap(), &TrustedKeys::from(key.public())).unwrap()
}

/// Runs shader `index` on the reference, in several orders, and on `gpu`, and compares.
pub(crate) fn judge(
    gpu: Option<&Gpu>,
    shaders: &Shaders,
    index: usize,
    inputs: &Inputs,
    times: &mut Times,
) -> Judgement {
    let until = Instant::now() + PATIENCE;
    let reference = || ReferenceSession::new(shaders, &ROOMY, until).unwrap();
    let natural = timed(&mut times.reference, || run(&mut reference(), index, inputs));
    for (seed, together) in ORDERS {
        let mut session = reference().in_order(Order::Shuffled { seed, together });
        let shuffled = timed(&mut times.reference, || run(&mut session, index, inputs));
        if let Some(difference) = difference(&natural, &shuffled) {
            return Judgement::Differs(format!("order {seed}, {together} together: {difference}"));
        }
    }
    if let Some(gpu) = gpu {
        // The first of a module compiles all of its shaders.
        let mut session = timed(&mut times.compiling, || GpuSession::new(gpu, shaders, &ROOMY, until).unwrap());
        let on_adapter = timed(&mut times.adapter, || run(&mut session, index, inputs));
        if let Some(difference) = difference(&natural, &on_adapter) {
            return Judgement::Differs(format!("reference and adapter: {difference}"));
        }
    }
    Judgement::Agrees { trapped: natural.is_err() }
}

fn timed<T>(sum: &mut Duration, what: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = what();
    *sum += started.elapsed();
    result
}

/// How long shader `index` takes on either side, transfers included; the better of two.
pub(crate) fn time(gpu: &Gpu, shaders: &Shaders, index: usize, inputs: &Inputs) -> Times {
    let until = Instant::now() + PATIENCE;
    let took = |session: &mut dyn GpuAttempt| {
        let started = Instant::now();
        run(session, index, inputs).unwrap();
        started.elapsed()
    };
    let once = || Times {
        reference: took(&mut ReferenceSession::new(shaders, &ROOMY, until).unwrap()),
        adapter: took(&mut GpuSession::new(gpu, shaders, &ROOMY, until).unwrap()),
        ..Times::default()
    };
    let (one, two) = (once(), once());
    Times { reference: one.reference.min(two.reference), adapter: one.adapter.min(two.adapter), ..one }
}

/// Leaves out lines and blocks as long as the rest still differs.
/// `how` is what [`judge`] said of `text`.
pub(crate) fn shrink(gpu: Option<&Gpu>, text: &Text, inputs: &Inputs, how: &str) -> Text {
    let differs = |text: &Text| {
        let wgsl = text.wgsl();
        if accept(&wgsl).is_err() {
            return false;
        }
        let module = module(&[&wgsl]);
        let Ok(shaders) = Shaders::of(&module) else { return false };
        // Not into a shader that never ends: that would be another story.
        let same = |other: String| other.contains("Trap") == how.contains("Trap");
        match judge(gpu, &shaders, 0, inputs, &mut Times::default()) {
            Judgement::Differs(other) => same(other),
            Judgement::Agrees { .. } => false,
        }
    };
    let mut small = text.clone();
    small.body = text.body.iter().flat_map(|statement| statement.lines()).map(|line| format!("{line}\n")).collect();
    loop {
        let before = small.body.len();
        let mut at = before;
        while at > 0 {
            at -= 1;
            for without in [removed(&small.body, at), unwrapped(&small.body, at)].into_iter().flatten() {
                let mut smaller = small.clone();
                smaller.body = without;
                if differs(&smaller) {
                    small = smaller;
                    at = at.min(small.body.len());
                    break;
                }
            }
        }
        if small.body.len() == before {
            return small;
        }
    }
}

/// Without the line `at`, or the block it opens.
fn removed(lines: &[String], at: usize) -> Option<Vec<String>> {
    let end = closing(lines, at)?;
    Some([&lines[..at], &lines[end + 1..]].concat())
}

/// Without the first and last line of the block that the line `at` opens.
fn unwrapped(lines: &[String], at: usize) -> Option<Vec<String>> {
    let end = closing(lines, at).filter(|end| *end > at)?;
    Some([&lines[..at], &lines[at + 1..end], &lines[end + 1..]].concat())
}

/// The line where the braces that the line `at` opens are closed.
fn closing(lines: &[String], at: usize) -> Option<usize> {
    let mut open = 0;
    (at..lines.len()).find(|line| {
        let count = |brace| lines[*line].matches(brace).count() as i32;
        open += count('{') - count('}');
        open <= 0
    })
}

fn run(session: &mut dyn GpuAttempt, index: usize, inputs: &Inputs) -> Outcome {
    let mut bindings = Vec::new();
    for (binding, words) in &inputs.buffers {
        let handle = session.buf_create(words.len() as i64 * 4)?;
        assert!(handle > 0, "status {handle}");
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(session.buf_write(handle, 0, &bytes), Ok(0));
        bindings.push((*binding, handle));
    }
    assert_eq!(session.dispatch(index.to_string().as_bytes(), inputs.groups, &bindings)?, 0);
    let mut buffers = Vec::new();
    for ((_, words), (_, handle)) in inputs.buffers.iter().zip(&bindings) {
        let mut bytes = vec![0; words.len() * 4];
        assert_eq!(session.buf_read(*handle, 0, &mut bytes)?, 0);
        buffers.push(bytes.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect());
    }
    Ok(buffers)
}

/// Where two results part.
fn difference(one: &Outcome, two: &Outcome) -> Option<String> {
    match (one, two) {
        (Ok(one), Ok(two)) => one.iter().zip(two).enumerate().find_map(|(buffer, (one, two))| {
            let at = one.iter().zip(two).position(|(a, b)| a != b)?;
            let count = one.iter().zip(two).filter(|(a, b)| a != b).count();
            Some(format!("buffer {buffer} word {at}: {:#x} and {:#x}, {count} in all", one[at], two[at]))
        }),
        (Err(one), Err(two)) if one == two => None,
        (one, two) => Some(format!("{:?} and {:?}", one.as_ref().map(|_| "done"), two.as_ref().map(|_| "done"))),
    }
}
