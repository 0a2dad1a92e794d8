//! What is there before `main` starts: built-in values, constants, variables of the module.

use naga::{AddressSpace, Binding, BuiltIn, EntryPoint, Expression, TypeInner};

use super::super::Input;
use super::super::op::{Memory, Op, Reg};
use super::place::At;
use super::{Known, Lower};
use crate::limits::{REFERENCE_REGISTERS, TRAP_BINDING};
use crate::refusal::Problem;

impl<'a> Lower<'a> {
    pub(super) fn entry(&mut self, entry: &'a EntryPoint) -> Result<Vec<(Input, Reg)>, Problem> {
        let mut inputs = Vec::new();
        let mut arguments = Vec::new();
        for argument in &entry.function.arguments {
            let mut words = Vec::new();
            match (&argument.binding, &self.module.types[argument.ty].inner) {
                (Some(binding), _) => self.input(binding, &mut inputs, &mut words)?,
                (None, TypeInner::Struct { members, .. }) => {
                    for binding in members.iter().filter_map(|member| member.binding.as_ref()) {
                        self.input(binding, &mut inputs, &mut words)?;
                    }
                }
                _ => return Err(self.refuse("an argument of main is no built-in value")),
            }
            arguments.push(Known::Value(words));
        }
        self.constant_values()?;
        self.variables()?;
        let info = self.info.get_entry_point(0);
        self.function(&entry.function, info, arguments, Vec::new())?;
        self.push(Op::End)?;
        Ok(inputs)
    }

    fn input(
        &mut self,
        binding: &Binding,
        inputs: &mut Vec<(Input, Reg)>,
        words: &mut Vec<Reg>,
    ) -> Result<(), Problem> {
        let (input, count) = match binding {
            Binding::BuiltIn(BuiltIn::GlobalInvocationId) => (Input::GlobalInvocationId, 3),
            Binding::BuiltIn(BuiltIn::LocalInvocationId) => (Input::LocalInvocationId, 3),
            Binding::BuiltIn(BuiltIn::LocalInvocationIndex) => (Input::LocalInvocationIndex, 1),
            Binding::BuiltIn(BuiltIn::WorkGroupId) => (Input::WorkgroupId, 3),
            Binding::BuiltIn(BuiltIn::NumWorkGroups) => (Input::NumWorkgroups, 3),
            _ => return Err(self.refuse("this built-in value of main depends on the adapter")),
        };
        let first = self.take(count)?;
        inputs.push((input, first));
        words.extend(first..first + count);
        Ok(())
    }

    /// Registers for the module's constants, in which operands come before what uses them.
    fn constant_values(&mut self) -> Result<(), Problem> {
        let mut needed = vec![false; self.module.global_expressions.len()];
        for (_, variable) in self.module.global_variables.iter() {
            if let Some(init) = variable.init {
                needed[init.index()] = true;
            }
        }
        // What functions use of them is known when they are lowered; those are few enough to make all.
        for (_, constant) in self.module.constants.iter() {
            needed[constant.init.index()] = true;
        }
        for (handle, expression) in self.module.global_expressions.iter().rev() {
            if needed[handle.index()] {
                if let Expression::Constant(constant) = expression {
                    needed[self.module.constants[*constant].init.index()] = true;
                }
                crate::rewrite::operands(&mut expression.clone(), |operand| needed[operand.index()] = true);
            }
        }
        for (handle, expression) in self.module.global_expressions.iter() {
            if !needed[handle.index()] {
                continue;
            }
            // Floats of a constant that the shader has no use for, arrays past what fits: looked at where they are used.
            self.values[handle.index()] = match expression {
                Expression::Literal(literal) => self.literal(*literal).ok().map(|word| vec![word]),
                Expression::Constant(constant) => self.values[self.module.constants[*constant].init.index()].clone(),
                Expression::ZeroValue(ty) => self.zeros(&self.module.types[*ty].inner).ok(),
                // Looked at first: of a few words of text it could be any number.
                Expression::Compose { ty, .. } if self.words(&self.module.types[*ty].inner).is_err() => None,
                Expression::Compose { components, .. } => {
                    let parts = components.iter().map(|part| self.values[part.index()].clone());
                    parts.collect::<Option<Vec<_>>>().map(|parts| parts.concat())
                }
                Expression::Splat { size, value } => {
                    self.values[value.index()].as_ref().map(|value| value.repeat(*size as usize))
                }
                _ => None,
            };
            let words = self.values[handle.index()].as_ref().map_or(0, Vec::len);
            self.spend(u32::try_from(words).unwrap_or(u32::MAX))?;
        }
        Ok(())
    }

    /// Places for variables of the module, and the initial values of those that an invocation has to itself.
    fn variables(&mut self) -> Result<(), Problem> {
        for (handle, variable) in self.module.global_variables.iter() {
            self.span = self.module.global_variables.get_span(handle);
            let inner = &self.module.types[variable.ty].inner;
            let at = match variable.space {
                AddressSpace::Private => {
                    let words = self.words(inner)?;
                    let base = self.take(words)?;
                    let init = variable.init.map(|init| self.values[init.index()].clone());
                    match init {
                        None => self.fill(base, words)?,
                        Some(Some(init)) => self.copy(base, &init)?,
                        Some(None) => return Err(self.refuse("this initial value is not a constant of integers")),
                    }
                    At::Registers { base, room: words }
                }
                AddressSpace::WorkGroup => {
                    let (base, words) = (self.workgroup_words, self.words(inner)?);
                    self.workgroup_words = base.saturating_add(words);
                    if self.workgroup_words > REFERENCE_REGISTERS {
                        return Err(self.too_large());
                    }
                    At::Memory { memory: Memory::Workgroup, base }
                }
                AddressSpace::Storage { .. } => match &variable.binding {
                    Some(binding) if binding.binding == TRAP_BINDING => At::Trap,
                    Some(binding) => {
                        let slot = u16::try_from(self.bindings.len()).ok().ok_or_else(|| self.too_large())?;
                        self.bindings.push(binding.binding);
                        At::Memory { memory: Memory::Buffer(slot), base: 0 }
                    }
                    None => return Err(self.refuse("a buffer has no binding")),
                },
                _ => return Err(self.refuse("a variable is in no private, workgroup or storage address space")),
            };
            self.globals[handle.index()] = Some(at);
        }
        Ok(())
    }
}
