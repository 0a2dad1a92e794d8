//! What invocations do together, and what they leave behind.

use super::expression::{Scope, Ty, expression, index};
use super::generator::{EXPRESSION_DEPTH, tile_words};
use super::layout::Layout;
use super::statement::Writer;

impl Writer<'_> {
    /// Something with barriers.
    pub(super) fn together(&mut self, scope: &mut Scope, layout: &Layout) -> Vec<String> {
        match self.random.below(7) {
            0 => self.reduction(scope, layout),
            1 => self.scan(scope, layout),
            2 => self.rounds(scope, layout),
            3 => self.spoken(scope, layout),
            4 => self.strided(scope, layout),
            _ => self.tiled(scope, layout),
        }
    }

    /// A barrier; now and then one in each case of a `switch` that all of a dispatch take alike.
    fn barrier(&mut self) -> &'static str {
        match self.random.chance(1, 6) {
            true => "switch source[2] & 1u { case 0u: { workgroupBarrier(); } default: { workgroupBarrier(); } }",
            false => "workgroupBarrier();",
        }
    }

    fn word(&mut self, scope: &Scope) -> String {
        expression(self.random, scope, Ty::U32, EXPRESSION_DEPTH)
    }

    fn reduction(&mut self, scope: &mut Scope, layout: &Layout) -> Vec<String> {
        let (value, lane) = (self.word(scope), layout.lane(self.random));
        // Where the workgroup is no power of two the last ones find what nobody has written: zero.
        let half = layout.invocations().next_power_of_two() / 2;
        let step = *self.random.pick(&[
            "tile[i] += tile[i + d];",
            "tile[i] = max(tile[i], tile[i + d]);",
            "tile[i] ^= tile[i + d] * 3u;",
        ]);
        let between = self.block(scope, 2, 1);
        let wait = self.barrier();
        vec![format!(
            "    tile[{lane}] = {value};\n    {wait}\n    for (var d = {half}u; d > 0u; d >>= 1u) {{\n    \
             if i < d {{ {step} }}\n{between}    {wait}\n    }}\n    u ^= tile[0];\n"
        )]
    }

    fn scan(&mut self, scope: &mut Scope, layout: &Layout) -> Vec<String> {
        let (value, count) = (self.word(scope), layout.invocations());
        let between = self.block(scope, 2, 1);
        let wait = self.barrier();
        vec![format!(
            "    tile[i] = {value};\n    {wait}\n    for (var d = 1u; d < {count}u; d <<= 1u) {{\n    var left = 0u;\n    \
             if i >= d {{ left = tile[i - d]; }}\n    {wait}\n{between}    tile[i] += left;\n    {wait}\n    }}\n    \
             v.y += tile[i];\n"
        )]
    }

    /// Everybody writes a place and reads another's, again and again, and adds to what nobody looks at before the end.
    fn rounds(&mut self, scope: &mut Scope, layout: &Layout) -> Vec<String> {
        let count = 1 + self.random.below(4);
        let (value, more, lane) = (self.word(scope), self.word(scope), layout.lane(self.random));
        let at = index(self.random, scope, u64::from(layout.invocations()), 2);
        let (before, after, step) = (self.block(scope, 2, 1), self.block(scope, 2, 1), self.step);
        let wait = self.barrier();
        vec![format!(
            "    for (var d = 0u; d < {count}u + (source[3] & 1u); d += {step}) {{\n    tile[{lane}] = ({value}) + d;\n    \
             atomicAdd(&tally, {more});\n{before}    {wait}\n    s += i32(tile[{at}] % 1000u);\n    \
             u += atomicLoad(&tally);\n{after}    {wait}\n    }}\n"
        )]
    }

    fn spoken(&mut self, scope: &mut Scope, layout: &Layout) -> Vec<String> {
        let (value, lane) = (self.word(scope), layout.lane(self.random));
        let inside = self.block(scope, 2, 1);
        vec![format!(
            "    if i == 0u {{ spoken = {value}; }}\n    {{\n    let told = workgroupUniformLoad(&spoken);\n    if told % 2u == 0u {{\n    \
             tile[{lane}] = told + i;\n    workgroupBarrier();\n    u += tile[(i * 7u + 1u) % arrayLength(&source)];\n{inside}    }}\n    \
             v.x += told;\n    }}\n"
        )]
    }

    /// A workgroup fills more places than it has invocations.
    fn strided(&mut self, scope: &mut Scope, layout: &Layout) -> Vec<String> {
        let (value, words, count) = (self.word(scope), tile_words(layout), layout.invocations());
        let at = index(self.random, scope, u64::from(words), 2);
        let wait = self.barrier();
        vec![format!(
            "    for (var k = i; k < {words}u; k += {count}u) {{ tile[k] = ({value}) ^ k; }}\n    {wait}\n    \
             u += tile[{at}] + tile[i + 1u];\n"
        )]
    }

    /// A tile, with a border or by rows, between two barriers; neighbours look at it.
    fn tiled(&mut self, scope: &mut Scope, layout: &Layout) -> Vec<String> {
        let [x, y, z] = layout.sides;
        let value = self.word(scope);
        let (own, beside) = match self.random.below(3) {
            0 if z == 1 => {
                let at = format!("(local.y + 1u) * {}u + local.x + 1u", x + 2);
                (format!("tile[{at}]"), format!("tile[{at} - {}u] + tile[{at} + 1u]", x + 2))
            }
            1 if z == 1 => {
                let beside = format!("rows[local.y ^ 1u][local.x] + rows[{}u - local.y][local.x + 1u]", y - 1);
                ("rows[local.y][local.x]".to_owned(), beside)
            }
            _ => (format!("tile[{}]", layout.lane(self.random)), "tile[i ^ 1u] + tile[i + 1u]".to_owned()),
        };
        let between = self.block(scope, 2, 1);
        let wait = self.barrier();
        vec![format!(
            "    {own} = {value};\n    {own} ^= u;\n    {wait}\n{between}    u += {beside};\n    {wait}\n    \
             {own} += u;\n    u ^= {own};\n"
        )]
    }

    pub(super) fn stencil(&mut self, scope: &Scope) -> String {
        let (weight, step) = (self.word(scope), self.step);
        format!(
            "    for (var d = 0u; d < 5u; d += {step}) {{ u += source[at + d - 2u] * ({weight}); w.x -= pairs[id.x + d].b.z; }}\n"
        )
    }

    /// Writes to the words of the invocation's place.
    pub(super) fn own(&mut self, scope: &Scope, layout: &Layout) -> Vec<String> {
        let stride = layout.stride;
        let (first, second, third) = (self.word(scope), self.word(scope), self.word(scope));
        let mut own = vec![match self.random.below(3) {
            0 => format!("    add(at, {first});\n    put(at, {second});\n"),
            1 => format!("    words[at * {stride}u] ^= {first};\n    words[at * {stride}u + 1u] = {second};\n"),
            _ => format!("    put(at, {first});\n    words[at * {stride}u + (u & 3u)] += {second};\n"),
        }];
        own.push(format!("    words[at * {stride}u + 2u] = u ^ bitcast<u32>(s) ^ kept;\n"));
        own.push(format!("    words[at * {stride}u + 3u] = dot(v, v.yzwx) ^ bitcast<u32>(w.x - w.y * 3 + w.z);\n"));
        if self.random.chance(1, 3) {
            own.push(format!(
                "    for (var k = 0u; k < {stride}u; k++) {{ words[at * {stride}u + k] ^= ({third}) + k; }}\n"
            ));
        }
        if scope.has_arrays {
            own.push(
                "    made[at] = Made(pair.a, pair.b.z, pair.b.xy, pair.c, grid[1][2] ^ grid[4][u % 4u]);\n".to_owned(),
            );
        }
        own
    }

    /// Writes to `others`, by a pattern of its own.
    pub(super) fn others(&mut self, scope: &Scope, layout: &Layout) -> Option<String> {
        let value = self.word(scope);
        let along = layout.axes == 1 && layout.sides[1] == 1;
        let across = layout.sides[0];
        match self.random.below(6) {
            0 if along => Some(format!(
                "    for (var k = id.x; k < arrayLength(&others); k += groups.x * {across}u) {{ others[k] ^= ({value}) + k; }}\n"
            )),
            1 if along => Some(format!(
                "    if id.x < {across}u {{\n    for (var y = 0u; y < 4u; y++) {{ others[y * {across}u + id.x] = ({value}) ^ y; }}\n    }}\n"
            )),
            2 if layout.axes < 3 => {
                Some(format!("    if i == 0u {{ others[group.y * groups.x + group.x] = {value}; }}\n"))
            }
            _ => None,
        }
    }
}
