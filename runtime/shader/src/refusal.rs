//! What is wrong with a shader, and where.

use naga::Span;

/// A place in the text of a shader, both from 1; the column counts bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A sentence about a shader, for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .place.map(|p| format!("line {}:{}: ", p.line, p.column)).unwrap_or_default())]
pub struct Finding {
    /// Where it is, if it is in one place.
    pub place: Option<Place>,
    /// What is wrong, and what to write instead.
    pub reason: String,
}

/// A finding before the text is at hand.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) span: Span,
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn new(span: Span, reason: impl Into<String>) -> Self {
        Self { span, reason: reason.into() }
    }

    pub(crate) fn in_text(self, wgsl: &str) -> Finding {
        let place = self.span.is_defined().then(|| {
            let at = self.span.location(wgsl);
            Place { line: at.line_number, column: at.line_position }
        });
        Finding { place, reason: self.reason }
    }
}
