//! What an author is told of a race: the variable, what was written to index it, and the nearest of the patterns that are known.

use super::form::{Form, GROUP, LOCAL, TURN};
use super::scale::{Scale, Sides};
use crate::limits::QUOTED;

/// The use that may meet another.
pub(super) struct Told<'a> {
    pub(super) name: &'a str,
    /// The place as it is written in the text.
    pub(super) text: &'a str,
    pub(super) index: Option<Form>,
    pub(super) reads: bool,
}

impl Told<'_> {
    /// Of a buffer.
    pub(super) fn buffer(&self, sides: Sides) -> String {
        let (name, hint) = (self.name, self.buffer_hint(sides));
        format!(
            "{name:?} is written, and different invocations may meet at {}: {hint}; more patterns: docs/GPU.md",
            self.quoted()
        )
    }

    /// Of a workgroup variable.
    pub(super) fn group(&self) -> String {
        let hint = if self.reads {
            "put a workgroupBarrier() between this and what is written, read only what this invocation wrote, or reduce as in \
             `if i < s { x[i] += x[i + s]; }` with `s >>= 1u`"
        } else {
            "index it with local_invocation_index, or local_invocation_id.y * width + local_invocation_id.x, or put a \
             workgroupBarrier() in between"
        };
        format!(
            "between two barriers one invocation may use what another writes in {:?}, at {}: {hint}",
            self.name,
            self.quoted()
        )
    }

    fn buffer_hint(&self, sides: Sides) -> &'static str {
        if self.reads {
            return "read from another buffer than is written, or only the place that this invocation writes, as at \
                    global_invocation_id.x";
        }
        let Some(index) = self.index else {
            return "write single places, of an array, at global_invocation_id.x";
        };
        let has = |terms: std::ops::Range<usize>| index.terms[terms].iter().any(|scale| *scale != Scale::NONE);
        let (groups, lanes) = (has(GROUP..LOCAL), has(LOCAL..TURN));
        if index.constant().is_some() {
            return "that is one place for all; every invocation has its own at global_invocation_id.x, every workgroup at \
                    workgroup_id.x after `if local_invocation_index == 0u`; sums are made with atomicAdd";
        }
        if index.stride.is_some() {
            return "let a counter stride past all others, `for (var i = global_invocation_id.x; i < arrayLength(..); i += total)`, \
                    total being all invocations along x";
        }
        match (groups, lanes) {
            (false, false) => {
                "nothing says that this differs between invocations; use global_invocation_id.x, times a constant and plus less \
                 than that, or atomicAdd for what is counted"
            }
            (false, true) => "every workgroup has the same local_invocation_id; use global_invocation_id.x",
            (true, false) => {
                "all of a workgroup have the same workgroup_id; use global_invocation_id.x, or write from one of them, \
                 `if local_invocation_index == 0u`"
            }
            (true, true) if sides.0[1] * sides.0[2] > 1 => {
                "use global_invocation_id.y * width + global_invocation_id.x after `if x < width`, with a width that cannot make \
                 it wrap (`let width = min(.., 4096u);`)"
            }
            (true, true) => {
                "use global_invocation_id.x, times a constant and plus less than that; or y * width + x after `if x < width`, with \
                 a width that cannot make it wrap (`let width = min(.., 4096u);`)"
            }
        }
    }

    /// On one line, and not all of it if it is long.
    fn quoted(&self) -> String {
        let mut text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return "one place".to_owned();
        }
        if let Some((cut, _)) = text.char_indices().nth(QUOTED) {
            text.truncate(cut);
            text += "..";
        }
        format!("`{text}`")
    }
}
