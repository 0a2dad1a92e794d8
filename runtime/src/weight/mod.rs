//! What a module costs the compiler, told from its code: compiling is the one thing here that cannot be interrupted.
//!
//! Cranelift takes time in proportion to the code that compilers emit, but small code can be made that it takes minutes and
//! gigabytes for. What makes the difference is counted here, in one pass over the module, next to functions and instructions:
//!
//! - *blocks*: a function pays for the square of their number, for that of its loops much sooner, and a block in
//!   loops for the square of how many there are around it;
//! - *carried values*: a local, or an operand on the stack, is looked at in each place where paths join between the
//!   write and the last read of it, and again for each loop around that place;
//! - *merged values*: a local that a block writes has two values where the block ends; the function pays for the square of those;
//! - *passed values*: what blocks take and give is followed through all places where paths join;
//! - *wide calls*, whose values pass through memory one by one;
//! - *globals*, where each access is held against all others.
//!
//! How long a local lives is an upper bound, close for what compilers emit: where one `local.set` comes before all other
//! accesses and no way leads around it, from there to the last access, loops in between included to their ends. Else it lives
//! from the start of the function to the last access or the end of the loops around that.
//!
//! The prices were fitted to the processor time of an optimised build on one core of a server of 2024: of more than 100 bombs and six
//! programs the estimate is at least two thirds of what was measured (`tests::calibration` prints both), for programs at most four
//! times, for bombs any number of times. They are no promise of time, but what is over [`COMPILE_MS`] or [`COMPILE_BYTES`] is no program,
//! and is refused before the compiler sees it. Inlining is not in it: only the compile worker does that, which is killed when it takes too
//! long.

use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

use crate::kernel::LoadError;
use crate::limits::{COMPILE_BYTES, COMPILE_MS};

/// Refuses what the compiler would take too long for, or too much memory. What is not valid passes: the compiler says why it is
/// wrong.
pub(crate) fn check(bytes: &[u8], features: WasmFeatures) -> Result<(), LoadError> {
    weigh(bytes, features).map_or(Ok(()), |weight| weight.check())
}

/// What there is in a module that the compiler takes time for; each a sum over its functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weight {
    functions: u64,
    /// Instructions, and values that they take and give.
    values: u64,
    /// Values of calls beyond those that go in registers.
    wide: u64,
    /// Blocks of a function, squared.
    blocks_squared: u64,
    /// Loops of a function, squared.
    loops_squared: u64,
    /// For each block the loops around it, squared.
    nested_squared: u64,
    /// Locals and operands in each place where paths join.
    carried: u64,
    /// The same, as often as there are loops around the place.
    carried_in_loops: u64,
    /// Locals that a block of a function writes, over all its blocks, squared: where its paths join, so many values are merged.
    merged_squared: u64,
    /// Values that blocks of a function take and give, times the places where its paths join.
    passed: u64,
    /// Accesses of globals in a function, squared, times the globals there are.
    globals: u64,
}

impl Weight {
    fn check(&self) -> Result<(), LoadError> {
        for (what, got, max) in [
            ("milliseconds to compile (estimated)", self.milliseconds(), COMPILE_MS),
            ("bytes of memory to compile (estimated)", self.bytes(), COMPILE_BYTES),
        ] {
            if got > max {
                return Err(LoadError::TooLarge { what, got, max });
            }
        }
        Ok(())
    }

    fn milliseconds(&self) -> u64 {
        const PICOSECONDS: u64 = 1_000_000_000;
        priced(&[
            (self.functions, 150_000_000),
            (self.values, 2_000_000),
            (self.wide, 27_000_000),
            (self.blocks_squared, 2_300),
            (self.loops_squared, 260_000),
            (self.nested_squared, 4_000),
            (self.carried, 1_200_000),
            (self.carried_in_loops, 85_000),
            (self.merged_squared, 10_000),
            (self.passed, 40_000),
            (self.globals, 1),
        ]) / PICOSECONDS
    }

    /// What is in proportion to the code is not counted.
    fn bytes(&self) -> u64 {
        priced(&[(self.carried, 40), (self.carried_in_loops, 64), (self.passed, 16)])
    }
}

fn priced(counts: &[(u64, u64)]) -> u64 {
    counts.iter().fold(0, |sum, (count, price)| sum.saturating_add(count.saturating_mul(*price)))
}

fn weigh(bytes: &[u8], features: WasmFeatures) -> wasmparser::Result<Weight> {
    let mut validator = Validator::new_with_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut weight = Weight::default();
    let mut globals = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let Payload::GlobalSection(section) = &payload {
            globals = section.count().into();
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            allocations = Walk::function(function, &body, globals, allocations, &mut weight)?;
        }
    }
    Ok(weight)
}

