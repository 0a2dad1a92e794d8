//! Why a call is refused: the status that a guest is told, and a sentence for its author.

use p2c2r_abi::status;

use super::interface::along;
use super::limits::{BUFFER_BYTES, NAMED_SHADERS, WORKGROUPS_PER_DIMENSION};

/// Why a call is refused. A guest is told [`Self::status`], and nothing else depends on it; the sentence is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0} bytes; a buffer has a positive multiple of 4")]
    Bytes(i64),
    #[error("{live} buffers are live, as many as the manifest's gpu.buffers allows")]
    Buffers { live: usize },
    #[error("{bytes} bytes, at most {BUFFER_BYTES} are allowed in one buffer")]
    Large { bytes: u64 },
    #[error("{bytes} bytes beside {live} that are live pass the manifest's gpu.buffer_bytes = {most}")]
    Full { bytes: u64, live: u64, most: u64 },
    #[error("this attempt has made so many buffers that there is no handle left; make fewer and use them again")]
    Handles,
    #[error("no buffer is live that has handle {0}")]
    Handle(i32),
    #[error("offset {offset} and length {len} must be multiples of 4 bytes")]
    Unaligned { offset: i64, len: u64 },
    #[error("{len} bytes from {offset} on leave the buffer, which has {bytes}")]
    Range { offset: i64, len: u64, bytes: u64 },
    #[error("the module has no shader of that name; it has {0}")]
    NoShader(String),
    #[error("{done} dispatches are done, as many as the manifest's gpu.dispatches allows")]
    Dispatches { done: u32 },
    #[error("{} workgroups, at most {WORKGROUPS_PER_DIMENSION} are allowed along {axis}", size(.groups))]
    Side { groups: [u32; 3], axis: char },
    #[error("{} workgroups are {total}, the manifest's gpu.workgroups is {most}", size(.groups))]
    Workgroups { groups: [u32; 3], total: u64, most: u32 },
    #[error("binding {binding} is given handle {handle}, and no buffer is live that has it")]
    Dropped { binding: u32, handle: i32 },
    #[error("binding {missing} is not bound; the shader has {}", list(.declared))]
    Missing { missing: u32, declared: Vec<u32> },
    #[error("binding {binding} is bound, and the shader has {}", list(.declared))]
    Undeclared { binding: u32, declared: Vec<u32> },
    #[error("binding {0} is bound twice")]
    Twice(u32),
    #[error("binding {binding} has a buffer of {bytes} bytes, its type takes at least {least}")]
    Small { binding: u32, bytes: u64, least: u64 },
    #[error("one buffer is at bindings {written} and {other}, and the shader may write {written}; use two buffers")]
    Shared { written: u32, other: u32 },
    #[error(
        "{} workgroups; the places this exact shader writes differ along {} only, so along the other axes there may be no more \
         than 1 workgroup",
        size(.groups), along(*.axes)
    )]
    Axes { groups: [u32; 3], axes: usize },
    #[error(
        "{} workgroups are more than {} invocations, the most of an exact shader that is dispatched along more than x",
        size(.groups), p2c2r_shader::limits::GRID_INVOCATIONS
    )]
    Invocations { groups: [u32; 3] },
}

impl Refused {
    /// What the guest is told.
    pub(super) const fn status(&self) -> i32 {
        match self {
            Self::Bytes(_)
            | Self::Unaligned { .. }
            | Self::Missing { .. }
            | Self::Undeclared { .. }
            | Self::Twice(_)
            | Self::Small { .. }
            | Self::Shared { .. }
            | Self::Axes { .. }
            | Self::Invocations { .. } => status::INVALID,
            Self::Buffers { .. }
            | Self::Large { .. }
            | Self::Full { .. }
            | Self::Handles
            | Self::Dispatches { .. }
            | Self::Side { .. }
            | Self::Workgroups { .. } => status::LIMIT,
            Self::Handle(_) | Self::Dropped { .. } => status::HANDLE,
            Self::Range { .. } => status::RANGE,
            Self::NoShader(_) => status::NO_SHADER,
        }
    }

    pub(super) fn no_shader<'s>(mut known: impl Iterator<Item = &'s str>) -> Self {
        let mut names: Vec<_> = known.by_ref().take(NAMED_SHADERS).map(|name| format!("{name:?}")).collect();
        match (names.len(), known.count()) {
            (0, _) => names.push("none".to_owned()),
            (_, 0) => {}
            (_, more) => names.push(format!("{more} more")),
        }
        Self::NoShader(names.join(", "))
    }
}

fn size([x, y, z]: &[u32; 3]) -> String {
    format!("{x} x {y} x {z}")
}

fn list(declared: &[u32]) -> String {
    let numbers: Vec<_> = declared.iter().map(u32::to_string).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
}

#[cfg(test)]
mod tests {
    use p2c2r_shader::Shader;
    use p2c2r_signing::manifest;

    use super::super::interface::{Binding, Interface};
    use super::super::statuses::Statuses;
    use super::*;

