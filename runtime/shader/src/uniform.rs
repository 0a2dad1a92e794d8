//! Which values all invocations of a workgroup share, and whether they reach every barrier together.
//!
//! WGSL demands the latter and naga checks only part of it: an invocation that does not come hangs the others on real hardware.
//! The analysis is stricter than WGSL's: a value is shared only if it stays so when invocations run out of their loop
//! budget at different times. What is assigned in a loop without a barrier, or returned by a function, is not shared.

use crate::limits::UNIFORM_PASSES;
use naga::{
    AddressSpace, Binding, Block, BuiltIn, Expression, Function, GlobalVariable, Handle, LocalVariable, Module, Span,
    Statement, StorageAccess,
};

use crate::barrier::Barriers;
use crate::refusal::Problem;
use crate::rewrite::operands;

/// What is known of one function.
pub(crate) struct Uniformity {
    /// Of each expression: all invocations of a workgroup have the same.
    shared: Vec<bool>,
}

impl Uniformity {
    /// Nothing is known.
    pub(crate) const fn unknown() -> Self {
        Self { shared: Vec::new() }
    }

    pub(crate) fn is_shared(&self, expression: Handle<Expression>) -> bool {
        self.shared.get(expression.index()).copied().unwrap_or(false)
    }
}

/// Refuses barriers that invocations may reach at different times, or not at all.
pub(crate) fn check(module: &Module, barriers: &Barriers) -> Result<(), Problem> {
    for (handle, function) in module.functions.iter() {
        if barriers.function(handle) {
            analyse(module, function, false, barriers)?;
        }
    }
    for entry in &module.entry_points {
        analyse(module, &entry.function, true, barriers)?;
    }
    Ok(())
}

/// What is shared in `function`.
pub(crate) fn analyse(
    module: &Module,
    function: &Function,
    entry: bool,
    barriers: &Barriers,
) -> Result<Uniformity, Problem> {
    let mut walk = Walk {
        module,
        function,
        entry,
        barriers,
        varying: vec![false; function.local_variables.len()],
        diverging: Vec::new(),
        shared: Vec::new(),
        together: true,
        targets: Vec::new(),
        loops: 0,
        returned: false,
        changed: true,
        problem: None,
    };
    for pass in 0.. {
        if !walk.changed {
            break;
        }
        if pass == UNIFORM_PASSES {
            walk.varying.fill(true);
            walk.diverging.fill(true);
        }
        walk.pass();
        if pass == UNIFORM_PASSES {
            break;
        }
    }
    match walk.problem {
        Some(problem) => Err(problem),
        None => Ok(Uniformity { shared: walk.shared }),
    }
}

/// The variable a pointer leads into.
pub(crate) enum Root {
    Global(Handle<GlobalVariable>),
    Local(Handle<LocalVariable>),
    Argument,
}

pub(crate) fn root(function: &Function, pointer: Handle<Expression>) -> Option<Root> {
    let mut at = pointer;
    loop {
        match function.expressions[at] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => at = base,
            Expression::GlobalVariable(global) => return Some(Root::Global(global)),
            Expression::LocalVariable(local) => return Some(Root::Local(local)),
            Expression::FunctionArgument(_) => return Some(Root::Argument),
            _ => return None,
        }
    }
}

/// Whether a shader can only read it.
pub(crate) fn read_only(module: &Module, global: Handle<GlobalVariable>) -> bool {
    let space = module.global_variables[global].space;
    matches!(space, AddressSpace::Storage { access } if !access.contains(StorageAccess::STORE))
}

/// What `break` and `continue` lead out of.
struct Target {
    /// The number of a loop; a `switch` has none.
    number: Option<usize>,
    /// Some invocations may have left already.
    diverged: bool,
}

struct Walk<'a> {
    module: &'a Module,
    function: &'a Function,
    entry: bool,
    barriers: &'a Barriers,
    /// Locals that may differ; only grows.
    varying: Vec<bool>,
    /// Loops, in the order of the text, that some invocations may leave before others; only grows.
    diverging: Vec<bool>,
    shared: Vec<bool>,
    /// Whether all invocations take the branches that lead here.
    together: bool,
    targets: Vec<Target>,
    loops: usize,
    returned: bool,
    changed: bool,
    problem: Option<Problem>,
}

