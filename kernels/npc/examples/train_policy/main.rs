//! Trains the policy and writes its weights: `cargo run --release -p kernel-npc --example train_policy -- [FILE [EPISODES]]`.
//!
//! Imitation with the learner at the wheel (DAgger; Ross, Gordon, Bagnell 2011): in every round the network as it is walks
//! through new towns, an expert that knows the whole map says at every step how it likes each move, and the network learns from all
//! rounds so far. Then it goes on learning with the rounding of int8 in place, and is rounded.
//!
//! Takes some five minutes of one core and less than 1 GB. The seed is fixed and the arithmetic the same everywhere, so the file is too.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

mod expert;
mod net;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use kernel_npc::episode::{self, End};
use kernel_npc::policy::{Situation, Walker};
use kernel_npc::{Direction, Episode, NavGrid, Policy};
use p2c2r_guest::Rng;
use p2c2r_guest::rand_core::{Rng as _, SeedableRng};

use expert::Expert;
use net::{BATCH, Net, Sample};

const SEED: [u8; 32] = *b"the npc kernel's policy, one....";
/// Rounds of walking, the first one by the expert.
const ROUNDS: u64 = 12;
/// Episodes walked in a round, unless the command line says.
const EPISODES: u64 = 1500;
/// Passes over all samples after each round, then with falling rate in floats, then with int8's rounding.
const EPOCHS: [usize; 3] = [2, 8, 4];
const RATE: f32 = 1e-3;
/// One step in so many is a random one, so that the expert is asked about mistakes too.
const STRAY: u32 = 10;
/// Episodes of [`Episode::new`] with seeds from here on are for the tests; training stays below, the figures printed here are above.
const TEST_SEEDS: u64 = 1 << 32;
const VALIDATION_SEEDS: u64 = TEST_SEEDS + (1 << 20);
const VALIDATION_EPISODES: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/weights/policy.bin");
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().map_or_else(|| default.into(), PathBuf::from);
    let episodes = arguments.next().map_or(Ok(EPISODES), |episodes| episodes.parse())?;
    let start = Instant::now();
    let validation = Validation::new();
    let mut rng = Rng::from_seed(SEED);
    let mut net = Net::new(&mut rng);
    let mut samples = Vec::new();
    println!("of {VALIDATION_EPISODES} episodes: reached, caught, late");
    validation.report("search", |_| episode::search());
    validation.report("search, dodging", |_| episode::dodge());
    validation.report("greedy", |_| episode::greedy());
    validation.report("random", |_| episode::random(1));
    validation.report("expert", |episode| {
        let expert = Expert::new(episode);
        move |_, walker| expert.step(walker)
    });
    println!("round | samples | loss | reached, caught, late of 200 hunted episodes");
    for round in 0..ROUNDS {
        let policy = Policy::new(net.quantised()?);
        let seeds = round * episodes..(round + 1) * episodes;
        for seed in seeds {
            collect(seed, (round > 0).then_some(&policy), &mut rng, &mut samples);
        }
        let mut loss = 0.0;
        for _ in 0..EPOCHS[0] {
            loss = epoch(&mut net, &samples, &mut rng, |_| RATE, false);
        }
        let policy = Policy::new(net.quantised()?);
        let ends = ends(&validation.hunted[..200], |_| episode::learned(&policy));
        println!("{round:5} | {:7} | {loss:.4} | {ends:?} ({:.0?})", samples.len(), start.elapsed());
    }
    for (rounded, epochs) in [(false, EPOCHS[1]), (true, EPOCHS[2])] {
        for i in 0..epochs {
            let rate = if rounded { RATE / 4.0 } else { RATE };
            let falling = |part: f32| rate * (1.0 - 0.99 * (i as f32 + part) / epochs as f32);
            let loss = epoch(&mut net, &samples, &mut rng, falling, rounded);
            println!("{} {i} | loss {loss:.4} ({:.0?})", if rounded { "int8 " } else { "float" }, start.elapsed());
        }
        if !rounded {
            net.finish();
            validation.report("float", |_| float(&net));
            let policy = Policy::new(net.quantised()?);
            validation.report("rounded", |_| episode::learned(&policy));
        }
    }
    let network = net.quantised()?;
    let policy = Policy::new(network.clone());
    validation.report("int8", |_| episode::learned(&policy));
    validation.report("int8, four at once", |_| episode::learned_by_task(&policy));
    let bytes: Vec<u8> = network.to_words().iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(&file, &bytes)?;
    println!("{}: {} bytes, blake3 {}, {:.0?}", file.display(), bytes.len(), blake3::hash(&bytes), start.elapsed());
    Ok(())
}

