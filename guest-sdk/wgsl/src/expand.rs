//! Putting blocks into a shader.

use std::collections::BTreeSet;

use crate::block::{BLOCKS, Block, Item};
use crate::text;

/// What a line for this crate begins with.
const DIRECTIVE: &str = "// p2c2r:";

/// Where the author's text ends in an expanded one.
const SEAM: &str = "// ---- from p2c2r's blocks, by `p2c2r build`; not written by hand ----";

/// A shader with all it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    text: String,
    own_lines: u32,
    /// First line in the text, block, and first line there.
    pieces: Vec<(u32, &'static str, u32)>,
}

/// Where a line of an expanded shader was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By the shader's author, on this line.
    Shader {
        /// From 1.
        line: u32,
    },
    /// In a block.
    Block {
        /// Which.
        name: &'static str,
        /// From 1.
        line: u32,
    },
}

/// Why a shader could not be expanded; the author's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {mistake}")]
pub struct ExpandError {
    /// Line of the shader, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub mistake: Mistake,
}

/// What is wrong with a line of a shader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A line begins with `// p2c2r:` and goes on in no known way.
    #[error("{found:?} means nothing here; write `{DIRECTIVE} use NAME`, with names from: {}", names())]
    Directive {
        /// What follows.
        found: String,
    },
    /// A comment that asks for blocks in another spelling, and would do nothing.
    #[error("this comment asks for blocks and is not spelled so; write `{DIRECTIVE} use {names}`")]
    Misspelt {
        /// What it names.
        names: String,
    },
    /// There is no such block.
    #[error("there is no block {name:?}; there are: {}", names())]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A skeleton calls what the shader does not declare.
    #[error("block {block:?} needs {need:?}, which the shader does not declare; its contract:\n{contract}")]
    Needs {
        /// The block.
        block: &'static str,
        /// The name.
        need: &'static str,
        /// What the block says about itself.
        contract: String,
    },
    /// The shader declares a name that a block it uses has.
    #[error("{name:?} is declared in block {block:?}, which the shader uses, as well; give yours another name")]
    Taken {
        /// The name.
        name: String,
        /// The block.
        block: &'static str,
    },
    /// Two skeletons.
    #[error("blocks {first:?} and {second:?} both declare main; a shader is one of them")]
    TwoMains {
        /// The first.
        first: &'static str,
        /// The second.
        second: &'static str,
    },
}

/// Puts behind `wgsl` what it uses of the blocks that its lines `// p2c2r: use NAME` name. A text without such a line stays as
/// it is, and so does one that was expanded before.
///
/// # Errors
/// A line that asks for what there is not, a skeleton that lacks something, or a name that is declared twice.
pub fn expand(wgsl: &str) -> Result<Expanded, ExpandError> {
    let own = wgsl.find(SEAM).map_or(wgsl, |seam| &wgsl[..seam]);
    let uses = uses(own)?;
    let declared = text::declarations(own);
    let mut text = own.to_owned();
    let own_lines = own.lines().count() as u32;
    let mut pieces = Vec::new();
    if uses.is_empty() {
        return Ok(Expanded { text, own_lines, pieces });
    }
    for (line, block) in &uses {
        let known = |need: &&str| declared.iter().any(|own| own.name == *need);
        if let Some(need) = directives(block.text, "needs").find(|need| !known(need)) {
            let mistake = Mistake::Needs { block: block.name, need, contract: contract(block) };
            return Err(ExpandError { line: *line, mistake });
        }
    }
    let chosen = chosen(own, &uses)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(SEAM);
    text.push('\n');
    let mut at = own_lines + 2;
    for (block, item) in chosen {
        if let Some(own) = declared.iter().find(|own| own.name == item.name) {
            let mistake = Mistake::Taken { name: own.name.to_owned(), block: block.name };
            return Err(ExpandError { line: own.line, mistake });
        }
        pieces.push((at, block.name, item.line));
        text.push_str(item.text);
        text.push('\n');
        at += item.text.lines().count() as u32;
    }
    Ok(Expanded { text, own_lines, pieces })
}

