//! Races that cannot be excluded. Sound and simple: it knows the patterns below, and refuses the rest.
//!
//! - Buffers: every invocation stays at places of its own, `global_invocation_id.x` times a constant plus something smaller;
//!   or one invocation of each workgroup at `workgroup_id.x`. Buffers that are only read may be read anywhere.
//! - Workgroup variables: between two barriers, the same with `local_invocation_index`; or parts of the variable that
//!   do not meet, as in a tree reduction.
//! - Atomic operations of one kind on a variable, whose results nobody looks at, may meet anywhere.
//!
//! Functions other than `main` may read what nobody writes, and their own variables.

mod form;
mod index;

use naga::valid::ModuleInfo;
use naga::{
    AddressSpace, AtomicFunction, Barrier, BinaryOperator, Block, Expression, Function, GlobalVariable, Handle, Module,
    Span, Statement, TypeInner,
};

use self::form::{Fact, Form, Use};
use self::index::Indices;
use crate::barrier::Barriers;
use crate::limits::{FINDINGS, RACE_STEPS, RACE_USES};
use crate::refusal::Problem;
use crate::source::statements;
use crate::uniform::{self, Root, read_only, root};

/// What was found.
pub(crate) struct Races {
    pub(crate) problems: Vec<Problem>,
    /// There are none only if the dispatch is along x.
    pub(crate) line_only: bool,
}

/// Looks for races in the entry point of `module`.
pub(crate) fn problems(module: &Module, info: &ModuleInfo, barriers: &Barriers) -> Races {
    let mut races = Races { problems: Vec::new(), line_only: false };
    let [entry] = module.entry_points.as_slice() else { return races };
    let written = written(module);
    if !written.contains(&true) {
        return races;
    }
    for (_, function) in module.functions.iter() {
        helper(module, function, &written, &mut races.problems);
    }
    // Refused already if it is not.
    let Ok(shared) = uniform::analyse(module, &entry.function, true, barriers) else { return races };
    let invocations = entry.workgroup_size.iter().map(|side| u64::from(*side)).product();
    let mut walk = Walk {
        module,
        function: &entry.function,
        written: &written,
        invocations,
        indices: Indices::new(module, entry, info.get_entry_point(0), shared),
        facts: Vec::new(),
        uses: Vec::new(),
        open: Vec::new(),
        storage: Vec::new(),
        left: Vec::new(),
        steps: 0,
        races,
    };
    walk.block(&entry.function.body);
    walk.races
}

/// Of each variable: whether invocations share it and some write it.
fn written(module: &Module) -> Vec<bool> {
    let mut written = vec![false; module.global_variables.len()];
    for function in crate::source::functions(module) {
        for (statement, _) in statements(&function.body) {
            let (Statement::Store { pointer, .. } | Statement::Atomic { pointer, .. }) = statement else { continue };
            if let Some(Root::Global(global)) = root(function, *pointer) {
                let space = module.global_variables[global].space;
                written[global.index()] |= matches!(space, AddressSpace::WorkGroup | AddressSpace::Storage { .. })
                    && !read_only(module, global);
            }
        }
    }
    written
}

/// Reports what a function other than `main` does with variables that are written.
fn helper(module: &Module, function: &Function, written: &[bool], problems: &mut Vec<Problem>) {
    let mut touch = |pointer, span| {
        if let Some(Root::Global(global)) = root(function, pointer)
            && written[global.index()]
            && problems.len() < FINDINGS
        {
            let name = module.global_variables[global].name.as_deref().unwrap_or("?");
            let reason = format!(
                "a function uses {name:?}, which the shader writes; only main may: give the function values, and load and \
                 store in main"
            );
            problems.push(Problem::new(span, reason));
        }
    };
    for (handle, expression) in function.expressions.iter() {
        if let Expression::Load { pointer } = expression {
            touch(*pointer, function.expressions.get_span(handle));
        }
    }
    for (statement, span) in statements(&function.body) {
        match statement {
            Statement::Store { pointer, .. }
            | Statement::Atomic { pointer, .. }
            | Statement::WorkGroupUniformLoad { pointer, .. } => touch(*pointer, span),
            _ => {}
        }
    }
}

/// What is done to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Read,
    Write,
    /// Operations of one kind commute.
    Atomic(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    And,
    Or,
    Xor,
    Min,
    Max,
}

/// One use of a shared variable.
#[derive(Debug, Clone, PartialEq)]
struct Touch {
    global: Handle<GlobalVariable>,
    /// The member of a struct; different ones never meet.
    member: Option<u32>,
    by: Use,
    action: Action,
}

/// What was open where a loop or `switch` is left before its end, or an iteration of the loop.
struct Left {
    is_loop: bool,
    open: Vec<usize>,
}

