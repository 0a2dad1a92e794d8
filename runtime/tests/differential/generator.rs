//! Random shaders of the exact profile: what authors write (maps, stencils, reductions, scans, histograms), with bodies that
//! nobody would write.

use super::expression::{Scope, Ty, expression, index};
use super::random::Random;

/// Invocations of a workgroup.
const SIDES: [u32; 4] = [8, 32, 64, 128];

/// Those that fill no vector of lavapipe's.
const UNEVEN_SIDES: [u32; 5] = [1, 7, 20, 60, 100];

/// Words of `words` that an invocation has to itself.
pub(crate) const OWN_WORDS: u32 = 4;

/// How deep expressions nest: deeper ones take drivers long to compile, and find nothing more.
const EXPRESSION_DEPTH: u32 = 2;

/// A shader, in parts that may be left out one by one.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    head: String,
    functions: Vec<String>,
    start: String,
    /// Statements of `main`.
    pub(crate) body: Vec<String>,
    /// Invocations of a workgroup.
    pub(crate) side: u32,
}

impl Text {
    pub(crate) fn wgsl(&self) -> String {
        format!("{}{}{}{}}}\n", self.head, self.functions.concat(), self.start, self.body.concat())
    }
}

/// Declares what every shader has; `side` invocations a workgroup.
fn head(side: u32) -> String {
    format!(
        "struct Pair {{ a: u32, b: vec3<i32>, c: array<u32, 3> }}
struct Made {{ a: u32, x: i32, b: vec2<i32>, c: array<u32, 3>, d: u32 }}
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> bins: array<atomic<u32>, 16>;
@group(0) @binding(3) var<storage, read_write> signed_bins: array<atomic<i32>, 8>;
@group(0) @binding(4) var<storage, read> pairs: array<Pair>;
@group(0) @binding(5) var<storage, read_write> made: array<Made>;
var<workgroup> tile: array<u32, {side}>;
var<workgroup> tally: atomic<u32>;
var<workgroup> spoken: u32;
var<private> kept: u32 = 3u;
"
    )
}

/// What counters of loops grow by: a word of `source` that is 1, which no compiler knows.
const STEP: &str = "source[63u]";

/// A shader. Equal seeds give equal ones.
pub(crate) fn shader(seed: u64) -> Text {
    written(seed, STEP, &SIDES)
}

/// As [`shader`], with what Mesa 22.3's lavapipe computes wrongly:
/// - loops that a compiler can count. Where one has several exits it counts wrongly: of `while n < 4u { n += 1u; if n <= zero
///   { break; } }` it makes one iteration, or more than there are.
/// - workgroups that fill no vector of 8. With a barrier in a loop, the invocations of the last vector lose what comes after.
pub(crate) fn hard(seed: u64) -> Text {
    written(seed, "1u", if seed.is_multiple_of(2) { &SIDES } else { &UNEVEN_SIDES })
}

