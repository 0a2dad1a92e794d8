//! As much of WGSL's grammar as it takes to see names and declarations.

/// A name declared at module scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Declaration<'a> {
    pub(crate) name: &'a str,
    /// From 1.
    pub(crate) line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Punctuation(char),
}

/// Every word of the text outside comments.
pub(crate) fn words(wgsl: &str) -> impl Iterator<Item = &str> {
    tokens(wgsl).into_iter().filter_map(|(token, _)| if let Token::Word(word) = token { Some(word) } else { None })
}

/// What the text declares at module scope, in its order.
pub(crate) fn declarations(wgsl: &str) -> Vec<Declaration<'_>> {
    let mut found = Vec::new();
    let mut depth = 0u32;
    let mut tokens = tokens(wgsl).into_iter();
    while let Some((token, _)) = tokens.next() {
        match token {
            Token::Punctuation('{' | '(') => depth += 1,
            Token::Punctuation('}' | ')') => depth = depth.saturating_sub(1),
            Token::Word("fn" | "struct" | "alias" | "const" | "override" | "var") if depth == 0 => {
                // `var<storage, read>` has its name behind the template.
                let mut in_template = false;
                for (token, line) in tokens.by_ref() {
                    match token {
                        Token::Punctuation('<') => in_template = true,
                        Token::Punctuation('>') => in_template = false,
                        Token::Word(name) if !in_template => {
                            found.push(Declaration { name, line });
                            break;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Words and punctuation with their lines, comments left out; block comments nest.
fn tokens(wgsl: &str) -> Vec<(Token<'_>, u32)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut comments = 0u32;
    let mut rest = wgsl;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("/*") {
            comments += 1;
            2
        } else if comments > 0 && rest.starts_with("*/") {
            comments -= 1;
            2
        } else if comments == 0 && rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if comments == 0 && is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push((Token::Word(&rest[..length]), line));
            length
        } else {
            if first == '\n' {
                line += 1;
            } else if comments == 0 && !first.is_whitespace() {
                tokens.push((Token::Punctuation(first), line));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found() {
        let wgsl = "// fn no()\n/* fn no() /* */ struct no */ alias Item = vec2<u32>;
            @group(0) @binding(1) var<storage, read_write> words: array<u32>;
            const N: u32 = 3u; fn f(a: u32) -> u32 { var inner = 1u; const also = 2u; return a; }
            struct Pair { a: u32, b: u32 } var<private> state: u32; var plain: i32;";
        let names: Vec<_> = declarations(wgsl).into_iter().map(|it| (it.name, it.line)).collect();
        let want = [("Item", 2), ("words", 3), ("N", 4), ("f", 4), ("Pair", 5), ("state", 5), ("plain", 5)];
        assert_eq!(names, want);
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        for wgsl in ["", "/*", "*/ fn", "}}}} fn a", "var<", "// é", "fn é() {", "/* // */ fn b() {}"] {
            let _ = (declarations(wgsl), words(wgsl).count());
        }
        assert_eq!(declarations("/* // */ fn b() {}")[0].name, "b");
    }
}
