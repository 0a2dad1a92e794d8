//! What naga's validator refuses, in an author's words: names and types in place of handles, for the mistakes that people make. The
//! rest is in naga's own words. Nothing here decides anything: the module is refused already.

use naga::common::wgsl::{TryToWgsl, TypeContext as _};
use naga::proc::{GlobalCtx, ResolveContext, TypeResolution};
use naga::valid::{
    CallError, EntryPointError, ExpressionError, FunctionError, GlobalVariableError, LiteralError, TypeError,
    ValidationError, WidthError,
};
use naga::{
    AddressSpace, BinaryOperator, Expression, Function, GlobalVariable, Handle, Literal, Module, Type, TypeInner,
    UnaryOperator, WithSpan,
};

use crate::nesting;
use crate::refusal::Problem;
use crate::source::{chain, functions};
use crate::uniform::{Root, root};

/// The innermost place that naga names, and what is wrong there.
pub(crate) fn problem(module: &Module, wgsl: &str, error: &WithSpan<ValidationError>) -> Problem {
    let inner = error.as_inner();
    // From the outside in.
    let span = error.spans().last().map(|(span, _)| *span).unwrap_or_default();
    if let Some(width) = width(inner) {
        // Types that WGSL declares itself have no place.
        let places = [span, nesting::word(wgsl, name_of(width)), wide_number(module)];
        let span = places.into_iter().find(naga::Span::is_defined).unwrap_or_default();
        return Problem::new(span, too_wide(width));
    }
    let reason = match inner {
        ValidationError::Function { handle, source, .. } => {
            Scope { module, function: &module.functions[*handle] }.function(source)
        }
        ValidationError::EntryPoint { name, source, .. } => entry_point(module, name, source),
        ValidationError::GlobalVariable { handle, source, .. } => global(module, *handle, source),
        ValidationError::Type { name, source: TypeError::InvalidDynamicArray(member, _), .. } => {
            Some(format!("{member:?} has no constant size; only the last member of {name:?} may be such an array"))
        }
        _ => None,
    };
    Problem::new(span, reason.unwrap_or_else(|| in_its_words(inner)))
}

/// What naga says, without the numbers of what it speaks of.
fn in_its_words(error: &ValidationError) -> String {
    let said = match error {
        ValidationError::Function { source: FunctionError::Expression { source, .. }, .. }
        | ValidationError::EntryPoint {
            source: EntryPointError::Function(FunctionError::Expression { source, .. }),
            ..
        } => chain(source),
        ValidationError::Function { name, source, .. } => format!("function {name:?}: {}", chain(source)),
        ValidationError::EntryPoint { source, .. } => chain(source),
        ValidationError::GlobalVariable { name, source, .. } => format!("variable {name:?}: {}", chain(source)),
        ValidationError::Type { name, source, .. } => format!("type {name:?}: {}", chain(source)),
        other => chain(other),
    };
    without_handles(&said)
}

/// A text without every ` [123]` in it.
fn without_handles(text: &str) -> String {
    let mut pieces = text.split(" [");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix(']') {
            Some(rest) if rest.len() + 1 < piece.len() => kept += rest,
            _ => {
                kept += " [";
                kept += piece;
            }
        }
    }
    kept
}

fn width(error: &ValidationError) -> Option<&WidthError> {
    let function = match error {
        ValidationError::Type { source: TypeError::WidthError(width), .. } => return Some(width),
        ValidationError::ConstExpression { source: naga::valid::ConstExpressionError::Literal(literal), .. } => {
            return literal_width(literal);
        }
        ValidationError::ConstExpression { source: naga::valid::ConstExpressionError::Width(width), .. } => {
            return Some(width);
        }
        ValidationError::Function { source, .. } => source,
        ValidationError::EntryPoint { source: EntryPointError::Function(source), .. } => source,
        _ => return None,
    };
    match function {
        FunctionError::Expression { source: ExpressionError::Literal(literal), .. } => literal_width(literal),
        _ => None,
    }
}

const fn literal_width(literal: &LiteralError) -> Option<&WidthError> {
    match literal {
        LiteralError::Width(width) => Some(width),
        _ => None,
    }
}

const fn name_of(width: &WidthError) -> &str {
    match width {
        WidthError::MissingCapability { name, .. } => name,
        _ => "",
    }
}