fn written(seed: u64, step: &'static str, sides: &[u32]) -> Text {
    let mut random = Random::new(seed);
    let random = &mut random;
    let side = *random.pick(sides);
    // What is large takes drivers long to compile.
    let arrays = random.chance(1, 4);
    let mut writer = Writer { random, functions: Vec::new(), names: 0, loops: 0, returns: false, kinds: (0, 0), step };
    writer.kinds = (writer.random.below(6) as usize, writer.random.below(6) as usize);
    let mut signatures = Vec::new();
    for _ in 0..writer.random.below(5) / 2 {
        writer.function(&mut signatures);
    }
    let start = format!(
        "@compute @workgroup_size({side})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32,
        @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
    var u = source[id.x];
    var s = bitcast<i32>(source[id.x + 17u]);
    var v = vec4<u32>(u, id.x, i, 7u);
    var w = vec3<i32>(s, -1, i32(id.x));
{}",
        if arrays { "    var grid: array<array<u32, 3>, 5>;\n    var pair: Pair = pairs[id.x];\n" } else { "" }
    );
    let variables = [("u", Ty::U32), ("s", Ty::I32), ("v", Ty::VecU(4)), ("w", Ty::VecI(3)), ("kept", Ty::U32)];
    let constants = [("id.x", Ty::U32), ("i", Ty::U32), ("group.x", Ty::U32), ("groups.x", Ty::U32)];
    let named = |names: &[(&str, Ty)]| names.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect::<Vec<_>>();
    let mut scope = Scope {
        variables: named(&variables),
        values: [named(&variables), named(&constants)].concat(),
        has_arrays: arrays,
        has_buffers: true,
        functions: signatures,
    };
    if arrays {
        scope.variables.push(("pair.a".to_owned(), Ty::U32));
        scope.values.push(("pair.b".to_owned(), Ty::VecI(3)));
    }
    let mut body = writer.phase(&mut scope, 3);
    match writer.random.below(7) {
        0 => body.extend(writer.reduction(&mut scope, side)),
        1 => body.extend(writer.scan(&mut scope, side)),
        2 => body.extend(writer.rounds(&mut scope, side)),
        3 => body.push(writer.stencil(&scope)),
        4 => body.extend(writer.spoken(&mut scope)),
        _ => writer.returns = true,
    }
    body.extend(writer.phase(&mut scope, 2));
    for own in 0..OWN_WORDS - 2 {
        let value = expression(writer.random, &scope, Ty::U32, EXPRESSION_DEPTH);
        body.push(format!("    words[id.x * {OWN_WORDS}u + {own}u] = {value};\n"));
    }
    body.push(format!("    words[id.x * {OWN_WORDS}u + 2u] = u ^ bitcast<u32>(s) ^ kept;\n"));
    body.push(format!("    words[id.x * {OWN_WORDS}u + 3u] = dot(v, v.yzwx) ^ bitcast<u32>(w.x - w.y * 3 + w.z);\n"));
    if arrays {
        body.push(
            "    made[id.x] = Made(pair.a, pair.b.z, pair.b.xy, pair.c, grid[1][2] ^ grid[4][u % 4u]);\n".to_owned(),
        );
    }
    Text { head: head(side), functions: writer.functions, start, body, side }
}

struct Writer<'a> {
    random: &'a mut Random,
    functions: Vec<String>,
    names: u32,
    /// Loops around.
    loops: u32,
    /// Whether invocations may return early: nobody waits any more.
    returns: bool,
    /// The atomic operation on `bins`, that on `signed_bins`.
    kinds: (usize, usize),
    /// What counters grow by.
    step: &'static str,
}

const ATOMICS: [&str; 6] = ["atomicAdd", "atomicMax", "atomicMin", "atomicAnd", "atomicOr", "atomicXor"];

