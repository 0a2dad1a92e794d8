//! One function, read once: an abstract interpretation of its operand stack.
//!
//! wasmparser's own validator goes along, so types, heights and what `unreachable` does to both are its business.

use std::collections::HashSet;

use wasmparser::{
    BlockType, FrameKind, FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, ValType,
    ValidatorResources, WasmModuleResources,
};

use super::Refusal;
use super::float::{Role, role};
use super::values::{Canon, Signature, Value, Values};
use crate::limits::{FRAME_SLOTS, STACK_SLOTS};

/// What was found in a function.
pub(super) struct Body {
    /// What to canonicalise, ordered by place; known when all functions were read.
    pub(super) canon: Vec<Canon>,
    /// All calls, ordered by place.
    pub(super) calls: Vec<Call>,
    /// Slots of logical stack a call of it takes.
    pub(super) slots: u32,
    /// Parameters and declared locals; the index of the first one that could be added.
    pub(super) locals: u32,
    /// Functions whose reference it takes.
    pub(super) references: Vec<u32>,
}

/// A call in a function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// Offsets in the function's body.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) target: Target,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// A function's index.
    Function(u32),
    /// Whatever the table holds of this type's index.
    OfType(u32),
}

/// What is handed on from one function to the next.
pub(super) struct Reader {
    /// Functions that others than direct calls reach: exported, in a table, or the start function.
    pub(super) open: HashSet<u32>,
    /// Functions the module imports.
    pub(super) imported: u32,
    pub(super) values: Values,
    pub(super) allocations: FuncValidatorAllocations,
}

/// Reads the next function.
///
/// # Errors
/// If it is not valid, or its frame alone is larger than the stack may be.
pub(super) fn read(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    reader: &mut Reader,
) -> Result<Body, Refusal> {
    let (ty, index) = (function.ty, function.index);
    let validator = function.into_validator(std::mem::take(&mut reader.allocations));
    let signature = reader.signature(index, validator.resources());
    let result = signature.as_ref().and_then(|signature| signature.result);
    reader.values.begin(signature);
    let parameters = validator.resources().sub_type_at(ty).map_or(&[][..], |ty| ty.unwrap_func().params());
    let parameter_slots = parameters.iter().map(|ty| slots(*ty)).sum();
    let parameters = parameters.len() as u32;
    let mut walk = Walk {
        validator,
        reader,
        parameters,
        frame_slots: 0,
        stack: Vec::new(),
        height_slots: 0,
        max_slots: 0,
        frames: vec![Frame { joint: result, is_loop: false }],
        calls: Vec::new(),
        references: Vec::new(),
    };

    walk.frame_slots = FRAME_SLOTS.saturating_add(parameter_slots);
    let mut locals = body.get_locals_reader()?;
    for _ in 0..locals.get_count() {
        let offset = locals.original_position();
        let (count, ty) = locals.read()?;
        walk.validator.define_locals(offset, count, ty)?;
        walk.frame_slots = walk.frame_slots.saturating_add(count.saturating_mul(slots(ty)));
    }
    walk.check_slots()?;

    let start = body.range().start;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        let place =
            Place { offset, start: (offset - start) as u32, end: (operators.original_position() - start) as u32 };
        walk.step(&operator, place)?;
    }
    operators.finish()?;

    let Walk { validator, reader, calls, references, frame_slots, max_slots, .. } = walk;
    let locals = validator.len_locals();
    reader.allocations = validator.into_allocations();
    let slots = frame_slots + max_slots;
    Ok(Body { canon: Vec::new(), calls, slots, locals, references })
}

impl Reader {
    /// What crosses the edge of a function, if only direct calls do.
    fn signature(&mut self, index: u32, resources: &ValidatorResources) -> Option<Signature> {
        if index < self.imported || self.open.contains(&index) {
            return None;
        }
        let ty = resources.sub_type_at_id(resources.type_id_of_function(index)?).unwrap_func();
        Some(self.values.signature(index, || {
            let parameters = ty.params().iter().map(|ty| is_float(*ty)).collect();
            (parameters, matches!(ty.results(), [ty] if is_float(*ty)))
        }))
    }
}

struct Walk<'a> {
    validator: FuncValidator<ValidatorResources>,
    reader: &'a mut Reader,
    parameters: u32,
    /// Of the frame without the operand stack.
    frame_slots: u32,
    /// As high as the validator's own stack.
    stack: Vec<Entry>,
    height_slots: u32,
    max_slots: u32,
    /// As high as the validator's own control stack.
    frames: Vec<Frame>,
    calls: Vec<Call>,
    references: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    value: Value,
    slots: u32,
}

/// A block. Where it has exactly one float result, `joint` is that; all else that crosses its edges is wanted exact.
struct Frame {
    /// Its result.
    joint: Option<Value>,
    /// A branch to it goes to its start.
    is_loop: bool,
}

