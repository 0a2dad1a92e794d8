//! Races that cannot be excluded. Sound and simple: it knows the patterns below, and refuses the rest.
//!
//! - Buffers: every invocation stays at places of its own. Its place is a number in a mixed radix, whose digits say which
//!   invocation it is: `global_invocation_id.x` times a constant plus something smaller; with `y` and `z` times a width that `x` stays
//!   below ([`apart`]). Or there is only one invocation, of all or of each workgroup. Buffers that are only read may be read
//!   anywhere.
//! - Loops that stride over a buffer stay at places of their own if they stride past all others ([`stride`]).
//! - Workgroup variables: between two barriers, the same with `local_invocation_id`; or parts of the variable that
//!   do not meet, as in a tree reduction.
//! - Atomic operations of one kind on a variable, whose results nobody looks at, may meet anywhere.
//!
//! Functions that touch what the shader writes are looked at at each call, with what they are given.

mod apart;
mod form;
mod index;
mod scale;
mod stride;
mod told;

use naga::valid::ModuleInfo;
use naga::{
    AddressSpace, ArraySize, AtomicFunction, Barrier, BinaryOperator, Block, Expression, Function, GlobalVariable,
    Handle, Literal, LocalVariable, Module, Span, Statement, TypeInner, UnaryOperator,
};

use self::apart::{Among, Use};
use self::form::{Fact, Form};
use self::index::{Called, Indices, Names};
use self::scale::{Scale, Sides};
use self::stride::Counter;
use self::told::Told;
use crate::barrier::Barriers;
use crate::limits::{FINDINGS, RACE_FACTS, RACE_PAIRS, RACE_STEPS, RACE_USES, REFERENCE_DEPTH};
use crate::refusal::Problem;
use crate::source::statements;
use crate::uniform::{self, Root, Uniformity, read_only, root};

/// What was found.
pub(crate) struct Races {
    pub(crate) problems: Vec<Problem>,
    /// Axes along which a dispatch may have more than one workgroup, x first, if there are no problems; `None` if nobody can tell
    /// one dispatch from another.
    pub(crate) axes: Option<usize>,
}

