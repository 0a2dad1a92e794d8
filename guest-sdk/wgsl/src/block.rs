//! The blocks, and what is in them.

use crate::text::{self, Declaration};

/// A piece of WGSL that shaders may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// What comes after `// p2c2r: use`.
    pub name: &'static str,
    /// Its text, with its contract in front.
    pub text: &'static str,
}

/// All there are, by name.
pub const BLOCKS: &[Block] = &[
    Block { name: "fixed", text: include_str!("../fixed.wgsl") },
    Block { name: "map", text: include_str!("../map.wgsl") },
    Block { name: "map2d", text: include_str!("../map2d.wgsl") },
    Block { name: "random", text: include_str!("../random.wgsl") },
    Block { name: "reduce", text: include_str!("../reduce.wgsl") },
    Block { name: "scan", text: include_str!("../scan.wgsl") },
    Block { name: "stencil", text: include_str!("../stencil.wgsl") },
    Block { name: "stencil2d", text: include_str!("../stencil2d.wgsl") },
    Block { name: "wide", text: include_str!("../wide.wgsl") },
];

/// A declaration of a block with the comment above it. In the blocks' files a blank line stands between two of them and
/// nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    /// First line, from 1.
    pub(crate) line: u32,
}

impl Block {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        BLOCKS.iter().find(|block| block.name == name)
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut line = 1;
        for text in self.text.split("\n\n") {
            if let Some(Declaration { name, .. }) = text::declarations(text).first() {
                items.push(Item { name, text: text.trim_end(), line });
            }
            line += text.matches('\n').count() as u32 + 2;
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_stand_between_declarations_only() {
        for block in BLOCKS {
            let items = block.items();
            assert_eq!(items.len(), text::declarations(block.text).len(), "{}", block.name);
            for item in &items {
                let line = block.text.lines().nth(item.line as usize - 1);
                assert_eq!(line, item.text.lines().next(), "{} {}", block.name, item.name);
            }
        }
    }

    #[test]
    fn names_say_where_they_come_from() {
        for block in BLOCKS {
            let prefix = format!("{}_", block.name);
            for Item { name, .. } in block.items() {
                assert!(name == "main" || name.to_lowercase().starts_with(&prefix), "{name} in {}", block.name);
            }
        }
    }
}
