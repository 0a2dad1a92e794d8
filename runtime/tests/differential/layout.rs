//! Over what a shader is dispatched, and which places are an invocation's own: the patterns that the race check knows.

use super::random::Random;

/// Sides of workgroups over one, two and three axes: some fill vectors of 8, some do not.
const SIDES: [&[[u32; 3]]; 3] = [
    &[[8, 1, 1], [32, 1, 1], [64, 1, 1], [128, 1, 1], [8, 4, 1], [1, 1, 1], [7, 1, 1], [60, 1, 1]],
    &[[2, 4, 1], [4, 4, 1], [8, 8, 1], [16, 2, 1], [1, 8, 1], [3, 5, 1], [10, 2, 1]],
    &[[2, 2, 2], [4, 2, 2], [2, 4, 8], [8, 2, 2], [1, 2, 2], [5, 3, 2]],
];

/// The word of `source` that is a width.
pub(super) const WIDTH: &str = "source[62u]";

#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Invocations of a workgroup, by axis.
    pub(crate) sides: [u32; 3],
    /// Workgroups of the dispatch.
    pub(crate) groups: [u32; 3],
    /// What [`WIDTH`] is.
    pub(crate) width: u32,
    /// How many places there are.
    pub(crate) places: u32,
    /// Words of `words` that a place has.
    pub(crate) stride: u32,
    /// Axes along which it may be dispatched.
    pub(super) axes: usize,
    /// A function that `start` calls.
    pub(super) function: String,
    /// Declares `at`, the place of the invocation.
    pub(super) start: String,
    /// What must be below what, for an invocation to have one.
    guard: Vec<(&'static str, String)>,
}

impl Layout {
    pub(super) fn any(random: &mut Random) -> Self {
        let axes = *random.pick(&[1, 1, 1, 2, 2, 3]);
        let sides = *random.pick(SIDES[axes - 1]);
        let groups: [u32; 3] = std::array::from_fn(|axis| match axis < axes {
            true => 1 + random.below(5 - axes as u64) as u32,
            false => 1,
        });
        let [x, y, z] = [0, 1, 2].map(|axis| sides[axis] * groups[axis]);
        let width = 1 + random.below(u64::from(x) + 2) as u32;
        let mut layout = Self {
            sides,
            groups,
            width,
            places: x * y * z,
            stride: 4 + random.below(3) as u32,
            axes,
            function: String::new(),
            start: String::new(),
            guard: Vec::new(),
        };
        match axes {
            1 => layout.line(random),
            2 => layout.plane(random),
            _ => layout.space(random),
        }
        layout
    }

    fn line(&mut self, random: &mut Random) {
        let lane = format!("group.x * {}u + i", self.invocations());
        let alone = self.sides[1] == 1;
        let own = if alone && random.chance(2, 3) { "id.x" } else { &lane };
        self.start = format!("    let at = {own};\n");
        match random.below(5) {
            0 if alone => self.guard = vec![("id.x", format!("min({WIDTH}, 256u)"))],
            1 => self.guard = vec![("at", "arrayLength(&made)".to_owned())],
            _ => {}
        }
    }

    fn plane(&mut self, random: &mut Random) {
        let (width, across) = (self.width, self.sides[0]);
        let rows = self.sides[1] * self.groups[1];
        let choice = random.below(6);
        let row = match choice {
            0 => format!("    let at = id.y * {width}u + id.x;\n"),
            1 => {
                self.function = format!("fn place(x: u32, y: u32) -> u32 {{ return y * {width}u + x; }}\n");
                "    let at = place(id.x, id.y);\n".to_owned()
            }
            2 => format!("    let width = min({WIDTH}, 256u);\n    let at = id.y * width + id.x;\n"),
            3 | 4 => format!("    let width = groups.x * {across}u;\n    let at = id.y * width + id.x;\n"),
            _ => format!("    let at = (group.y * groups.x + group.x) * {}u + i;\n", self.invocations()),
        };
        self.start = row;
        if choice < 3 {
            self.places = width * rows;
            let bound = if choice == 2 { "width".to_owned() } else { format!("{width}u") };
            self.guard = vec![("id.x", bound)];
        }
        if random.chance(1, 3) {
            self.guard.push(("id.y", format!("{}u", 1 + random.below(u64::from(rows)))));
        }
    }

    fn space(&mut self, random: &mut Random) {
        let [x, y, _] = self.sides;
        let (width, layers) = (self.width, self.sides[2] * self.groups[2]);
        let height = 1 + random.below(u64::from(y * self.groups[1]) + 1) as u32;
        match random.below(3) {
            0 => {
                self.start = format!("    let at = (id.z * {height}u + id.y) * {width}u + id.x;\n");
                self.guard = vec![("id.x", format!("{width}u")), ("id.y", format!("{height}u"))];
                self.places = width * height * layers;
            }
            1 => {
                self.start = format!(
                    "    let width = groups.x * {x}u;\n    let at = (id.z * (groups.y * {y}u) + id.y) * width + id.x;\n"
                );
            }
            _ => {
                self.start = format!(
                    "    let at = ((group.z * groups.y + group.y) * groups.x + group.x) * {}u + i;\n",
                    self.invocations()
                );
            }
        }
    }

    /// Of a workgroup.
    pub(crate) fn invocations(&self) -> u32 {
        self.sides.iter().product()
    }

    /// Ways to say which invocation of its workgroup it is.
    pub(super) fn lane(&self, random: &mut Random) -> String {
        let [x, y, z] = self.sides;
        match random.below(2) {
            0 => "i".to_owned(),
            _ if z > 1 => format!("((local.z * {y}u + local.y) * {x}u + local.x)"),
            _ => format!("(local.y * {x}u + local.x)"),
        }
    }

    /// Whether an invocation has a place; `None` if all have.
    pub(super) fn inside(&self) -> Option<String> {
        self.compare("<", " && ")
    }

    pub(super) fn outside(&self) -> Option<String> {
        self.compare(">=", " || ")
    }

    fn compare(&self, op: &str, joined: &str) -> Option<String> {
        let all: Vec<_> = self.guard.iter().map(|(of, bound)| format!("{of} {op} {bound}")).collect();
        (!all.is_empty()).then(|| all.join(joined))
    }
}