/// Looks for races in the entry point of `module`, whose text is `wgsl`.
pub(crate) fn problems(wgsl: &str, module: &Module, info: &ModuleInfo, barriers: &Barriers) -> Races {
    let races = Races { problems: Vec::new(), axes: None };
    let [entry] = module.entry_points.as_slice() else { return races };
    let written = written(module);
    if !written.contains(&true) {
        return races;
    }
    // Refused already if it is not.
    let Ok(shared) = uniform::analyse(module, &entry.function, true, barriers) else { return races };
    let sides = Sides(entry.workgroup_size);
    let main = Called {
        module,
        function: &entry.function,
        info: info.get_entry_point(0),
        handle: None,
        arguments: Vec::new(),
        sides,
    };
    let mut walk = Walk {
        module,
        wgsl,
        info,
        entered: entered(module, &written, barriers),
        written: &written,
        sides,
        frame: Frame::new(main, shared, Vec::new(), Names::default()),
        uses: Vec::new(),
        open: Vec::new(),
        storage: Vec::new(),
        left: Vec::new(),
        depth: 0,
        steps: 0,
        pairs: 0,
        too_long: false,
        told: false,
        reported: Vec::new(),
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

/// Of each function of the arena: whether it must be looked at where it is called. It touches what is written or waits,
/// itself or through what it calls, or it is no more than a formula, of which indices are made.
fn entered(module: &Module, written: &[bool], barriers: &Barriers) -> Vec<bool> {
    let mut acting: Vec<bool> = Vec::with_capacity(module.functions.len());
    let mut entered = Vec::with_capacity(module.functions.len());
    for (handle, function) in module.functions.iter() {
        let touches =
            |pointer| matches!(root(function, pointer), Some(Root::Global(global)) if written[global.index()]);
        let reads = function.expressions.iter().any(|(_, expression)| match expression {
            Expression::Load { pointer } => touches(*pointer),
            _ => false,
        });
        let acts = statements(&function.body).any(|(statement, _)| match statement {
            Statement::Store { pointer, .. }
            | Statement::Atomic { pointer, .. }
            | Statement::WorkGroupUniformLoad { pointer, .. } => touches(*pointer),
            Statement::Call { function, .. } => acting[function.index()],
            _ => false,
        });
        let formula = function.body.iter().all(|it| matches!(it, Statement::Emit(_) | Statement::Return { .. }));
        acting.push(reads || acts || barriers.function(handle));
        entered.push(acting[handle.index()] || formula);
    }
    entered
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

/// Where a use is in the text.
#[derive(Debug, Clone, Copy)]
struct Site {
    /// The statement, or the load.
    at: Span,
    /// The place it names.
    place: Span,
}

/// What was open where a loop or `switch` is left before its end, or an iteration of the loop.
struct Left {
    is_loop: bool,
    open: Vec<usize>,
}

/// A function that is looked at.
struct Frame<'a> {
    function: &'a Function,
    indices: Indices<'a>,
    /// Of locals that the compiler made of `&&` and `||`: how.
    logic: Vec<Option<Logic>>,
    /// What was open where it returns.
    returned: Vec<usize>,
    /// What it returns, by each of its `return`s.
    results: Vec<Form>,
}

/// `if condition { x = right; } else { x = otherwise; }`: `&&` if that is false, `||` of what is not the condition if it
/// is true.
#[derive(Debug, Clone, Copy)]
struct Logic {
    condition: Handle<Expression>,
    right: Handle<Expression>,
    otherwise: bool,
}

impl<'a> Frame<'a> {
    fn new(called: Called<'a>, shared: Uniformity, facts: Vec<Fact>, names: Names) -> Self {
        let function = called.function;
        Self {
            function,
            logic: vec![None; function.local_variables.len()],
            returned: Vec::new(),
            results: Vec::new(),
            indices: Indices::new(called, shared, facts, names),
        }
    }
}

struct Walk<'a> {
    module: &'a Module,
    wgsl: &'a str,
    info: &'a ModuleInfo,
    entered: Vec<bool>,
    written: &'a [bool],
    sides: Sides,
    frame: Frame<'a>,
    /// With where each is in the text.
    uses: Vec<(Touch, Site)>,
    /// Uses of workgroup variables since the last barrier.
    open: Vec<usize>,
    /// Uses of buffers.
    storage: Vec<usize>,
    /// The loops and `switch`es around.
    left: Vec<Left>,
    depth: u32,
    steps: u32,
    pairs: u32,
    too_long: bool,
    told: bool,
    /// What is reported once, though it is looked at several times: in loops, or in functions.
    reported: Vec<(Span, Handle<GlobalVariable>)>,
    races: Races,
}

impl<'a> Walk<'a> {
    fn block(&mut self, block: &'a Block) {
        let known = self.frame.indices.facts.len();
        self.depth += 1;
        self.too_long |= self.depth > REFERENCE_DEPTH;
        for (statement, span) in block.span_iter() {
            self.steps = self.steps.saturating_add(1);
            self.too_long |= self.steps > RACE_STEPS || self.uses.len() > RACE_USES || self.pairs > RACE_PAIRS;
            if self.too_long {
                if !std::mem::replace(&mut self.told, true) {
                    let reason = "the shader is too long to look for races in it; split it into several";
                    self.report(Problem::new(*span, reason));
                }
                break;
            }
            self.statement(statement, *span);
        }
        self.depth -= 1;
        self.frame.indices.facts.truncate(known);
    }

    fn statement(&mut self, statement: &'a Statement, span: Span) {
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    self.steps = self.steps.saturating_add(1);
                    self.frame.indices.evaluate(handle);
                    if let Expression::Load { pointer } = self.frame.function.expressions[handle] {
                        self.touch(pointer, Action::Read, self.frame.function.expressions.get_span(handle));
                    }
                }
            }
            Statement::Block(block) => self.block(block),
            Statement::If { condition, accept, reject } => self.branch(*condition, accept, reject),
            Statement::Switch { cases, .. } => {
                let before = std::mem::take(&mut self.open);
                self.left.push(Left { is_loop: false, open: Vec::new() });
                let mut after = Vec::new();
                for case in cases {
                    // With what an earlier case that falls into this one has left open.
                    join(&mut self.open, &before);
                    self.block(&case.body);
                    self.frame.indices.forget(&case.body);
                    if !case.fall_through {
                        join(&mut after, &std::mem::take(&mut self.open));
                    }
                }
                join(&mut self.open, &after);
                join(&mut self.open, &self.left.pop().map(|left| left.open).unwrap_or_default());
            }
            Statement::Loop { body, continuing, .. } => self.rounds(body, continuing),
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
            Statement::Return { value } => {
                join(&mut self.frame.returned, &self.open);
                let result = value.map_or(Form::UNKNOWN, |value| self.frame.indices.of(value));
                self.frame.results.push(result);
            }
            Statement::ControlBarrier(barrier) if barrier.contains(Barrier::WORK_GROUP) => self.open.clear(),
            Statement::WorkGroupUniformLoad { pointer, .. } => {
                self.open.clear();
                self.touch(*pointer, Action::Read, span);
                self.open.clear();
            }
            Statement::Store { pointer, value } => {
                self.touch(*pointer, Action::Write, span);
                let value = self.frame.indices.of(*value);
                self.frame.indices.store(*pointer, Some(value));
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
            Statement::Call { function, arguments, result } => {
                let form = self.call(*function, arguments);
                arguments.iter().for_each(|argument| self.frame.indices.store(*argument, None));
                if let Some(result) = result {
                    self.frame.indices.returned(*result, form);
                }
            }
            _ => {}
        }
    }

    fn branch(&mut self, condition: Handle<Expression>, accept: &'a Block, reject: &'a Block) {
        let before = self.open.clone();
        let known = self.frame.indices.facts.len();
        self.learn(condition, true);
        self.block(accept);
        self.frame.indices.facts.truncate(known);
        self.frame.indices.forget(accept);
        // Invocations that went the other way are still at it.
        let accepted = self.open.clone();
        join(&mut self.open, &before);
        self.learn(condition, false);
        self.block(reject);
        self.frame.indices.facts.truncate(known);
        join(&mut self.open, &accepted);
        self.frame.indices.forget(reject);
        if let Some((local, logic)) = self.logic(condition, accept, reject) {
            self.frame.logic[local.index()] = Some(logic);
        }
        // Who comes out of it went the other way.
        match (leaves(accept), leaves(reject)) {
            (true, false) => self.learn(condition, false),
            (false, true) => self.learn(condition, true),
            _ => {}
        }
    }

    fn rounds(&mut self, body: &'a Block, continuing: &'a Block) {
        self.left.push(Left { is_loop: true, open: Vec::new() });
        let counter = Counter::of(self.frame.function, &self.frame.indices, body, continuing);
        // The second time for what one iteration does to the next.
        for _ in 0..2 {
            self.frame.indices.forget(body);
            self.frame.indices.forget(continuing);
            if let Some(counter) = &counter
                && let Some(form) = counter.form(self.frame.indices.version_of(counter.local))
            {
                self.frame.indices.hold(counter.local, form);
            }
            self.block(body);
            // Some may come from a `continue`.
            self.frame.indices.forget(body);
            if let Some(left) = self.left.last() {
                join(&mut self.open, &left.open);
            }
            self.block(continuing);
        }
        join(&mut self.open, &self.left.pop().map(|left| left.open).unwrap_or_default());
        self.frame.indices.forget(body);
        self.frame.indices.forget(continuing);
    }

    /// Looks at a function with what it is given, and says what it returns.
    fn call(&mut self, handle: Handle<Function>, arguments: &[Handle<Expression>]) -> Form {
        if !self.entered.get(handle.index()).copied().unwrap_or(true) {
            return Form::UNKNOWN;
        }
        let (module, info) = (self.module, self.info);
        let function = &module.functions[handle];
        let indices = &mut self.frame.indices;
        let arguments = arguments.iter().map(|argument| indices.of(*argument)).collect();
        let (facts, names) = (indices.facts.clone(), std::mem::take(&mut indices.names));
        let called =
            Called { module, function, info: &info[handle], handle: Some(handle), arguments, sides: self.sides };
        self.steps = self.steps.saturating_add(function.expressions.len() as u32);
        let frame = Frame::new(called, Uniformity::unknown(), facts, names);
        let caller = std::mem::replace(&mut self.frame, frame);
        let left = std::mem::take(&mut self.left);
        self.block(&function.body);
        self.left = left;
        let callee = std::mem::replace(&mut self.frame, caller);
        self.frame.indices.names = callee.indices.names;
        join(&mut self.open, &callee.returned);
        // Of several returns each may have come after a condition of its own.
        if let [result] = callee.results.as_slice() { *result } else { Form::UNKNOWN }
    }

    /// What `&&` and `||` become.
    fn logic(
        &self,
        condition: Handle<Expression>,
        accept: &Block,
        reject: &Block,
    ) -> Option<(Handle<LocalVariable>, Logic)> {
        let expressions = &self.frame.function.expressions;
        let (Some(Statement::Store { pointer, value: right }), [Statement::Store { pointer: other, value }]) =
            (accept.last(), reject.iter().as_slice())
        else {
            return None;
        };
        let (Expression::LocalVariable(local), Expression::LocalVariable(same)) =
            (&expressions[*pointer], &expressions[*other])
        else {
            return None;
        };
        let Expression::Literal(Literal::Bool(otherwise)) = expressions[*value] else { return None };
        // Those that an author declares have a name, and may be looked at elsewhere.
        let made = local == same && self.frame.function.local_variables[*local].name.is_none();
        made.then_some((*local, Logic { condition, right: *right, otherwise }))
    }

    /// Facts from a condition that holds, or does not.
    fn learn(&mut self, condition: Handle<Expression>, holds: bool) {
        let mut open = vec![(condition, holds)];
        while let Some((condition, holds)) = open.pop() {
            match self.frame.function.expressions[condition] {
                Expression::Unary { op: UnaryOperator::LogicalNot, expr } => open.push((expr, !holds)),
                Expression::Load { pointer } => {
                    let Expression::LocalVariable(local) = self.frame.function.expressions[pointer] else { continue };
                    let Some(logic) = self.frame.logic[local.index()] else { continue };
                    if holds != logic.otherwise {
                        open.extend([(logic.condition, true), (logic.right, holds)]);
                    }
                }
                Expression::Binary { op, left, right } => match (op, holds) {
                    (BinaryOperator::LogicalAnd | BinaryOperator::And, true)
                    | (BinaryOperator::LogicalOr | BinaryOperator::InclusiveOr, false) => {
                        open.extend([(left, holds), (right, holds)]);
                    }
                    (BinaryOperator::Less, true) | (BinaryOperator::GreaterEqual, false) => self.below(left, right, 0),
                    (BinaryOperator::Greater, true) | (BinaryOperator::LessEqual, false) => self.below(right, left, 0),
                    (BinaryOperator::LessEqual, true) | (BinaryOperator::Greater, false) => self.below(left, right, 1),
                    (BinaryOperator::GreaterEqual, true) | (BinaryOperator::Less, false) => self.below(right, left, 1),
                    (BinaryOperator::Equal, true) | (BinaryOperator::NotEqual, false) => {
                        let (left, right) = (self.frame.indices.of(left), self.frame.indices.of(right));
                        match (left.constant(), right.constant()) {
                            (None, Some(_)) => self.know(Fact::Is(left, right)),
                            (Some(_), None) => self.know(Fact::Is(right, left)),
                            _ => {}
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// `left` is below `right` and `more`, as numbers of their type are.
    fn below(&mut self, left: Handle<Expression>, right: Handle<Expression>, more: u64) {
        let (below, bound) = (self.frame.indices.of(left), self.frame.indices.of(right));
        if self.frame.indices.is_number(left) && below.constant().is_none() {
            self.know(Fact::Below(below, bound.plus(Form::exactly(more))));
        }
    }

    fn know(&mut self, fact: Fact) {
        let facts = &mut self.frame.indices.facts;
        if facts.len() < RACE_FACTS {
            facts.push(fact);
        }
    }

    fn touch(&mut self, pointer: Handle<Expression>, action: Action, span: Span) {
        let Some(Root::Global(global)) = root(self.frame.function, pointer) else { return };
        if !self.written[global.index()] {
            return;
        }
        let (member, index) = self.place(global, pointer);
        let by = Use { index, facts: self.frame.indices.facts.clone() };
        let place = self.frame.function.expressions.get_span(pointer);
        let this = (Touch { global, member, by, action }, Site { at: span, place });
        let touch = &this.0;
        let in_group = self.module.global_variables[global].space == AddressSpace::WorkGroup;
        let others = if in_group { &self.open } else { &self.storage };
        let known = others.iter().any(|other| self.uses[*other].0 == *touch);
        // What is open can come from elsewhere, and has not been compared with all that is open now.
        if known && !in_group {
            return;
        }
        let (mut race, mut own) = (None, None);
        for there in others.iter().map(|other| &self.uses[*other]).chain([&this]) {
            let other = &there.0;
            if !touch.matters_to(other) {
                continue;
            }
            // Of a write to a place of its own and a read of a neighbour's the read is what its author can do without.
            let read = if other.action == Action::Read { there } else { &this };
            self.pairs = self.pairs.saturating_add(1);
            let most = self.races.axes.unwrap_or(3);
            let apart = |among| touch.by.apart(&other.by, among, self.sides);
            let meets = if in_group {
                self.races.axes = Some(most);
                !apart(Among::Workgroup)
            } else {
                let axes = (1..=most).rev().find(|axes| apart(Among::Axes(*axes)));
                self.races.axes = axes.or(Some(1));
                axes.is_none()
            };
            if meets {
                let found = (read.1, read.0.by.index, read.0.action);
                race.get_or_insert(found);
                // Who meets itself need not hear of others.
                own = own.or(std::ptr::eq(there, &this).then_some(found));
            }
        }
        if !known {
            let number = self.uses.len();
            self.uses.push(this);
            if in_group { self.open.push(number) } else { self.storage.push(number) }
        }
        if let Some((site, index, action)) = own.or(race)
            && !self.reported.contains(&(site.at, global))
            && self.races.problems.len() < FINDINGS
        {
            self.reported.push((site.at, global));
            self.report(self.race(global, site, index, action));
        }
    }

    /// What the author is told of a use that may meet another.
    fn race(&self, global: Handle<GlobalVariable>, site: Site, index: Option<Form>, action: Action) -> Problem {
        let global = &self.module.global_variables[global];
        let text = site.place.to_range().and_then(|range| self.wgsl.get(range)).unwrap_or_default();
        let name = global.name.as_deref().unwrap_or("?");
        let told = Told { name, text, index, reads: action == Action::Read };
        let in_group = global.space == AddressSpace::WorkGroup;
        Problem::new(site.at, if in_group { told.group() } else { told.buffer(self.sides) })
    }

    /// The member of a buffer's struct, and the index of the outermost array that a pointer leads to; of arrays in arrays it
    /// counts what the innermost have.
    fn place(&self, global: Handle<GlobalVariable>, pointer: Handle<Expression>) -> (Option<u32>, Option<Form>) {
        let mut steps = Vec::new();
        let mut at = pointer;
        loop {
            match self.frame.function.expressions[at] {
                Expression::Access { base, index } => {
                    steps.push((self.frame.indices.of(index), None));
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
                (TypeInner::Array { base, .. }, Some((mut index, _))) => {
                    ty = *base;
                    while let TypeInner::Array { base, size: ArraySize::Constant(count), .. } =
                        self.module.types[ty].inner
                    {
                        let count = u64::from(count.get());
                        // Past its end nothing is touched.
                        let inner = steps.pop().map(|(inner, _)| inner).filter(|inner| inner.most < count);
                        let inner = inner.unwrap_or(Form::range(0, count - 1));
                        index = index.times(Scale::number(count), self.sides).plus(inner);
                        ty = base;
                    }
                    return (member, Some(index));
                }
                (TypeInner::Struct { .. } | TypeInner::Array { .. }, _) => return (member, None),
                _ => return (member, Some(Form::exactly(0))),
            }
        }
    }

    fn report(&mut self, problem: Problem) {
        if self.races.problems.len() < FINDINGS {
            self.races.problems.push(problem);
        }
    }
}

impl Touch {
    /// Whether the order of both could be seen if they were at one place.
    fn matters_to(&self, other: &Self) -> bool {
        let same = self.global == other.global
            && (self.member.is_none() || other.member.is_none() || self.member == other.member);
        same && match (self.action, other.action) {
            (Action::Read, Action::Read) => false,
            (Action::Atomic(one), Action::Atomic(two)) => one != two,
            _ => true,
        }
    }
}

/// Whether nobody comes out of the end of `block`.
fn leaves(block: &Block) -> bool {
    matches!(block.last(), Some(Statement::Return { .. } | Statement::Break | Statement::Continue))
}

fn join(open: &mut Vec<usize>, more: &[usize]) {
    open.extend_from_slice(more);
    open.sort_unstable();
    open.dedup();
}
