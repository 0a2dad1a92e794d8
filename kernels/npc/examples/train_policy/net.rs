//! The network in `f32`, and how it learns: cross entropy to the expert's preferences, Adam (Kingma, Ba 2015).
//!
//! Only operations that IEEE 754 rounds exactly, in one order: the same seed gives the same weights on every machine.

use kernel_npc::policy::network::{HIDDEN, INPUTS, Layer, MOVES, Network, NetworkError, ONE};
use p2c2r_guest::Rng;
use p2c2r_guest::rand_core::Rng as _;

/// A weight is a whole number of `2^-shift`; 127 of them at most.
const SHIFTS: [u32; 3] = [8, 7, 5];
/// The largest activation, 127 of `1 / ONE`.
const MOST: f32 = 127.0 / ONE as f32;
/// Samples of one step of Adam.
pub(crate) const BATCH: usize = 64;

/// A situation, and how much the expert likes each move; below 0 what the grid forbids.
pub(crate) struct Sample {
    pub(crate) inputs: [i8; INPUTS],
    pub(crate) likes: [f32; MOVES],
}

pub(crate) struct Net {
    layers: [Dense; 3],
    /// Powers of Adam's two decays.
    decayed: [f32; 2],
}

impl Net {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let sizes = [(INPUTS, HIDDEN[0]), (HIDDEN[0], HIDDEN[1]), (HIDDEN[1], MOVES)];
        let mut layer = 0;
        let layers = sizes.map(|(inputs, outputs)| {
            layer += 1;
            Dense::new(inputs, outputs, SHIFTS[layer - 1], rng)
        });
        Self { layers, decayed: [1.0; 2] }
    }

    /// One step on a batch; `rounded` computes with the weights and activations that int8 has. Returns the summed loss.
    pub(crate) fn learn(&mut self, batch: &[&Sample], rate: f32, rounded: bool) -> f64 {
        for layer in &mut self.layers {
            layer.start(rounded);
        }
        let loss = batch.iter().map(|sample| self.learn_one(sample, rounded)).sum();
        self.decayed = [self.decayed[0] * 0.9, self.decayed[1] * 0.999];
        for layer in &mut self.layers {
            layer.adam(rate, batch.len() as f32, self.decayed);
        }
        loss
    }

    /// The moves' scores.
    pub(crate) fn scores(&self, inputs: &[i8; INPUTS]) -> [f32; MOVES] {
        let [first, second, third] = &self.layers;
        let first = activate(&first.forward(&unit(inputs)), false);
        let second = activate(&second.forward(&first), false);
        std::array::from_fn(|o| third.forward(&second)[o])
    }

    /// Takes the weights as they are from here on for those of [`scores`](Self::scores).
    pub(crate) fn finish(&mut self) {
        for layer in &mut self.layers {
            layer.start(false);
        }
    }

    /// Rounds to int8.
    pub(crate) fn quantised(&self) -> Result<Network, NetworkError> {
        let [first, second, third] = &self.layers;
        Network::new([SHIFTS[0], SHIFTS[1]], first.layer(), second.layer(), third.layer())
    }

    fn learn_one(&mut self, sample: &Sample, rounded: bool) -> f64 {
        let [first, second, third] = &mut self.layers;
        let x0 = unit(&sample.inputs);
        let z1 = first.forward(&x0);
        let x1 = activate(&z1, rounded);
        let z2 = second.forward(&x1);
        let x2 = activate(&z2, rounded);
        let z3 = third.forward(&x2);
        let (loss, d3) = cross_entropy(&z3, &sample.likes);
        let d2 = gate(third.backward(&x2, &d3), &z2);
        let d1 = gate(second.backward(&x1, &d2), &z1);
        first.gradients(&x0, &d1);
        loss
    }
}