    /// The shaders `line`, written at 0 and read at 3, and `plane`, over x and y.
    fn statuses() -> Statuses {
        let grid = |index: &str| {
            let wgsl = format!(
                "@group(0) @binding(0) var<storage, read_write> to: array<u32>;
                 @compute @workgroup_size(8, 8) fn main(
                     @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                     @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) i: u32,
                 ) {{ {index} }}"
            );
            Shader::parse(&wgsl).expect("a plain shader").grid()
        };
        let line = grid("if i == 0u { to[group.x] = 1u; }");
        let plane = grid("let width = count.x * 8u; to[id.y * width + id.x] = 1u;");
        let to = Binding { index: 0, writable: true, min_bytes: 16 };
        let from = Binding { index: 3, writable: false, min_bytes: 4 };
        let shaders = vec![
            Interface { name: "line".to_owned(), bindings: vec![to, from], grid: line },
            Interface { name: "plane".to_owned(), bindings: vec![to], grid: plane },
        ];
        let limits =
            manifest::Gpu { buffers: 3, buffer_bytes: 256 << 20, dispatches: 1, workgroups: 1 << 30, cpu_path: false };
        Statuses::new(shaders, limits)
    }

    #[test]
    fn every_refusal_says_what_is_wrong_and_which_value() {
        let mut s = statuses();
        let refused = |s: &mut Statuses, status: i32, want: i32, why: &str| {
            assert_eq!((status, s.why_refused().as_deref()), (want, Some(why)));
        };
        for (bytes, want, why) in [
            (0, status::INVALID, "0 bytes; a buffer has a positive multiple of 4"),
            (-4, status::INVALID, "-4 bytes; a buffer has a positive multiple of 4"),
            (200_000_000, status::LIMIT, "200000000 bytes, at most 134217728 are allowed in one buffer"),
        ] {
            let got = s.buf_create(bytes);
            refused(&mut s, got, want, why);
        }
        let (a, b) = (s.buf_create(16), s.buf_create(4));
        for (handle, offset, len, want, why) in [
            (77, 0, 4, status::HANDLE, "no buffer is live that has handle 77"),
            (a, 2, 4, status::INVALID, "offset 2 and length 4 must be multiples of 4 bytes"),
            (a, 8, 12, status::RANGE, "12 bytes from 8 on leave the buffer, which has 16"),
            (a, -4, 4, status::RANGE, "4 bytes from -4 on leave the buffer, which has 16"),
        ] {
            let got = s.access(handle, offset, len);
            refused(&mut s, got, want, why);
        }
        let good = [(0, a), (3, b)];
        for (name, groups, bindings, want, why) in [
            (
                "lane",
                [1; 3],
                &good[..],
                status::NO_SHADER,
                "the module has no shader of that name; it has \"line\", \"plane\"",
            ),
            ("line", [1; 3], &good[..1], status::INVALID, "binding 3 is not bound; the shader has 0, 3"),
            ("line", [1; 3], &[(0, a), (3, b), (7, b)], status::INVALID, "binding 7 is bound, and the shader has 0, 3"),
            ("line", [1; 3], &[(0, a), (0, b)], status::INVALID, "binding 0 is bound twice"),
            (
                "line",
                [1; 3],
                &[(0, b), (3, a)],
                status::INVALID,
                "binding 0 has a buffer of 4 bytes, its type takes at least 16",
            ),
            (
                "line",
                [1; 3],
                &[(0, a), (3, a)],
                status::INVALID,
                "one buffer is at bindings 0 and 3, and the shader may write 0; use two buffers",
            ),
            (
                "line",
                [1; 3],
                &[(0, a), (3, 99)],
                status::HANDLE,
                "binding 3 is given handle 99, and no buffer is live that has it",
            ),
            (
                "line",
                [4, 2, 1],
                &good,
                status::INVALID,
                "4 x 2 x 1 workgroups; the places this exact shader writes differ along x only, so along the other axes there may be \
                 no more than 1 workgroup",
            ),
            (
                "plane",
                [1024, 1025, 1],
                &good[..1],
                status::INVALID,
                "1024 x 1025 x 1 workgroups are more than 67108864 invocations, the most of an exact shader that is dispatched \
                 along more than x",
            ),
            (
                "line",
                [70_000, 1, 1],
                &good,
                status::LIMIT,
                "70000 x 1 x 1 workgroups, at most 65535 are allowed along x",
            ),
            (
                "plane",
                [65_535, 65_535, 1],
                &good[..1],
                status::LIMIT,
                "65535 x 65535 x 1 workgroups are 4294836225, the manifest's gpu.workgroups is 1073741824",
            ),
        ] {
            let got = s.dispatch(name.as_bytes(), groups, bindings);
            refused(&mut s, got, want, why);
        }
        assert_eq!(s.dispatch(b"line", [1; 3], &good), status::OK);
        let got = s.dispatch(b"line", [1; 3], &good);
        refused(&mut s, got, status::LIMIT, "1 dispatches are done, as many as the manifest's gpu.dispatches allows");
        assert!(s.buf_create(4) > 0);
        let got = s.buf_create(4);
        refused(&mut s, got, status::LIMIT, "3 buffers are live, as many as the manifest's gpu.buffers allows");
        assert_eq!(s.buf_drop(b), status::OK);
        let got = s.buf_drop(b);
        refused(&mut s, got, status::HANDLE, &format!("no buffer is live that has handle {b}"));
        assert!(s.buf_create(128 << 20) > 0);
        assert_eq!(s.buf_drop(a), status::OK);
        let got = s.buf_create(128 << 20);
        let why = "134217728 bytes beside 134217732 that are live pass the manifest's gpu.buffer_bytes = 268435456";
        refused(&mut s, got, status::LIMIT, why);
    }

    #[test]
    fn some_names_stand_for_many() {
        let names: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        let why = Refused::no_shader(names.iter().map(String::as_str)).to_string();
        assert!(why.ends_with("it has \"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", 12 more"), "{why}");
        assert!(Refused::no_shader(std::iter::empty()).to_string().ends_with("it has none"));
    }
}
