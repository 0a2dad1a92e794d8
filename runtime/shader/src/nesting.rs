//! How deep a text nests, before anything recursive looks at it.
//!
//! naga bounds brackets, but a row of operators, of accesses or of `else if` nests as deep as it is long, and its stack ends
//! before ours does: the process dies. This counts generously and knows no grammar.

use naga::Span;

use crate::limits::{ELSE_DEPTH, TEXT_DEPTH};
use crate::refusal::{Finding, Place};

/// What is open between a bracket or brace and its end.
#[derive(Default, Clone, Copy)]
struct Level {
    /// Depth of the expression that is being read.
    depth: u32,
    /// The deepest before it, behind commas.
    deepest: u32,
    /// Depth of the chain of `else` that is being read.
    chain: u32,
}

/// Refuses text that could nest deeper than [`TEXT_DEPTH`].
pub(crate) fn check(wgsl: &str) -> Result<(), Finding> {
    let mut outer: Vec<Level> = Vec::new();
    // Of all levels in `outer`, and one for each.
    let mut outer_depth = 0;
    let mut level = Level::default();
    let mut scan = Scan { rest: wgsl };
    while let Some(token) = scan.next() {
        match token {
            Token::Operator => level.depth += 1,
            Token::Else => level.chain += ELSE_DEPTH,
            Token::Comma => level = Level { depth: 0, deepest: level.deepest.max(level.depth), ..level },
            Token::End => level = Level::default(),
            Token::Open | Token::OpenBlock => {
                if token == Token::OpenBlock {
                    level.depth = 0;
                }
                outer_depth += level.depth + level.chain + 1;
                outer.push(std::mem::take(&mut level));
            }
            Token::Close | Token::CloseBlock { goes_on: _ } => {
                let inside = level.depth.max(level.deepest);
                level = outer.pop().unwrap_or_default();
                outer_depth = outer_depth.saturating_sub(level.depth + level.chain + 1);
                match token {
                    // The bracket may be the innermost operand of what follows.
                    Token::Close => level.depth += inside + 1,
                    Token::CloseBlock { goes_on: false } => level = Level::default(),
                    _ => {}
                }
            }
        }
        if outer_depth + level.depth + level.chain > TEXT_DEPTH {
            return Err(too_deep(&wgsl[..wgsl.len() - scan.rest.len()]));
        }
    }
    Ok(())
}

/// Where a word stands first, outside comments; undefined if it does not.
pub(crate) fn word(wgsl: &str, wanted: &str) -> Span {
    let mut scan = Scan { rest: wgsl };
    loop {
        scan.skip();
        let Some(first) = scan.rest.chars().next() else { return Span::UNDEFINED };
        let start = wgsl.len() - scan.rest.len();
        let end = scan.rest.find(|c| !is_word(c)).unwrap_or(scan.rest.len());
        let (word, rest) = scan.rest.split_at(end.max(first.len_utf8()));
        if word == wanted {
            return Span::new(start as u32, (start + word.len()) as u32);
        }
        scan.rest = rest;
    }
}

fn too_deep(read: &str) -> Finding {
    let line = read.lines().count().max(1) as u32;
    let column = read.lines().last().map_or(1, |last| last.chars().count().max(1)) as u32;
    let reason =
        format!("nests deeper than {TEXT_DEPTH} operators; split it with `let`, or use `switch` for many cases");
    Finding { place: Some(Place { line, column }), reason }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Whatever may be one more step down.
    Operator,
    Else,
    Open,
    Close,
    OpenBlock,
    CloseBlock {
        /// An `else` follows.
        goes_on: bool,
    },
    Comma,
    /// Of a statement.
    End,
}

struct Scan<'a> {
    rest: &'a str,
}

impl Scan<'_> {
    fn next(&mut self) -> Option<Token> {
        loop {
            self.skip();
            let first = self.rest.chars().next()?;
            if is_word(first) {
                let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                if word == "else" {
                    return Some(Token::Else);
                }
                continue;
            }
            self.rest = &self.rest[first.len_utf8()..];
            return Some(match first {
                '(' | '[' => Token::Open,
                ')' | ']' => Token::Close,
                '{' => Token::OpenBlock,
                '}' => {
                    let mut ahead = Scan { rest: self.rest };
                    ahead.skip();
                    Token::CloseBlock { goes_on: ahead.rest.starts_with("else") }
                }
                ',' => Token::Comma,
                ';' => Token::End,
                _ => Token::Operator,
            });
        }
    }

    /// Skips comments and what is neither a word nor punctuation.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| !is_word(c) && !c.is_ascii_punctuation());
            if let Some(comment) = self.rest.strip_prefix("//") {
                // naga ends a comment at any of these.
                let breaks = ['\n', '\u{b}', '\u{c}', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
                self.rest = comment.find(breaks).map_or("", |end| &comment[end..]);
            } else if self.rest.starts_with("/*") {
                self.block_comment();
            } else {
                return;
            }
        }
    }

    /// Comments nest.
    fn block_comment(&mut self) {
        let mut open = 0u32;
        loop {
            if let Some(rest) = self.rest.strip_prefix("/*") {
                open += 1;
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix("*/") {
                self.rest = rest;
                open -= 1;
                if open == 0 {
                    return;
                }
            } else {
                let mut chars = self.rest.chars();
                if chars.next().is_none() {
                    return;
                }
                self.rest = chars.as_str();
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