struct Dense {
    inputs: usize,
    outputs: usize,
    shift: u32,
    /// By input, then output; the biases are one more input of 1.
    weights: Vec<f32>,
    /// What a batch computes with.
    used: Vec<f32>,
    gradient: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Dense {
    /// Uniform weights after He et al. 2015.
    fn new(inputs: usize, outputs: usize, shift: u32, rng: &mut Rng) -> Self {
        let size = (inputs + 1) * outputs;
        let bound = (6.0 / inputs as f32).sqrt();
        let mut weights: Vec<f32> =
            (0..size).map(|_| ((rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0) * bound).collect();
        weights[inputs * outputs..].fill(0.0);
        let zeros = vec![0.0; size];
        Self {
            inputs,
            outputs,
            shift,
            used: weights.clone(),
            weights,
            gradient: zeros.clone(),
            mean: zeros.clone(),
            square: zeros,
        }
    }

    fn start(&mut self, rounded: bool) {
        self.gradient.fill(0.0);
        let biases = self.inputs * self.outputs;
        for (i, (used, weight)) in self.used.iter_mut().zip(&self.weights).enumerate() {
            *used = match rounded {
                false => *weight,
                true if i < biases => round(*weight, self.shift),
                true => round(*weight, self.shift + ONE.ilog2()),
            };
        }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let (weights, biases) = self.used.split_at(self.inputs * self.outputs);
        let mut z = biases.to_vec();
        // Most inputs are 0: open ground.
        for (row, x) in weights.chunks_exact(self.outputs).zip(x).filter(|(_, x)| **x != 0.0) {
            for (z, weight) in z.iter_mut().zip(row) {
                *z += weight * x;
            }
        }
        z
    }

    /// Adds to the gradient of the weights.
    fn gradients(&mut self, x: &[f32], d: &[f32]) {
        let (weights, biases) = self.gradient.split_at_mut(self.inputs * self.outputs);
        for (row, x) in weights.chunks_exact_mut(self.outputs).zip(x).filter(|(_, x)| **x != 0.0) {
            for (gradient, d) in row.iter_mut().zip(d) {
                *gradient += d * x;
            }
        }
        for (gradient, d) in biases.iter_mut().zip(d) {
            *gradient += d;
        }
    }

    /// The same, and the gradient of the inputs.
    fn backward(&mut self, x: &[f32], d: &[f32]) -> Vec<f32> {
        self.gradients(x, d);
        let rows = self.used.chunks_exact(self.outputs).take(self.inputs);
        rows.map(|row| row.iter().zip(d).map(|(weight, d)| weight * d).sum()).collect()
    }

    fn adam(&mut self, rate: f32, samples: f32, decayed: [f32; 2]) {
        let bound = 127.0 / (1 << self.shift) as f32;
        let biases = self.inputs * self.outputs;
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for (i, ((weight, gradient), (mean, square))) in
            self.weights.iter_mut().zip(&self.gradient).zip(moments).enumerate()
        {
            let gradient = gradient / samples;
            *mean = 0.9 * *mean + 0.1 * gradient;
            *square = 0.999 * *square + 0.001 * gradient * gradient;
            let step = (*mean / (1.0 - decayed[0])) / ((*square / (1.0 - decayed[1])).sqrt() + 1e-8);
            *weight -= rate * step;
            if i < biases {
                // What int8 cannot hold is never learned.
                *weight = weight.clamp(-bound, bound);
            }
        }
    }

    fn layer<const IN: usize, const OUT: usize>(&self) -> Layer<IN, OUT> {
        let whole = |at: usize, shift: u32| (round(self.weights[at], shift) * (1 << shift) as f32) as i32;
        let mut weights = [[0; IN]; OUT];
        for (o, row) in weights.iter_mut().enumerate() {
            for (i, weight) in row.iter_mut().enumerate() {
                *weight = whole(i * OUT + o, self.shift) as i8;
            }
        }
        Layer::new(&weights, &std::array::from_fn(|o| whole(IN * OUT + o, self.shift + ONE.ilog2())))
    }
}

/// To a multiple of `2^-shift`, halves up.
fn round(value: f32, shift: u32) -> f32 {
    let scale = (1 << shift) as f32;
    (value * scale + 0.5).floor() / scale
}

fn unit(inputs: &[i8; INPUTS]) -> Vec<f32> {
    inputs.iter().map(|x| f32::from(*x) / f32::from(ONE)).collect()
}

fn activate(z: &[f32], rounded: bool) -> Vec<f32> {
    let shift = ONE.ilog2();
    z.iter().map(|z| if rounded { round(*z, shift) } else { *z }.clamp(0.0, MOST)).collect()
}

/// The gradient before an activation; rounding is passed over.
fn gate(mut d: Vec<f32>, z: &[f32]) -> Vec<f32> {
    for (d, z) in d.iter_mut().zip(z) {
        if !(0.0..MOST).contains(z) {
            *d = 0.0;
        }
    }
    d
}

/// Loss and gradient of a softmax over the allowed moves.
fn cross_entropy(z: &[f32], likes: &[f32; MOVES]) -> (f64, Vec<f32>) {
    let allowed = || z.iter().zip(likes).filter(|(_, like)| **like >= 0.0);
    let most = allowed().map(|(z, _)| *z).fold(f32::MIN, f32::max);
    let mut d: Vec<f32> = z.iter().zip(likes).map(|(z, like)| if *like < 0.0 { 0.0 } else { exp(z - most) }).collect();
    let sum: f32 = d.iter().sum();
    let mut loss = 0.0;
    for (d, like) in d.iter_mut().zip(likes).filter(|(_, like)| **like >= 0.0) {
        *d /= sum;
        loss -= f64::from(*like) * f64::from(d.max(1e-9)).ln();
        *d -= like;
    }
    (loss, d)
}

/// e to the power of `x`, 0 at most, within a millionth: the C library's would differ between machines.
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.max(-80.0);
    let whole = (x * std::f32::consts::LOG2_E + 0.5).floor();
    let r = x - whole * std::f32::consts::LN_2;
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    series * f32::from_bits(((whole as i32 + 127) as u32) << 23)
}
