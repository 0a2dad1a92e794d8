//! Random statements and functions.

use super::expression::{Scope, Ty, expression, index};
use super::generator::EXPRESSION_DEPTH;
use super::random::Random;

pub(super) struct Writer<'a> {
    pub(super) random: &'a mut Random,
    pub(super) functions: Vec<String>,
    names: u32,
    /// Loops around.
    loops: u32,
    pub(super) returns: Returns,
    /// The atomic operation on `bins`, that on `signed_bins`.
    kinds: (usize, usize),
    /// What counters grow by.
    pub(super) step: &'static str,
}

/// Whether a function may be left early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    /// Somebody may wait.
    Never,
    Plain,
    /// With a value.
    Value(Ty),
}

const ATOMICS: [&str; 6] = ["atomicAdd", "atomicMax", "atomicMin", "atomicAnd", "atomicOr", "atomicXor"];

impl<'a> Writer<'a> {
    pub(super) fn new(random: &'a mut Random, step: &'static str) -> Self {
        let kinds = (random.below(6) as usize, random.below(6) as usize);
        Self { random, functions: Vec::new(), names: 0, loops: 0, returns: Returns::Never, kinds, step }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("x{}", self.names)
    }

    /// A function of numbers, one that is lent variables, or both.
    pub(super) fn function(&mut self, signatures: &mut Vec<(String, Vec<Ty>, Ty)>) {
        let name = format!("f{}", self.functions.len());
        let result = *self.random.pick(&[Ty::U32, Ty::I32, Ty::VecU(3), Ty::Bool]);
        let parameters = vec![Ty::U32, Ty::any(self.random)];
        let mut scope = Scope {
            values: vec![("n".to_owned(), Ty::U32), ("m".to_owned(), parameters[1]), ("local".to_owned(), Ty::U32)],
            variables: vec![("local".to_owned(), Ty::U32)],
            functions: signatures.clone(),
            ..Scope::default()
        };
        let returns = std::mem::replace(&mut self.returns, Returns::Value(result));
        let before = (returns, std::mem::replace(&mut self.loops, 1));
        let first = self.block(&mut scope.clone(), 2, 1);
        let early = format!(
            "    if {} {{ return {}; }}\n",
            expression(self.random, &scope, Ty::Bool, 2),
            expression(self.random, &scope, result, 2)
        );
        let second = self.block(&mut scope, 2, 1);
        let last = expression(self.random, &scope, result, EXPRESSION_DEPTH);
        (self.returns, self.loops) = before;
        self.functions.push(format!(
            "fn {name}(n: u32, m: {}) -> {} {{\n    var local = n;\n{first}{early}{second}    return {last};\n}}\n\
             fn lend_{name}(p: ptr<function, Pair>, q: ptr<function, array<array<u32, 3>, 5>>, n: u32, r: ptr<private, u32>) {{\n    \
             if n % 3u == 1u {{ (*p).a = n; return; }}\n    (*p).b.y += i32(n); (*q)[n][n % 3u] ^= (*p).c[n]; (*p).c[n % 4u] += 1u; *r += n;\n}}\n",
            parameters[1].name(),
            result.name(),
        ));
        signatures.push((name, parameters, result));
    }

    /// Statements of `main`, each by itself.
    pub(super) fn phase(&mut self, scope: &mut Scope, count: u64) -> Vec<String> {
        (0..1 + self.random.below(count)).map(|_| self.statement(scope, 2)).collect()
    }

    pub(super) fn block(&mut self, scope: &mut Scope, count: u64, depth: u32) -> String {
        let (values, variables) = (scope.values.len(), scope.variables.len());
        let text = (0..1 + self.random.below(count)).map(|_| self.statement(scope, depth)).collect();
        scope.values.truncate(values);
        scope.variables.truncate(variables);
        text
    }