/// Where the first number is written that is of no type which every adapter has.
fn wide_number(module: &Module) -> naga::Span {
    let wide = |expression: &Expression| match expression {
        Expression::Literal(literal) => matches!(literal, Literal::U64(_) | Literal::I64(_) | Literal::F64(_)),
        _ => false,
    };
    functions(module)
        .find_map(|f| {
            f.expressions.iter().find(|(_, expression)| wide(expression)).map(|(at, _)| f.expressions.get_span(at))
        })
        .unwrap_or_default()
}

fn too_wide(width: &WidthError) -> String {
    match width {
        WidthError::MissingCapability { name: name @ ("u64" | "i64"), .. } => {
            format!(
                "{name} is not allowed: not every adapter has it; the block \"wide\" has 64-bit integers as vec2<u32>"
            )
        }
        WidthError::MissingCapability { name, .. } => {
            format!("{name} is not allowed: not every adapter has it; numbers are i32, u32 or f32")
        }
        WidthError::Abstract => {
            "a number without a type meets one that has another; write its type, as in 2u, 2i or 2f".to_owned()
        }
        other => without_handles(&other.to_string()),
    }
}

fn entry_point(module: &Module, name: &str, error: &EntryPointError) -> Option<String> {
    match error {
        EntryPointError::Function(error) => {
            let entry = module.entry_points.iter().find(|entry| entry.name == name)?;
            Scope { module, function: &entry.function }.function(error)
        }
        EntryPointError::BindingCollision(again) => {
            let again = &module.global_variables[*again];
            let mut same = module.global_variables.iter().filter(|(_, other)| other.binding == again.binding);
            let (_, first) = same.next()?;
            let (one, two) = (first.name.as_deref()?, again.name.as_deref()?);
            Some(declared_twice(again.binding?.binding, one, two))
        }
        _ => None,
    }
}

/// Of two variables at one binding.
#[must_use]
pub fn declared_twice(binding: u32, one: &str, two: &str) -> String {
    format!("binding {binding} is declared twice, by {one:?} and {two:?}; give one of them another number")
}

fn global(module: &Module, handle: Handle<GlobalVariable>, error: &GlobalVariableError) -> Option<String> {
    let (GlobalVariableError::InvalidType(_) | GlobalVariableError::MissingTypeFlags { .. }) = error else {
        return None;
    };
    let global = &module.global_variables[handle];
    let ty = module.to_ctx().type_to_string(global.ty);
    let name = global.name.as_deref().unwrap_or("?");
    let may = match global.space {
        AddressSpace::Storage { .. } => "buffers hold numbers (a bool as a u32), vectors, arrays and structs of them",
        _ => "outside of buffers the size must be constant, and atomics are in workgroup variables only",
    };
    Some(format!("{name:?} cannot be of type {ty}; {may}"))
}

/// The function an error is in.
struct Scope<'a> {
    module: &'a Module,
    function: &'a Function,
}