/// Where an instruction is.
#[derive(Clone, Copy)]
struct Place {
    /// In the module.
    offset: usize,
    /// In the function's body.
    start: u32,
    end: u32,
}

impl Walk<'_> {
    fn step(&mut self, operator: &Operator<'_>, place: Place) -> Result<(), Refusal> {
        use Operator as O;

        let arity = operator.operator_arity(&self.validator.visitor(place.offset));
        let Some((pops, _)) = arity else {
            return self.accept(operator, place, &[]);
        };
        match operator {
            O::Block { blockty } | O::Loop { blockty } | O::If { blockty } => {
                self.take_exact(pops);
                let joint = self.has_one_float(*blockty).then(|| self.reader.values.joint());
                self.frames.push(Frame { joint, is_loop: matches!(operator, O::Loop { .. }) });
                self.accept(operator, place, &[])
            }
            O::Else => {
                let joint = self.frames.last().and_then(|frame| frame.joint);
                self.take_into(joint, pops);
                self.accept(operator, place, &[])
            }
            O::End => {
                let joint = self.frames.pop().and_then(|frame| frame.joint);
                let kind = self.validator.get_control_frame(0).map(|frame| frame.kind);
                self.take_into(joint, pops);
                // The end of the function is no place to put its result right.
                let Some(joint) = joint.filter(|_| !self.frames.is_empty()) else {
                    return self.accept(operator, place, &[]);
                };
                if kind == Some(FrameKind::If) {
                    // There is no `else`, so the result may be the parameter.
                    self.reader.values.flow(Values::EXACT, joint);
                }
                self.reader.values.place(joint, place.end);
                self.accept(operator, place, &[joint])
            }
            O::Br { relative_depth } => {
                self.branch(*relative_depth, pops);
                self.accept(operator, place, &[])
            }
            O::Return => {
                self.branch(self.frames.len().saturating_sub(1) as u32, pops);
                self.accept(operator, place, &[])
            }
            O::BrIf { relative_depth } => {
                self.pop();
                self.branch(*relative_depth, pops - 1);
                // What the branch would have taken along stays.
                self.accept(operator, place, &[])
            }
            O::BrTable { targets } => {
                self.pop();
                for depth in targets.targets() {
                    self.branch(depth?, pops - 1);
                }
                self.branch(targets.default(), pops - 1);
                self.accept(operator, place, &[])
            }
            O::LocalGet { local_index } => {
                let value = match self.is_float_local(*local_index) {
                    false => Values::EXACT,
                    true => {
                        let local = self.local(*local_index);
                        let value = self.reader.values.joint();
                        self.reader.values.place(value, place.end);
                        self.reader.values.flow(local, value);
                        value
                    }
                };
                self.accept(operator, place, &[value])
            }
            O::LocalSet { local_index } | O::LocalTee { local_index } => {
                let value = self.pop();
                if self.is_float_local(*local_index) {
                    let local = self.local(*local_index);
                    self.reader.values.flow(value, local);
                }
                let stays = matches!(operator, O::LocalTee { .. });
                self.accept(operator, place, &[value][..usize::from(stays)])
            }
            O::Drop => {
                self.pop();
                self.accept(operator, place, &[])
            }
            O::Select | O::TypedSelect { .. } => {
                self.pop();
                let (b, a) = (self.pop(), self.pop());
                let value = if (a, b) == (Values::EXACT, Values::EXACT) {
                    Values::EXACT
                } else {
                    let value = self.reader.values.joint();
                    self.reader.values.place(value, place.end);
                    self.reader.values.flow(a, value);
                    self.reader.values.flow(b, value);
                    value
                };
                self.accept(operator, place, &[value])
            }
            O::Call { function_index } => {
                self.note(operator, place);
                let signature = self.reader.signature(*function_index, self.validator.resources());
                let Signature { parameters, result } = signature.unwrap_or_default();
                for index in (0..pops as usize).rev() {
                    let value = self.pop();
                    match parameters.get(index).copied().flatten() {
                        Some(parameter) => self.reader.values.flow(value, parameter),
                        None => self.reader.values.demand(value, None),
                    }
                }
                let Some(result) = result else { return self.accept(operator, place, &[]) };
                let value = self.reader.values.joint();
                self.reader.values.place(value, place.end);
                self.reader.values.flow(result, value);
                self.accept(operator, place, &[value])
            }
            _ => {
                self.note(operator, place);
                let value = match role(operator) {
                    None => {
                        self.take_exact(pops);
                        return self.accept(operator, place, &[]);
                    }
                    Some(Role::Computes { takes, gives }) => {
                        for _ in 0..pops {
                            let value = self.pop();
                            self.reader.values.demand(value, takes);
                        }
                        self.reader.values.produced(gives, place.end)
                    }
                    Some(Role::Moves(ways)) => {
                        let moved = self.reader.values.joint();
                        self.reader.values.place(moved, place.end);
                        for way in ways.iter().rev() {
                            let value = self.pop();
                            match way {
                                Some(via) => self.reader.values.move_bits(value, moved, *via),
                                None => self.reader.values.demand(value, None),
                            }
                        }
                        moved
                    }
                };
                self.accept(operator, place, &[value])
            }
        }
    }

    /// Remembers calls and references to functions.
    fn note(&mut self, operator: &Operator<'_>, place: Place) {
        let target = match operator {
            Operator::Call { function_index } => Target::Function(*function_index),
            Operator::CallIndirect { type_index, .. } => Target::OfType(*type_index),
            Operator::RefFunc { function_index } => return self.references.push(*function_index),
            _ => return,
        };
        self.calls.push(Call { start: place.start, end: place.end, target });
    }

    /// Lets the validator do the instruction and brings the stack to the height it then has: `known` are the values
    /// it pushed, of anything else it pushed all bits are specified.
    fn accept(&mut self, operator: &Operator<'_>, place: Place, known: &[Value]) -> Result<(), Refusal> {
        self.validator.op(place.offset, operator)?;
        let height = self.validator.operand_stack_height() as usize;
        while self.stack.len() > height {
            self.pop_entry();
        }
        while self.stack.len() < height {
            let depth = height - self.stack.len() - 1;
            let known_at = known.len().checked_sub(depth + 1);
            let value = known_at.map_or(Values::EXACT, |at| known[at]);
            let slots = self.validator.get_operand_type(depth).flatten().map_or(1, slots);
            self.stack.push(Entry { value, slots });
            self.height_slots = self.height_slots.saturating_add(slots);
        }
        self.max_slots = self.max_slots.max(self.height_slots);
        self.check_slots()
    }

    fn check_slots(&self) -> Result<(), Refusal> {
        let got = self.frame_slots.saturating_add(self.max_slots);
        Refusal::bound("stack slots in one function", got.into(), STACK_SLOTS.into())
    }

    /// Where the values on top of the stack go when a branch to the block `depth` is taken.
    fn branch(&mut self, depth: u32, operands: u32) {
        let frame = self.frames.len().checked_sub(depth as usize + 1).and_then(|at| self.frames.get(at));
        let joint = frame.filter(|frame| !frame.is_loop).and_then(|frame| frame.joint);
        let from = self.floor().max(self.stack.len().saturating_sub(operands as usize));
        for entry in &mut self.stack[from..] {
            match joint {
                Some(joint) => self.reader.values.flow(entry.value, joint),
                None => {
                    self.reader.values.demand(entry.value, None);
                    // It is exact from where it arose; the next branch need not ask again.
                    entry.value = Values::EXACT;
                }
            }
        }
    }

    /// Pops the results of a block.
    fn take_into(&mut self, joint: Option<Value>, results: u32) {
        match joint {
            None => self.take_exact(results),
            Some(joint) => {
                let value = self.pop();
                self.reader.values.flow(value, joint);
            }
        }
    }

    fn take_exact(&mut self, operands: u32) {
        for _ in 0..operands {
            let value = self.pop();
            self.reader.values.demand(value, None);
        }
    }

    /// In code that is never reached there may be less on the stack than is popped.
    fn pop(&mut self) -> Value {
        if self.stack.len() <= self.floor() {
            return Values::PLAIN;
        }
        self.pop_entry()
    }

    fn pop_entry(&mut self) -> Value {
        let Some(entry) = self.stack.pop() else { return Values::PLAIN };
        self.height_slots = self.height_slots.saturating_sub(entry.slots);
        entry.value
    }

    /// Height of the stack at the start of the innermost block.
    fn floor(&self) -> usize {
        self.validator.get_control_frame(0).map_or(0, |frame| frame.height)
    }

    fn local(&mut self, index: u32) -> Value {
        self.reader.values.local(index, index < self.parameters)
    }

    fn is_float_local(&self, index: u32) -> bool {
        self.validator.get_local_type(index).is_some_and(is_float)
    }

    fn has_one_float(&self, block: BlockType) -> bool {
        match block {
            BlockType::Empty => false,
            BlockType::Type(ty) => is_float(ty),
            BlockType::FuncType(ty) => self
                .validator
                .resources()
                .sub_type_at(ty)
                .is_some_and(|ty| matches!(ty.unwrap_func().results(), [ty] if is_float(*ty))),
        }
    }
}

fn is_float(ty: ValType) -> bool {
    matches!(ty, ValType::F32 | ValType::F64 | ValType::V128)
}

/// Slots of 8 bytes.
fn slots(ty: ValType) -> u32 {
    if ty == ValType::V128 { 2 } else { 1 }
}