/// How far a function was read, in things that a value pays for that lives across them.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    /// Places where paths join.
    joins: u64,
    /// The same, as often as there are loops around each.
    nested: u64,
}

/// An open block.
struct Frame {
    /// Number among the blocks of the function, the arms of a condition counted as two.
    id: u32,
    kind: Kind,
    /// A branch leads to its end.
    joins: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Loop,
    Condition,
}

/// An open loop.
struct Loop {
    /// Which one of the open blocks it is.
    depth: usize,
    /// Number among the loops of the function.
    id: u32,
}

/// How long a local lives, as far as the function was read.
#[derive(Clone, Copy, Default)]
struct Life {
    /// The block of the write that comes before all other accesses, and which one of the open blocks that is. [`None`]: the
    /// function's start writes it.
    home: Option<(u32, usize)>,
    start: Clock,
    end: End,
    /// Blocks inside of that one that write it.
    merged: u64,
    /// Blocks that write the local, in this life or another one.
    merged_in_all: u64,
    /// Number of the next block when it was written last.
    written: u64,
}

#[derive(Clone, Copy)]
enum End {
    At(Clock),
    /// With the loop of this number.
    Loop(u32),
}

/// Values of a call that cost no more than others: what calling conventions pass in registers.
const IN_REGISTERS: u64 = 8;

impl Default for End {
    fn default() -> Self {
        Self::At(Clock::default())
    }
}

struct Walk<'a> {
    weight: &'a mut Weight,
    frames: Vec<Frame>,
    blocks: u64,
    /// The open ones, outermost first.
    loops: Vec<Loop>,
    /// When each loop ended, by number.
    ended: Vec<Clock>,
    now: Clock,
    /// Values that blocks took and gave where paths join.
    passed: u64,
    /// Accesses of globals.
    globals: u64,
    lives: Vec<Option<Life>>,
    /// Lives of locals that have begun another one.
    over: Vec<Life>,
}