impl Walk<'_> {
    fn pass(&mut self) {
        self.shared = vec![false; self.function.expressions.len()];
        for (handle, expression) in self.function.expressions.iter() {
            self.shared[handle.index()] = match expression {
                Expression::FunctionArgument(index) => self.shared_argument(*index),
                other => other.needs_pre_emit(),
            };
        }
        (self.together, self.returned, self.changed, self.loops) = (true, false, false, 0);
        self.block(&self.function.body);
    }

    fn shared_argument(&self, index: u32) -> bool {
        let binding = self.function.arguments.get(index as usize).and_then(|argument| argument.binding.as_ref());
        let shared = [BuiltIn::WorkGroupId, BuiltIn::NumWorkGroups, BuiltIn::WorkGroupSize];
        self.entry && matches!(binding, Some(Binding::BuiltIn(builtin)) if shared.contains(builtin))
    }

    /// Whether all invocations that started are here.
    fn complete(&self) -> bool {
        self.together && !self.returned && !self.targets.iter().any(|target| target.diverged)
    }

    fn block(&mut self, block: &Block) {
        for (statement, span) in block.span_iter() {
            if self.barriers.is(statement) && !self.complete() {
                self.refuse(
                    *span,
                    "not all invocations of a workgroup reach this barrier together: what decides about it must be the \
                     same for all (constants, workgroup_id, read-only buffers, workgroupUniformLoad), and not come from a \
                     loop without a barrier or from a function",
                );
            }
            self.statement(statement, *span);
        }
    }

    fn branch(&mut self, shared: bool, walk: impl FnOnce(&mut Self)) {
        let before = self.together;
        self.together &= shared;
        walk(self);
        self.together = before;
    }

    fn statement(&mut self, statement: &Statement, span: Span) {
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    self.shared[handle.index()] = self.value(handle);
                }
            }
            Statement::Block(block) => self.block(block),
            Statement::If { condition, accept, reject } => {
                self.branch(self.shared[condition.index()], |walk| {
                    walk.block(accept);
                    walk.block(reject);
                });
            }
            Statement::Switch { selector, cases } => {
                self.targets.push(Target { number: None, diverged: false });
                self.branch(self.shared[selector.index()], |walk| {
                    cases.iter().for_each(|case| walk.block(&case.body));
                });
                self.targets.pop();
            }
            Statement::Loop { body, continuing, break_if } => {
                let number = self.loops;
                self.loops += 1;
                if self.diverging.len() <= number {
                    self.diverging.push(false);
                }
                self.targets.push(Target { number: Some(number), diverged: self.diverging[number] });
                // Without a barrier, invocations may run out of their budget in it one by one.
                self.branch(self.barriers.in_loop(body, continuing), |walk| {
                    walk.block(body);
                    walk.block(continuing);
                    if break_if.is_some_and(|condition| !walk.shared[condition.index()]) {
                        walk.diverge(walk.targets.len() - 1);
                    }
                });
                self.targets.pop();
            }
            Statement::Break if !self.complete() => {
                if let Some(innermost) = self.targets.len().checked_sub(1) {
                    self.diverge(innermost);
                }
            }
            Statement::Continue if !self.complete() => {
                if let Some(innermost) = self.targets.iter().rposition(|target| target.number.is_some()) {
                    self.diverge(innermost);
                }
            }
            Statement::Return { .. } if !self.complete() => {
                self.returned = true;
                (0..self.targets.len()).for_each(|target| self.diverge(target));
            }
            Statement::Store { pointer, value } => {
                let same = self.complete() && self.shared[pointer.index()] && self.shared[value.index()];
                if !same {
                    self.vary(*pointer);
                }
            }
            Statement::Call { arguments, .. } => arguments.iter().for_each(|argument| self.vary(*argument)),
            Statement::WorkGroupUniformLoad { pointer, result } => {
                if !self.shared[pointer.index()] {
                    self.refuse(span, "workgroupUniformLoad reads a place that is not the same for all invocations");
                }
                self.shared[result.index()] = true;
            }
            _ => {}
        }
    }

    fn refuse(&mut self, span: Span, reason: &str) {
        self.problem.get_or_insert_with(|| Problem::new(span, reason));
    }

    fn diverge(&mut self, target: usize) {
        let target = &mut self.targets[target];
        target.diverged = true;
        if let Some(number) = target.number {
            self.changed |= !self.diverging[number];
            self.diverging[number] = true;
        }
    }

    /// The local that a pointer leads into may differ from now on.
    fn vary(&mut self, pointer: Handle<Expression>) {
        if let Some(Root::Local(local)) = root(self.function, pointer) {
            self.changed |= !self.varying[local.index()];
            self.varying[local.index()] = true;
        }
    }

    fn value(&self, handle: Handle<Expression>) -> bool {
        let expression = &self.function.expressions[handle];
        if let Expression::Load { pointer } = expression {
            let same = match root(self.function, *pointer) {
                Some(Root::Local(local)) => !self.varying[local.index()],
                Some(Root::Global(global)) => read_only(self.module, global),
                _ => false,
            };
            return same && self.shared[pointer.index()];
        }
        let mut same = true;
        operands(&mut expression.clone(), |operand| same &= self.shared[operand.index()]) && same
    }
}
