//! What declarations are made of, before naga looks at them.
//!
//! A text nests no deeper than it looks, but types and constants do: each may be made of the one before. naga recurses over them,
//! and over the order of declarations; and wherever a function computes with a constant it copies all that one is made of. This
//! knows names and no scopes: a name stands for the most that it may stand for.

use std::collections::BTreeMap;

use crate::limits::{CONSTANT_WORDS, DECLARATIONS, TEXT_DEPTH};
use crate::nesting::Declaration;
use crate::refusal::Finding;

/// Refuses what is declared too often, is made of too much, or nests deeper than [`TEXT_DEPTH`] with all it is made of.
pub(crate) fn check(wgsl: &str, declarations: &[Declaration<'_>]) -> Result<(), Finding> {
    let refuse = |declaration: &Declaration<'_>, reason| Err(Finding { place: Some(declaration.place(wgsl)), reason });
    if let Some(declaration) = declarations.get(DECLARATIONS) {
        return refuse(declaration, format!("more than {DECLARATIONS} functions, constants, types and variables"));
    }
    let names: BTreeMap<&str, usize> =
        declarations.iter().enumerate().filter_map(|(at, declaration)| Some((made(declaration)?.1, at))).collect();
    let sizes = sizes(declarations, &names);
    if let Some((declaration, _)) = declarations.iter().zip(&sizes).find(|(_, size)| size.depth > TEXT_DEPTH) {
        let reason = format!("is made of types or constants that nest deeper than {TEXT_DEPTH}");
        return refuse(declaration, reason);
    }
    let mut words: BTreeMap<&str, u64> = names.iter().map(|(name, at)| (*name, sizes[*at].words)).collect();
    let mut all = 0u64;
    for declaration in declarations {
        let mut rest = declaration.words.iter();
        // The constant that is being read, one of a function too, and its words so far.
        let mut constant: Option<(&str, u64)> = None;
        while let Some(word) = rest.next() {
            let more = words.get(word).copied().unwrap_or(1);
            all = all.saturating_add(more);
            match (*word, &mut constant) {
                ("const", _) => constant = rest.next().map(|name| (*name, 1)),
                (";", Some((name, size))) => {
                    let known = words.entry(name).or_default();
                    *known = (*known).max(*size);
                    constant = None;
                }
                (_, Some((_, size))) => *size = size.saturating_add(more),
                _ => {}
            }
        }
        if all > CONSTANT_WORDS {
            let reason = format!(
                "with every name of a constant replaced by what it stands for the shader has more than {CONSTANT_WORDS} \
                 words; name large constants less often"
            );
            return refuse(declaration, reason);
        }
    }
    Ok(())
}

/// A type or constant, with all it is made of.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    depth: u32,
    /// 1 for a type: those are not copied.
    words: u64,
}

/// How a type or constant is declared, and its name.
fn made<'a>(declaration: &Declaration<'a>) -> Option<(&'a str, &'a str)> {
    let mut words = declaration.words.iter();
    let keyword = words.find(|word| ["const", "override", "alias", "struct", "fn", "var"].contains(*word))?;
    let name = words.next()?;
    (!["fn", "var"].contains(keyword)).then_some((*keyword, *name))
}

/// Of each type and constant; what is made of itself is refused by naga.
fn sizes(declarations: &[Declaration<'_>], names: &BTreeMap<&str, usize>) -> Vec<Size> {
    let made: Vec<_> = declarations.iter().map(made).collect();
    let parts = |at: usize| {
        let words = if made[at].is_some() { declarations[at].words.as_slice() } else { &[] };
        words.iter().map(move |word| names.get(word).copied().filter(|part| *part != at))
    };
    let mut sizes = vec![None; declarations.len()];
    let mut entered = vec![false; declarations.len()];
    for first in 0..declarations.len() {
        let mut open = vec![first];
        while let Some(at) = open.last().copied() {
            if !std::mem::replace(&mut entered[at], true) {
                open.extend(parts(at).flatten().filter(|part| !entered[*part]));
                continue;
            }
            open.pop();
            if sizes[at].is_none() {
                let mut size = Size::default();
                for part in parts(at) {
                    let part = part.and_then(|part| sizes[part]).unwrap_or(Size { depth: 0, words: 1 });
                    size.depth = size.depth.max(part.depth);
                    size.words = size.words.saturating_add(part.words);
                }
                let copied = made[at].is_some_and(|(keyword, _)| ["const", "override"].contains(&keyword));
                let words = if copied { size.words } else { 1 };
                sizes[at] = Some(Size { depth: size.depth.saturating_add(declarations[at].depth), words });
            }
        }
    }
    sizes.into_iter().map(Option::unwrap_or_default).collect()
}
