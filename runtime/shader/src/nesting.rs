//! How deep a text nests, before anything recursive looks at it.
//!
//! naga bounds brackets, but a row of operators, of accesses or of `else if` nests as deep as it is long, and its stack ends
//! before ours does: the process dies. This counts generously and knows no grammar.

use naga::Span;

use crate::limits::{ELSE_DEPTH, TEXT_DEPTH};
use crate::refusal::{Finding, Place};

/// What is declared outside of functions, or a function.
#[derive(Debug, Default)]
pub(crate) struct Declaration<'a> {
    /// Its words that may name something, and `;`, in order.
    pub(crate) words: Vec<&'a str>,
    /// How deep it nests, by itself.
    pub(crate) depth: u32,
    /// The end of its text.
    end: usize,
}

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

/// What a text declares, in order; refuses text that could nest deeper than [`TEXT_DEPTH`].
pub(crate) fn declarations(wgsl: &str) -> Result<Vec<Declaration<'_>>, Finding> {
    let mut declarations = Vec::new();
    let mut this = Declaration::default();
    let mut before = None;
    let mut outer: Vec<Level> = Vec::new();
    // Of all levels in `outer`, and one for each.
    let mut outer_depth = 0;
    let mut level = Level::default();
    let mut scan = Scan { rest: wgsl };
    while let Some(token) = scan.next() {
        this.read(before.replace(token), token);
        match token {
            Token::Word("else") => level.chain += ELSE_DEPTH,
            Token::Word(_) => {}
            Token::Operator(_) => level.depth += 1,
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
        let depth = outer_depth + level.depth + level.chain;
        this.depth = this.depth.max(depth);
        this.end = wgsl.len() - scan.rest.len();
        if depth > TEXT_DEPTH {
            let reason = format!(
                "nests deeper than {TEXT_DEPTH} operators; split it with `let`, or use `switch` for many cases"
            );
            return Err(Finding { place: Some(this.place(wgsl)), reason });
        }
        if outer.is_empty() && matches!(token, Token::End | Token::CloseBlock { .. }) {
            declarations.push(std::mem::take(&mut this));
        }
    }
    Ok(declarations)
}

/// Where a word stands first, outside comments; undefined if it does not.
pub(crate) fn word(wgsl: &str, wanted: &str) -> Span {
    let mut scan = Scan { rest: wgsl };
    while let Some(token) = scan.next() {
        if token == Token::Word(wanted) {
            let end = wgsl.len() - scan.rest.len();
            return Span::new((end - wanted.len()) as u32, end as u32);
        }
    }
    Span::UNDEFINED
}

/// What a text calls, with where each name is.
pub(crate) fn calls(wgsl: &str) -> impl Iterator<Item = (&str, Span)> {
    let mut scan = Scan { rest: wgsl };
    std::iter::from_fn(move || {
        loop {
            let Token::Word(word) = scan.next()? else { continue };
            let end = wgsl.len() - scan.rest.len();
            scan.skip();
            if scan.rest.starts_with('(') {
                return Some((word, Span::new((end - word.len()) as u32, end as u32)));
            }
        }
    })
}

impl<'a> Declaration<'a> {
    fn read(&mut self, before: Option<Token<'a>>, token: Token<'a>) {
        match token {
            // Members of values, and what is given a type but for constants.
            Token::Word(_) if before == Some(Token::Operator('.')) => {}
            Token::Operator(':')
                if matches!(before, Some(Token::Word(_)))
                    && !matches!(self.words[..], [.., "const" | "override", _]) =>
            {
                self.words.pop();
            }
            Token::Word(word) => self.words.push(word),
            Token::End => self.words.push(";"),
            _ => {}
        }
    }

    /// Where it ends.
    pub(crate) fn place(&self, wgsl: &str) -> Place {
        let read = wgsl.get(..self.end).unwrap_or_default();
        let line = read.lines().count().max(1) as u32;
        let column = read.lines().last().map_or(1, |last| last.chars().count().max(1)) as u32;
        Place { line, column }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// Whatever may be one more step down.
    Operator(char),
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

impl<'a> Scan<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.skip();
        let first = self.rest.chars().next()?;
        if is_word(first) {
            let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Token::Word(word));
        }
        self.rest = &self.rest[first.len_utf8()..];
        Some(match first {
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
            operator => Token::Operator(operator),
        })
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