/// Walks one episode, every third without a hunter, and asks the expert at each step.
fn collect(seed: u64, policy: Option<&Policy>, rng: &mut Rng, samples: &mut Vec<Sample>) {
    let episode = Episode::new(seed, !seed.is_multiple_of(3));
    let expert = Expert::new(&episode);
    let mut stray = episode::random(seed);
    episode.play(|grid, walker| {
        let situation = Situation::of(grid, walker);
        samples.push(Sample { inputs: situation.inputs, likes: expert.likes(walker, &situation) });
        if rng.next_u32().is_multiple_of(STRAY) {
            return stray(grid, walker);
        }
        policy.map_or_else(|| expert.step(walker), |policy| policy.step(grid, walker))
    });
}

/// One pass over all samples in a random order; `rate` by the part done. Returns the mean loss.
fn epoch(net: &mut Net, samples: &[Sample], rng: &mut Rng, rate: impl Fn(f32) -> f32, rounded: bool) -> f64 {
    let mut order: Vec<&Sample> = samples.iter().collect();
    for i in (1..order.len()).rev() {
        order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
    let batches = order.chunks(BATCH).enumerate();
    let loss: f64 =
        batches.map(|(i, batch)| net.learn(batch, rate((i * BATCH) as f32 / samples.len() as f32), rounded)).sum();
    loss / samples.len() as f64
}

/// The float network, as the policy walks.
fn float(net: &Net) -> impl FnMut(&NavGrid, &Walker) -> Option<Direction> {
    |grid, walker| {
        let situation = Situation::of(grid, walker);
        let scored = net.scores(&situation.inputs).into_iter().zip(situation.moves);
        let allowed = scored.filter_map(|(score, step)| Some((score, step?)));
        allowed.reduce(|best, next| if next.0 > best.0 { next } else { best }).and_then(|(_, step)| step)
    }
}

/// Episodes nobody learns from.
struct Validation {
    hunted: Vec<Episode>,
    alone: Vec<Episode>,
}

impl Validation {
    fn new() -> Self {
        let seeds = VALIDATION_SEEDS..VALIDATION_SEEDS + VALIDATION_EPISODES;
        let [hunted, alone] =
            [true, false].map(|hunted| seeds.clone().map(|seed| Episode::new(seed, hunted)).collect());
        Self { hunted, alone }
    }

    fn report<'a, M>(&'a self, name: &str, mover: impl Fn(&'a Episode) -> M)
    where
        M: FnMut(&NavGrid, &Walker) -> Option<Direction>,
    {
        let [hunted, alone] = [&self.hunted, &self.alone].map(|episodes| ends(episodes, &mover));
        println!("{name:18} | hunted: {hunted:3?} | alone: {alone:3?}");
    }
}

/// How many episodes ended at the goal, by the hunter, too late.
fn ends<'a, M>(episodes: &'a [Episode], mover: impl Fn(&'a Episode) -> M) -> [u32; 3]
where
    M: FnMut(&NavGrid, &Walker) -> Option<Direction>,
{
    let mut ends = [0; 3];
    for episode in episodes {
        match episode.play(mover(episode)).end {
            End::Reached => ends[0] += 1,
            End::Caught => ends[1] += 1,
            End::Late => ends[2] += 1,
        }
    }
    ends
}