impl Expanded {
    /// WGSL that needs nothing else.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text itself.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Where a line of the text, from 1, was written.
    #[must_use]
    pub fn origin(&self, line: u32) -> Origin {
        let piece = self.pieces.iter().rev().find(|(first, ..)| *first <= line && line > self.own_lines);
        match piece {
            Some((first, name, start)) => Origin::Block { name, line: start + (line - first) },
            None => Origin::Shader { line },
        }
    }
}

/// The blocks that a text uses, those that blocks use included, each with the line of the author's that brings it in.
fn uses(own: &str) -> Result<Vec<(u32, &'static Block)>, ExpandError> {
    let mut uses: Vec<(u32, &'static Block)> = Vec::new();
    for (line, text) in (1..).zip(own.lines()) {
        let wrong = |mistake| ExpandError { line, mistake };
        let Some(rest) = text.trim_start().strip_prefix(DIRECTIVE) else {
            match near_miss(text) {
                Some(names) => return Err(wrong(Mistake::Misspelt { names })),
                None => continue,
            }
        };
        let Some(names) = rest.trim().strip_prefix("use ") else {
            return Err(wrong(Mistake::Directive { found: rest.trim().to_owned() }));
        };
        let mut open: Vec<&str> = listed(names).collect();
        while let Some(name) = open.pop() {
            let Some(block) = Block::named(name) else {
                return Err(wrong(Mistake::Unknown { name: name.to_owned() }));
            };
            if !uses.iter().any(|(_, known)| known.name == name) {
                uses.push((line, block));
                for name in directives(block.text, "use").flat_map(listed) {
                    open.push(name);
                }
            }
        }
    }
    Ok(uses)
}

/// The blocks that a comment names which is a directive but for its colon, spaces or case. What names anything else is prose.
fn near_miss(line: &str) -> Option<String> {
    let comment = line.trim_start().strip_prefix("//")?.replace([':', ','], " ").to_lowercase();
    let words: Vec<&str> = comment.split_whitespace().collect();
    let ["p2c2r", "use", names @ ..] = words.as_slice() else { return None };
    let known = !names.is_empty() && names.iter().all(|name| Block::named(name).is_some());
    known.then(|| names.join(", "))
}

/// The items that the shader's words lead to, and `main`, which nobody calls.
fn chosen(own: &str, uses: &[(u32, &'static Block)]) -> Result<Vec<(&'static Block, Item)>, ExpandError> {
    let mut items: Vec<(&'static Block, Item)> = Vec::new();
    let mut main: Option<&'static Block> = None;
    for (line, block) in uses {
        for item in block.items() {
            if item.name == "main" {
                if let Some(first) = main {
                    let mistake = Mistake::TwoMains { first: first.name, second: block.name };
                    return Err(ExpandError { line: *line, mistake });
                }
                main = Some(block);
            }
            items.push((block, item));
        }
    }
    let mut wanted: BTreeSet<&str> = text::words(own).collect();
    if main.is_some() {
        wanted.insert("main");
    }
    let mut open: Vec<&str> = wanted.iter().copied().collect();
    while let Some(name) = open.pop() {
        if let Some((_, item)) = items.iter().find(|(_, item)| item.name == name) {
            open.extend(text::words(item.text).filter(|word| wanted.insert(word)));
        }
    }
    items.retain(|(_, item)| wanted.contains(item.name));
    Ok(items)
}

/// Names with commas between them.
fn listed(names: &str) -> impl Iterator<Item = &str> {
    names.split([',', ' ']).filter(|name| !name.is_empty())
}

/// What stands behind `// p2c2r: VERB` in a block.
fn directives(text: &'static str, verb: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter_map(move |line| line.strip_prefix(DIRECTIVE)?.trim().strip_prefix(verb)).map(str::trim)
}

/// The comment a block begins with.
fn contract(block: &Block) -> String {
    let lines = block.text.lines().take_while(|line| line.starts_with("//") && !line.starts_with(DIRECTIVE));
    lines.collect::<Vec<_>>().join("\n")
}

fn names() -> String {
    BLOCKS.iter().map(|block| block.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "@compute @workgroup_size(64) fn main() { let x = fixed_mul(1, 2); }";

    #[test]
    fn only_what_is_used_comes_along() {
        let whole = expand(&format!("// p2c2r: use fixed, random\n{MAIN}")).unwrap();
        for (name, there) in
            [("fixed_mul", true), ("wide_product_signed", true), ("fixed_sin", false), ("random_hash", false)]
        {
            assert_eq!(whole.text().contains(&format!("fn {name}(")), there, "{name}");
        }
    }

    #[test]
    fn a_text_that_uses_nothing_stays_as_it_is() {
        for text in [
            "",
            MAIN,
            "fn fixed_mul() {}\r\n",
            "no wgsl at all // p2c2r: use fixed",
            "// p2c2r use case: fixed",
            "// p2c2r use",
        ] {
            assert_eq!(expand(text).unwrap().text(), text);
        }
    }

    #[test]
    fn expanding_again_changes_nothing() {
        let whole = expand(&format!("// p2c2r: use fixed\n{MAIN}")).unwrap();
        assert_eq!(expand(whole.text()).unwrap(), whole);
    }

    #[test]
    fn lines_lead_back() {
        let whole = expand(&format!("// p2c2r: use fixed\n{MAIN}")).unwrap();
        assert_eq!(whole.origin(2), Origin::Shader { line: 2 });
        for (number, line) in (1..).zip(whole.text().lines()) {
            let Origin::Block { name, line: at } = whole.origin(number) else { continue };
            assert_eq!(Block::named(name).unwrap().text.lines().nth(at as usize - 1), Some(line), "{number}");
        }
        let last = whole.text().lines().count() as u32;
        assert!(matches!(whole.origin(last), Origin::Block { .. }));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let check = |text: &str, line: u32, part: &str| {
            let error = expand(text).unwrap_err();
            assert!(
                error.line == line && error.to_string().contains(part),
                "{error} is not on {line} or lacks {part:?}"
            );
        };
        check("\n// p2c2r: use fixd", 2, "no block \"fixd\"; there are: fixed, map");
        check("// p2c2r: include fixed", 1, "means nothing here");
        check("// p2c2r: use", 1, "means nothing here");
        for line in [
            "// p2c2r use fixed, map",
            "//p2c2r: use fixed map",
            "  // P2C2R : use fixed,map",
            "//  p2c2r: Use fixed map",
        ] {
            check(&format!("\n{line}"), 2, "write `// p2c2r: use fixed, map`");
        }
        check("// p2c2r: use fixed\n\nfn fixed_abs(a: i32) -> i32 { return a; }", 3, "give yours another name");
        check("// p2c2r: use map\nalias Item = u32;", 1, "needs \"map_item\"");
        check("// p2c2r: use map\nalias Item = u32;", 1, "fn map_item(at: u32, item: Item) -> Item");
        check("// p2c2r: use map2d\nalias Item = u32;\nfn map_item() {}", 1, "needs \"map2d_item\"");
        let both = "alias Item = u32;\nfn map_item() {}\nfn reduce_pair() {}\nfn reduce_none() {}\n";
        check(&format!("{both}// p2c2r: use map\n// p2c2r: use reduce"), 6, "both declare main");
        check("// p2c2r: use stencil\nalias Cell = u32;\nfn stencil_cell() {}\nfn main() {}", 4, "block \"stencil\"");
    }

    proptest::proptest! {
        /// Whatever is made of pieces that mean something here, the author's text stays in front, line by line.
        #[test]
        fn any_text_is_expanded_or_refused(pieces in proptest::collection::vec(0..PIECES.len(), 0..24)) {
            let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
            if let Ok(whole) = expand(&text) {
                let own = text.find(SEAM).map_or(&*text, |seam| &text[..seam]);
                proptest::prop_assert!(whole.text().starts_with(own));
                proptest::prop_assert_eq!(expand(whole.text()), Ok(whole));
            }
        }
    }

    const PIECES: &[&str] = &[
        "// p2c2r: use fixed",
        "// p2c2r: use map, wide",
        "// p2c2r:",
        "\n",
        "\r\n",
        "/*",
        "*/",
        "fn ",
        "map_item",
        "alias Item",
        "{",
        "}",
        "(",
        ")",
        "<",
        ">",
        "var",
        "fixed_sin",
        "é",
        "\u{2028}",
        SEAM,
        "main",
        ";",
        " ",
    ];
}