impl Scope<'_> {
    fn function(&self, error: &FunctionError) -> Option<String> {
        match error {
            FunctionError::Expression { source, .. } => self.expression(source),
            FunctionError::InvalidCall {
                function,
                error: CallError::ArgumentType { index, required, seen_expression },
            } => self.argument(*function, *index, *required, *seen_expression),
            FunctionError::InvalidReturnType { expression, expected_ty } => self.returned(*expression, *expected_ty),
            FunctionError::InvalidStoreTypes { pointer, value } => {
                let (to, from) = (self.pointee(*pointer)?, self.type_of(*value)?);
                Some(format!("{from} is assigned to what is of type {to}"))
            }
            FunctionError::InvalidStorePointer(pointer) => self.read_only(*pointer),
            FunctionError::InvalidArgumentPointerSpace { name, .. } => Some(format!(
                "{name:?} points to what invocations share, which functions cannot be given; pass the index, and name the variable"
            )),
            FunctionError::InvalidIfType(condition) => {
                Some(format!("this condition is of type {}, and must be a bool", self.type_of(*condition)?))
            }
            _ => None,
        }
    }

    fn expression(&self, error: &ExpressionError) -> Option<String> {
        match error {
            ExpressionError::InvalidBinaryOperandTypes { op, lhs_expr, lhs_type, rhs_expr, rhs_type } => {
                let (left, right) = (self.type_of(*lhs_expr)?, self.type_of(*rhs_expr)?);
                Some(operands(*op, (&left, lhs_type), (&right, rhs_type)))
            }
            ExpressionError::InvalidUnaryOperandType(op, operand) => {
                let sign = match op {
                    UnaryOperator::Negate => "-",
                    UnaryOperator::LogicalNot => "!",
                    UnaryOperator::BitwiseNot => "~",
                };
                Some(format!("there is no {sign} of {}", self.type_of(*operand)?))
            }
            ExpressionError::InvalidCastArgument => {
                Some("there is no such conversion; i32(..), u32(..), f32(..) and bool(..) convert numbers".to_owned())
            }
            ExpressionError::InvalidPointerType(pointer) => {
                Some(format!("{} has no constant size and is not read as a whole; index it", self.pointee(*pointer)?))
            }
            ExpressionError::InvalidArrayType(array) => Some(format!(
                "arrayLength is of an array without a size, and this is of type {}",
                self.pointee(*array)?
            )),
            ExpressionError::IndexOutOfBounds(base, index) => {
                Some(format!("index {index} is past the end of {}", self.pointee(*base)?))
            }
            ExpressionError::NegativeIndex(base) => {
                Some(format!("a negative number is no index of {}", self.pointee(*base)?))
            }
            ExpressionError::InvalidIndexType(index) => {
                Some(format!("an index is an i32 or u32, and this is of type {}", self.type_of(*index)?))
            }
            _ => None,
        }
    }

    fn argument(
        &self,
        callee: Handle<Function>,
        index: usize,
        required: Handle<Type>,
        given: Handle<Expression>,
    ) -> Option<String> {
        let callee = &self.module.functions[callee];
        let (name, argument) = (callee.name.as_deref()?, callee.arguments.get(index)?.name.as_deref()?);
        let (takes, given) = (self.types().type_to_string(required), self.type_of(given)?);
        Some(format!("{name:?} takes {argument}: {takes}, and is given {given} here"))
    }

    fn returned(&self, value: Option<Handle<Expression>>, declared: Option<Handle<Type>>) -> Option<String> {
        let name = self.function.name.as_deref().unwrap_or("main");
        let declared = declared.map(|ty| self.types().type_to_string(ty));
        Some(match (value, declared) {
            (Some(value), Some(declared)) => {
                format!("{} is returned from {name:?}, which returns {declared}", self.type_of(value)?)
            }
            (Some(value), None) => format!("{} is returned from {name:?}, which returns nothing", self.type_of(value)?),
            (None, Some(declared)) => format!("{name:?} returns {declared}, and has a way through it without a return"),
            (None, None) => return None,
        })
    }

    fn read_only(&self, pointer: Handle<Expression>) -> Option<String> {
        let Some(Root::Global(global)) = root(self.function, pointer) else { return None };
        let name = self.module.global_variables[global].name.as_deref()?;
        Some(format!("{name:?} can only be read; to write it, declare it as var<storage, read_write>"))
    }

    fn types(&self) -> GlobalCtx<'_> {
        self.module.to_ctx()
    }

    fn type_of(&self, expression: Handle<Expression>) -> Option<String> {
        Some(self.types().type_resolution_to_string(&self.resolve(expression)?))
    }

    /// The type of what a pointer leads to, or of what is no pointer.
    fn pointee(&self, expression: Handle<Expression>) -> Option<String> {
        let ty = self.resolve(expression)?;
        let base = ty.inner_with(&self.module.types).pointer_base_type();
        Some(self.types().type_resolution_to_string(base.as_ref().unwrap_or(&ty)))
    }

    /// What naga itself takes an expression for.
    fn resolve(&self, wanted: Handle<Expression>) -> Option<TypeResolution> {
        let context =
            ResolveContext::with_locals(self.module, &self.function.local_variables, &self.function.arguments);
        let mut known: Vec<TypeResolution> = Vec::with_capacity(wanted.index() + 1);
        for (_, expression) in self.function.expressions.iter().take(wanted.index() + 1) {
            let ty = context.resolve(expression, |past| Ok(&known[past.index()])).ok()?;
            known.push(ty);
        }
        known.pop()
    }
}

fn operands(
    op: BinaryOperator,
    (left, left_type): (&str, &TypeInner),
    (right, right_type): (&str, &TypeInner),
) -> String {
    let (sign, scalar) =
        (naga::back::binary_operation_str(op), |ty: &TypeInner| ty.scalar().and_then(TryToWgsl::try_to_wgsl));
    match (scalar(left_type), scalar(right_type)) {
        (Some(one), Some(other)) if one != other => {
            format!("{left} {sign} {right}: {one} and {other} do not mix; convert one, as in {one}(..)")
        }
        _ => format!("there is no {left} {sign} {right}"),
    }
}