    fn statement(&mut self, scope: &mut Scope, depth: u32) -> String {
        let e = |random: &mut Random, scope: &Scope, ty| expression(random, scope, ty, EXPRESSION_DEPTH);
        let choice = if depth == 0 { self.random.below(9) } else { self.random.below(16) };
        match choice {
            0 | 1 => {
                let (ty, name) = (Ty::any(self.random), self.name());
                let value = e(self.random, scope, ty);
                let kind = *self.random.pick(&["var", "let"]);
                // Before the name is known.
                let line = format!("    {kind} {name} = {value};\n");
                scope.values.push((name.clone(), ty));
                if kind == "var" {
                    scope.variables.push((name, ty));
                }
                line
            }
            2..5 => {
                let (name, ty) = self.random.pick(&scope.variables).clone();
                let value = e(self.random, scope, ty);
                let op = match ty {
                    Ty::Bool => "=",
                    _ => *self.random.pick(&["=", "=", "+=", "^=", "*=", "-=", "|="]),
                };
                format!("    {name} {op} {value};\n")
            }
            5 if scope.has_arrays => {
                let (row, column) = (index(self.random, scope, 5, 2), index(self.random, scope, 3, 2));
                format!("    grid[{row}][{column}] = {};\n", e(self.random, scope, Ty::U32))
            }
            6 if scope.has_arrays => match self.random.below(5) {
                0 => format!("    v[{}] = {};\n", index(self.random, scope, 4, 2), e(self.random, scope, Ty::U32)),
                1 => {
                    format!("    pair.b[{}] += {};\n", index(self.random, scope, 3, 2), e(self.random, scope, Ty::I32))
                }
                2 => format!("    pair = pairs[{}];\n", index(self.random, scope, 8, 2)),
                3 => format!("    grid[{}] = pair.c;\n", index(self.random, scope, 5, 2)),
                _ => {
                    format!("    pair.c[{}] ^= {};\n", index(self.random, scope, 3, 2), e(self.random, scope, Ty::U32))
                }
            },
            7 if scope.has_buffers => {
                let (value, number) = (e(self.random, scope, Ty::U32), e(self.random, scope, Ty::I32));
                let (bin, signed) = (index(self.random, scope, 16, 2), index(self.random, scope, 8, 2));
                let (one, two) = (ATOMICS[self.kinds.0], ATOMICS[self.kinds.1]);
                match self.random.chance(1, 2) {
                    true => format!("    {one}(&bins[{bin}], {value});\n"),
                    false => format!("    {two}(&signed_bins[{signed}], {number});\n"),
                }
            }
            8 if scope.has_arrays && !self.functions.is_empty() => {
                let function = self.random.below(self.functions.len() as u64);
                format!("    lend_f{function}(&pair, &grid, {}, &kept);\n", e(self.random, scope, Ty::U32))
            }
            9..12 => {
                let condition = e(self.random, scope, Ty::Bool);
                let accept = self.block(scope, 2, depth - 1);
                match self.random.below(5) {
                    0 if self.returns != Returns::Never => {
                        format!("    if {condition} {{\n{accept}    {};\n    }}\n", self.leave(scope))
                    }
                    0 | 1 => format!("    if {condition} {{\n{accept}    }}\n"),
                    _ => {
                        let reject = self.block(scope, 2, depth - 1);
                        format!("    if {condition} {{\n{accept}    }} else {{\n{reject}    }}\n")
                    }
                }
            }
            12 => {
                let ty = *self.random.pick(&[Ty::U32, Ty::I32]);
                let selector = e(self.random, scope, ty);
                let (one, two, other) =
                    (self.block(scope, 2, depth - 1), self.block(scope, 2, depth - 1), self.block(scope, 2, depth - 1));
                let leave = expression(self.random, scope, Ty::Bool, 2);
                format!(
                    "    switch ({selector}) % 5 {{\n    case 1, 3: {{\n{one}    }}\n    case 2: {{\n    if {leave} {{ break; }}\n{two}    }}\n    \
                     default: {{\n{other}    }}\n    }}\n"
                )
            }
            _ if depth > 0 && self.loops < 3 => self.repeat(scope, depth),
            _ => {
                let value = e(self.random, scope, Ty::U32);
                // The first is one, in functions and in `main`.
                let name = &scope.variables[0].0;
                format!("    {name} = {value};\n")
            }
        }
    }

    /// Leaves the function.
    fn leave(&mut self, scope: &Scope) -> String {
        match self.returns {
            Returns::Value(ty) => format!("return {}", expression(self.random, scope, ty, 1)),
            Returns::Plain | Returns::Never => "return".to_owned(),
        }
    }

    fn repeat(&mut self, scope: &mut Scope, depth: u32) -> String {
        self.loops += 1;
        let counter = self.name();
        let bound = expression(self.random, scope, Ty::U32, 2);
        let most = 2 + self.random.below(7);
        scope.values.push((counter.clone(), Ty::U32));
        let body = self.block(scope, 2, depth - 1);
        let condition = expression(self.random, scope, Ty::Bool, 2);
        let leave = match self.random.below(5) {
            0 if self.returns != Returns::Never => self.leave(scope),
            0..3 => "break".to_owned(),
            _ => "continue".to_owned(),
        };
        let leave = format!("    if {condition} {{ {leave}; }}\n");
        let rest = self.block(scope, 1, 0);
        let condition = expression(self.random, scope, Ty::Bool, 1);
        let step = self.step;
        scope.values.pop();
        self.loops -= 1;
        match self.random.below(3) {
            0 => format!(
                "    for (var {counter} = 0u; {counter} < ({bound}) % {most}u; {counter} += {step}) {{\n{body}{leave}{rest}    }}\n"
            ),
            1 => format!(
                "    {{\n    var {counter} = 0u;\n    while {counter} < {most}u {{\n    {counter} += {step};\n{body}{leave}{rest}    }}\n    }}\n"
            ),
            _ => format!(
                "    {{\n    var {counter} = 0u;\n    loop {{\n{body}{leave}{rest}    continuing {{\n    {counter} += {step};\n    \
                 break if {counter} > {most}u || {condition};\n    }}\n    }}\n    }}\n"
            ),
        }
    }
}