struct Walk<'a> {
    module: &'a Module,
    function: &'a Function,
    written: &'a [bool],
    invocations: u64,
    indices: Indices<'a>,
    facts: Vec<Fact>,
    uses: Vec<Touch>,
    /// Uses of workgroup variables since the last barrier.
    open: Vec<usize>,
    /// Uses of buffers.
    storage: Vec<usize>,
    /// The loops and `switch`es around.
    left: Vec<Left>,
    steps: u32,
    races: Races,
}

impl Walk<'_> {
    fn block(&mut self, block: &Block) {
        for (statement, span) in block.span_iter() {
            self.steps += 1;
            if self.steps > RACE_STEPS || self.uses.len() > RACE_USES {
                if self.races.problems.len() < FINDINGS {
                    self.report(
                        *span,
                        "the shader is too long to look for races in it; split it into several".to_owned(),
                    );
                }
                return;
            }
            self.statement(statement, *span);
        }
    }

    fn statement(&mut self, statement: &Statement, span: Span) {
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    self.steps += 1;
                    self.indices.evaluate(handle);
                    if let Expression::Load { pointer } = self.function.expressions[handle] {
                        self.touch(pointer, Action::Read, self.function.expressions.get_span(handle));
                    }
                }
            }
            Statement::Block(block) => self.block(block),
            Statement::If { condition, accept, reject } => {
                let before = self.open.clone();
                let known = self.facts.len();
                self.learn(*condition);
                self.block(accept);
                self.facts.truncate(known);
                self.indices.forget(accept);
                // Invocations that went the other way are still at it.
                let accepted = self.open.clone();
                join(&mut self.open, &before);
                self.block(reject);
                join(&mut self.open, &accepted);
                self.indices.forget(reject);
            }
            Statement::Switch { cases, .. } => {
                let before = self.open.clone();
                self.left.push(Left { is_loop: false, open: Vec::new() });
                for case in cases {
                    join(&mut self.open, &before);
                    self.block(&case.body);
                    self.indices.forget(&case.body);
                }
                join(&mut self.open, &self.left.pop().map(|left| left.open).unwrap_or_default());
            }
            Statement::Loop { body, continuing, .. } => {
                self.left.push(Left { is_loop: true, open: Vec::new() });
                // The second time for what one iteration does to the next.
                for _ in 0..2 {
                    self.indices.forget(body);
                    self.indices.forget(continuing);
                    self.block(body);
                    if let Some(left) = self.left.last() {
                        join(&mut self.open, &left.open);
                    }
                    self.block(continuing);
                }
                join(&mut self.open, &self.left.pop().map(|left| left.open).unwrap_or_default());
                self.indices.forget(body);
                self.indices.forget(continuing);
            }
            // To the end of what is innermost, which is where its `left` is open again.
            Statement::Break => {
                if let Some(left) = self.left.last_mut() {
                    join(&mut left.open, &self.open);
                }
            }
            // To the end of the body of the innermost loop, past any `switch`.
            Statement::Continue => {
                if let Some(left) = self.left.iter_mut().rev().find(|left| left.is_loop) {
                    join(&mut left.open, &self.open);
                }
            }
            Statement::ControlBarrier(barrier) if barrier.contains(Barrier::WORK_GROUP) => self.open.clear(),
            Statement::WorkGroupUniformLoad { pointer, .. } => {
                self.open.clear();
                self.touch(*pointer, Action::Read, span);
                self.open.clear();
            }
            Statement::Store { pointer, .. } => {
                self.touch(*pointer, Action::Write, span);
                self.indices.store(*pointer);
            }
            Statement::Atomic { pointer, fun, .. } => {
                let action = match fun {
                    AtomicFunction::Add | AtomicFunction::Subtract => Action::Atomic(Kind::Add),
                    AtomicFunction::And => Action::Atomic(Kind::And),
                    AtomicFunction::InclusiveOr => Action::Atomic(Kind::Or),
                    AtomicFunction::ExclusiveOr => Action::Atomic(Kind::Xor),
                    AtomicFunction::Min => Action::Atomic(Kind::Min),
                    AtomicFunction::Max => Action::Atomic(Kind::Max),
                    AtomicFunction::Exchange { .. } => Action::Write,
                };
                self.touch(*pointer, action, span);
            }
            Statement::Call { arguments, .. } => arguments.iter().for_each(|argument| self.indices.store(*argument)),
            _ => {}
        }
    }

    /// Facts from a condition that holds.
    fn learn(&mut self, condition: Handle<Expression>) {
        let mut open = vec![condition];
        while let Some(condition) = open.pop() {
            let Expression::Binary { op, left, right } = self.function.expressions[condition] else { continue };
            let (l, r) = (self.indices.of(left), self.indices.of(right));
            match op {
                BinaryOperator::LogicalAnd => open.extend([left, right]),
                BinaryOperator::Less if l == Form::lane() => self.facts.push(Fact::Below(r)),
                BinaryOperator::Greater if r == Form::lane() => self.facts.push(Fact::Below(l)),
                BinaryOperator::Equal => {
                    let (form, constant) =
                        if let Some(constant) = r.constant() { (l, Some(constant)) } else { (r, l.constant()) };
                    let Some(constant) = constant else { continue };
                    if form == Form::lane() {
                        self.facts.push(Fact::Lane(constant));
                    } else if form == Form::global(self.invocations) {
                        self.facts.push(Fact::Only(constant));
                    }
                }
                _ => {}
            }
        }
    }

    fn touch(&mut self, pointer: Handle<Expression>, action: Action, span: Span) {
        let Some(Root::Global(global)) = root(self.function, pointer) else { return };
        if !self.written[global.index()] {
            return;
        }
        let (member, index) = self.place(global, pointer);
        let touch = Touch { global, member, by: Use { index, facts: self.facts.clone() }, action };
        let in_group = self.module.global_variables[global].space == AddressSpace::WorkGroup;
        let others = if in_group { &self.open } else { &self.storage };
        let meets = |other: &Touch| {
            let apart = || {
                if in_group {
                    // Alone, nobody races.
                    self.invocations == 1 || touch.by.apart_in_group(&other.by)
                } else {
                    touch.by.apart_in_line(&other.by, self.invocations)
                }
            };
            let matters = match (touch.action, other.action) {
                (Action::Read, Action::Read) => false,
                (Action::Atomic(one), Action::Atomic(two)) => one != two,
                _ => true,
            };
            let same = touch.global == other.global
                && (touch.member.is_none() || other.member.is_none() || touch.member == other.member);
            same && matters && !apart()
        };
        let race = meets(&touch) || others.iter().any(|other| meets(&self.uses[*other]));
        let known = others.iter().any(|other| self.uses[*other] == touch);
        if !in_group && !matches!(action, Action::Atomic(_)) {
            self.races.line_only = true;
        }
        if !known {
            let number = self.uses.len();
            self.uses.push(touch);
            if in_group { self.open.push(number) } else { self.storage.push(number) }
        }
        if race {
            let name = self.module.global_variables[global].name.as_deref().unwrap_or("?");
            let reason = if in_group { group_race(name) } else { line_race(name) };
            self.report(span, reason);
        }
    }

    /// The member of a buffer's struct and the index of the outermost array that a pointer leads to.
    fn place(&self, global: Handle<GlobalVariable>, pointer: Handle<Expression>) -> (Option<u32>, Option<Form>) {
        let mut steps = Vec::new();
        let mut at = pointer;
        loop {
            match self.function.expressions[at] {
                Expression::Access { base, index } => {
                    steps.push((self.indices.of(index), None));
                    at = base;
                }
                Expression::AccessIndex { base, index } => {
                    steps.push((Form::exactly(u64::from(index)), Some(index)));
                    at = base;
                }
                _ => break,
            }
        }
        let mut ty = self.module.global_variables[global].ty;
        let mut member = None;
        loop {
            match (&self.module.types[ty].inner, steps.pop()) {
                (TypeInner::Struct { members, .. }, Some((_, Some(index)))) => {
                    let Some(inner) = members.get(index as usize) else { return (None, None) };
                    if member.is_none() {
                        member = Some(index);
                    }
                    ty = inner.ty;
                }
                (TypeInner::Array { .. }, Some((index, _))) => return (member, Some(index)),
                (TypeInner::Struct { .. } | TypeInner::Array { .. }, _) => return (member, None),
                _ => return (member, Some(Form::exactly(0))),
            }
        }
    }

    fn report(&mut self, span: Span, reason: String) {
        let known = self.races.problems.iter().any(|p| p.span.to_range() == span.to_range() && p.reason == reason);
        if !known && self.races.problems.len() < FINDINGS {
            self.races.problems.push(Problem::new(span, reason));
        }
    }
}

fn join(open: &mut Vec<usize>, more: &[usize]) {
    open.extend_from_slice(more);
    open.sort_unstable();
    open.dedup();
}

fn line_race(name: &str) -> String {
    format!(
        "different invocations may meet at one place of {name:?}, which is written: use global_invocation_id.x as the index \
         (times a constant, plus a smaller one) wherever it is read or written, or, from one invocation of each workgroup \
         (`if local_invocation_index == 0u`), workgroup_id.x; read neighbours from another buffer"
    )
}

fn group_race(name: &str) -> String {
    format!(
        "between two barriers one invocation may use what another writes in {name:?}: index it with local_invocation_index, \
         put a workgroupBarrier() in between, or reduce as in `if i < s {{ x[i] += x[i + s]; }}` with `s >>= 1u`"
    )
}