impl Writer<'_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("x{}", self.names)
    }

    /// A function of numbers, one that is lent variables, or both.
    fn function(&mut self, signatures: &mut Vec<(String, Vec<Ty>, Ty)>) {
        let name = format!("f{}", self.functions.len());
        let result = *self.random.pick(&[Ty::U32, Ty::I32, Ty::VecU(3), Ty::Bool]);
        let parameters = vec![Ty::U32, Ty::any(self.random)];
        let mut scope = Scope {
            values: vec![("n".to_owned(), Ty::U32), ("m".to_owned(), parameters[1]), ("local".to_owned(), Ty::U32)],
            variables: vec![("local".to_owned(), Ty::U32)],
            functions: signatures.clone(),
            ..Scope::default()
        };
        let before = (std::mem::replace(&mut self.returns, false), std::mem::replace(&mut self.loops, 1));
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
    fn phase(&mut self, scope: &mut Scope, count: u64) -> Vec<String> {
        (0..1 + self.random.below(count)).map(|_| self.statement(scope, 2)).collect()
    }

    fn block(&mut self, scope: &mut Scope, count: u64, depth: u32) -> String {
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
                let accept = self.block(scope, 3, depth - 1);
                match self.random.below(5) {
                    0 if self.returns => format!("    if {condition} {{\n{accept}    return;\n    }}\n"),
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

    fn repeat(&mut self, scope: &mut Scope, depth: u32) -> String {
        self.loops += 1;
        let counter = self.name();
        let bound = expression(self.random, scope, Ty::U32, 2);
        let most = 2 + self.random.below(7);
        scope.values.push((counter.clone(), Ty::U32));
        let body = self.block(scope, 3, depth - 1);
        let leave = format!(
            "    if {} {{ {}; }}\n",
            expression(self.random, scope, Ty::Bool, 2),
            *self.random.pick(&["break", "continue"])
        );
        let rest = self.block(scope, 2, 0);
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

    fn reduction(&mut self, scope: &mut Scope, side: u32) -> Vec<String> {
        let value = expression(self.random, scope, Ty::U32, EXPRESSION_DEPTH);
        let half = side.next_power_of_two() / 2;
        // Where the side is no power of two the last ones are read past the end: zero.
        let guard = "i < d";
        let step = *self.random.pick(&[
            "tile[i] += tile[i + d];",
            "tile[i] = max(tile[i], tile[i + d]);",
            "tile[i] ^= tile[i + d] * 3u;",
        ]);
        let between = self.block(scope, 2, 1);
        vec![format!(
            "    tile[i] = {value};\n    workgroupBarrier();\n    for (var d = {half}u; d > 0u; d >>= 1u) {{\n    \
             if {guard} {{ {step} }}\n{between}    workgroupBarrier();\n    }}\n    u ^= tile[0];\n"
        )]
    }

    fn scan(&mut self, scope: &mut Scope, side: u32) -> Vec<String> {
        let value = expression(self.random, scope, Ty::U32, EXPRESSION_DEPTH);
        let between = self.block(scope, 2, 1);
        vec![format!(
            "    tile[i] = {value};\n    workgroupBarrier();\n    for (var d = 1u; d < {side}u; d <<= 1u) {{\n    var left = 0u;\n    \
             if i >= d {{ left = tile[i - d]; }}\n    workgroupBarrier();\n{between}    tile[i] += left;\n    workgroupBarrier();\n    }}\n    \
             v.y += tile[i];\n"
        )]
    }

    /// Everybody writes a place and reads another's, again and again, and adds to what nobody looks at before the end.
    fn rounds(&mut self, scope: &mut Scope, side: u32) -> Vec<String> {
        let count = 1 + self.random.below(4);
        let (value, at, more) = (
            expression(self.random, scope, Ty::U32, EXPRESSION_DEPTH),
            index(self.random, scope, u64::from(side), 2),
            expression(self.random, scope, Ty::U32, 2),
        );
        let (before, after, step) = (self.block(scope, 2, 1), self.block(scope, 2, 1), self.step);
        vec![format!(
            "    for (var d = 0u; d < {count}u + (source[3] & 1u); d += {step}) {{\n    tile[i] = ({value}) + d;\n    atomicAdd(&tally, {more});\n{before}    \
             workgroupBarrier();\n    s += i32(tile[{at}] % 1000u);\n    u += atomicLoad(&tally);\n{after}    workgroupBarrier();\n    }}\n"
        )]
    }

    fn stencil(&mut self, scope: &Scope) -> String {
        let (weight, step) = (expression(self.random, scope, Ty::U32, 2), self.step);
        format!(
            "    for (var d = 0u; d < 5u; d += {step}) {{ u += source[id.x + d - 2u] * ({weight}); w.x -= pairs[id.x + d].b.z; }}\n"
        )
    }

    fn spoken(&mut self, scope: &mut Scope) -> Vec<String> {
        let value = expression(self.random, scope, Ty::U32, EXPRESSION_DEPTH);
        let inside = self.block(scope, 2, 1);
        vec![format!(
            "    if i == 0u {{ spoken = {value}; }}\n    {{\n    let told = workgroupUniformLoad(&spoken);\n    if told % 2u == 0u {{\n    tile[i] = \
             told + i;\n    workgroupBarrier();\n    u += tile[(i * 7u + 1u) % arrayLength(&source)];\n{inside}    }}\n    v.x += told;\n    }}\n"
        )]
    }
}