impl Walk<'_> {
    fn function(
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        globals: u64,
        allocations: FuncValidatorAllocations,
        weight: &mut Weight,
    ) -> wasmparser::Result<FuncValidatorAllocations> {
        let mut validator = function.into_validator(allocations);
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader)?;
        let mut walk = Walk {
            weight,
            frames: Vec::new(),
            blocks: 0,
            loops: Vec::new(),
            ended: Vec::new(),
            now: Clock::default(),
            passed: 0,
            globals: 0,
            lives: vec![None; validator.len_locals() as usize],
            over: Vec::new(),
        };
        walk.open(Kind::Block);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            let (pops, pushes) = operator.operator_arity(&validator.visitor(offset)).unwrap_or_default();
            let height = validator.operand_stack_height();
            walk.step(&operator, pops.into(), pushes.into(), height.into())?;
            validator.op(offset, &operator)?;
        }
        walk.finish(globals);
        Ok(validator.into_allocations())
    }

    /// An instruction that takes and gives so many values; `height` is that of the operand stack before it.
    fn step(&mut self, operator: &Operator<'_>, pops: u64, pushes: u64, height: u64) -> wasmparser::Result<()> {
        self.weight.values += pops + pushes + 1;
        match operator {
            Operator::Block { .. } => self.open(Kind::Block),
            Operator::Loop { .. } => {
                self.open(Kind::Loop);
                self.join(height, pops);
            }
            Operator::If { .. } => {
                self.block(2);
                self.open(Kind::Condition);
            }
            Operator::Else => {
                // What one arm wrote is not written in the other one.
                if let Some(frame) = self.frames.last_mut() {
                    frame.id = self.blocks as u32;
                    self.block(1);
                }
            }
            Operator::End => self.close(height, pops),
            Operator::Br { relative_depth } => self.branch(*relative_depth),
            Operator::Return => self.branch(self.frames.len().saturating_sub(1) as u32),
            Operator::BrIf { relative_depth } => {
                self.block(1);
                self.branch(*relative_depth);
            }
            Operator::BrTable { targets } => {
                self.weight.values += pops * u64::from(targets.len());
                self.block(u64::from(targets.len()).min(self.frames.len() as u64));
                for depth in targets.targets() {
                    self.branch(depth?);
                }
                self.branch(targets.default());
            }
            Operator::Call { .. } => self.call(pops + pushes),
            Operator::CallIndirect { .. } => {
                // Whether the table has it, whether it is of the type, and each is a way out.
                self.block(4);
                self.call(pops + pushes);
            }
            Operator::LocalGet { local_index } => self.access(*local_index, false),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => self.access(*local_index, true),
            Operator::GlobalGet { .. } | Operator::GlobalSet { .. } => self.globals += 1,
            _ => {}
        }
        Ok(())
    }

    fn block(&mut self, count: u64) {
        self.blocks += count;
        self.weight.nested_squared += count * (self.loops.len() as u64).pow(2);
    }

    fn call(&mut self, values: u64) {
        self.weight.wide += values.saturating_sub(IN_REGISTERS);
    }

    /// Paths join here, with so many operands on the stack, of which each brings its own `passed` ones.
    fn join(&mut self, height: u64, passed: u64) {
        self.passed += passed;
        let loops = self.loops.len() as u64;
        self.now.joins += 1;
        self.now.nested += loops;
        self.weight.carried += height;
        self.weight.carried_in_loops = self.weight.carried_in_loops.saturating_add(height * loops);
    }

    fn open(&mut self, kind: Kind) {
        let id = self.blocks as u32;
        if kind == Kind::Loop {
            self.loops.push(Loop { depth: self.frames.len(), id: self.ended.len() as u32 });
            self.ended.push(Clock::default());
        }
        self.frames.push(Frame { id, kind, joins: kind == Kind::Condition });
        self.block(1);
    }

    fn close(&mut self, height: u64, results: u64) {
        let Some(frame) = self.frames.pop() else { return };
        if frame.joins {
            self.join(height, results);
        }
        if frame.kind == Kind::Loop
            && let Some(closed) = self.loops.pop()
        {
            self.ended[closed.id as usize] = self.now;
        }
    }

    fn branch(&mut self, depth: u32) {
        let at = self.frames.len().checked_sub(depth as usize + 1);
        if let Some(frame) = at.and_then(|at| self.frames.get_mut(at)) {
            frame.joins |= frame.kind != Kind::Loop;
        }
    }

    fn access(&mut self, local: u32, writes: bool) {
        let here = self.frames.last().map(|frame| (frame.id, self.frames.len() - 1));
        let Some(life) = self.lives.get_mut(local as usize) else { return };
        let begins = Life { home: here, start: self.now, ..Life::default() };
        let life = life.get_or_insert(if writes { begins } else { Life::default() });
        if let Some((id, depth)) = life.home
            && self.frames.get(depth).is_none_or(|frame| frame.id != id)
        {
            // Who reads after the block of the write may have come around it; who writes begins anew.
            let Life { merged_in_all, written, .. } = *life;
            if writes {
                self.over.push(std::mem::replace(life, Life { merged_in_all, written, ..begins }));
            } else {
                *life = Life { merged: merged_in_all, merged_in_all, written, ..Life::default() };
            }
        }
        let inside = life.home.map_or(1, |(_, depth)| depth + 1);
        if writes {
            let blocks = self.frames.len();
            let unwritten = self.frames.partition_point(|frame| u64::from(frame.id) < life.written).max(1);
            life.merged += blocks.saturating_sub(unwritten.max(inside)) as u64;
            life.merged_in_all += blocks.saturating_sub(unwritten) as u64;
            life.written = self.blocks;
        }
        let around = life.home.map_or(0, |_| inside);
        let outermost = self.loops.partition_point(|open| open.depth < around);
        life.end = self.loops.get(outermost).map_or(End::At(self.now), |open| End::Loop(open.id));
    }

    fn finish(mut self, globals: u64) {
        let lives = std::mem::take(&mut self.lives);
        let mut merged = 0u64;
        for life in lives.into_iter().flatten().chain(std::mem::take(&mut self.over)) {
            let end = match life.end {
                End::At(end) => end,
                End::Loop(id) => self.ended[id as usize],
            };
            self.weight.carried = self.weight.carried.saturating_add(end.joins.saturating_sub(life.start.joins));
            merged += life.merged;
            self.weight.carried_in_loops =
                self.weight.carried_in_loops.saturating_add(end.nested.saturating_sub(life.start.nested));
        }
        let Weight { functions, blocks_squared, loops_squared, merged_squared, passed, globals: accesses, .. } =
            &mut *self.weight;
        *functions += 1;
        *merged_squared = merged_squared.saturating_add(merged.saturating_mul(merged));
        *blocks_squared = blocks_squared.saturating_add(self.blocks.pow(2));
        *loops_squared += (self.ended.len() as u64).pow(2);
        *passed = passed.saturating_add(self.passed.saturating_mul(self.now.joins));
        *accesses = accesses.saturating_add(self.globals.pow(2).saturating_mul(globals));
    }
}

#[cfg(test)]
mod tests;
