//! How a kernel says no.

use alloc::string::String;
use core::fmt;
use core::num::NonZeroI32;

use crate::limits::MESSAGE_BYTES;

/// A kernel's own failure: a code and a sentence. It is a result like any other: peers vote on it, the client reads it,
/// and it is paid for. The code is what the entry returns, the message is the output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    code: NonZeroI32,
    message: String,
}

/// Codes of failures this crate makes. Kernels use positive ones.
pub mod code {
    /// The input could not be decoded.
    pub const BAD_INPUT: i32 = -1;
    /// The output could not be encoded.
    pub const BAD_OUTPUT: i32 = -2;
    /// A blob was missing, too large, or read past its end.
    pub const BLOB: i32 = -3;
    /// A GPU call was refused.
    pub const GPU: i32 = -4;
    /// A kernel gave 0, which means success, as the code of a failure.
    pub const UNSPECIFIED: i32 = -5;
}

impl Failure {
    /// A failure with the kernel's own code, positive by convention. Of the message the first [`MESSAGE_BYTES`] count.
    #[must_use]
    pub fn new(code: i32, message: impl fmt::Display) -> Self {
        const UNSPECIFIED: NonZeroI32 = NonZeroI32::new(code::UNSPECIFIED).unwrap();
        let mut message = alloc::format!("{message}");
        truncate(&mut message, MESSAGE_BYTES);
        Self { code: NonZeroI32::new(code).unwrap_or(UNSPECIFIED), message }
    }

    /// The input does not mean anything; the message says what in it is wrong.
    #[must_use]
    pub fn bad_input(message: impl fmt::Display) -> Self {
        Self::new(code::BAD_INPUT, message)
    }

    /// What the entry returns; never 0.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.code.get()
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failure {}: {}", self.code, self.message)
    }
}

impl core::error::Error for Failure {}

/// Cuts at the last character boundary that fits.
pub(crate) fn truncate(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_never_a_failure_code() {
        assert_eq!(Failure::new(0, "no").code(), code::UNSPECIFIED);
        assert_eq!(Failure::new(7, "no").code(), 7);
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let failure = Failure::new(1, "x".repeat(MESSAGE_BYTES - 1) + "é and more");
        assert_eq!(failure.message().len(), MESSAGE_BYTES - 1);
    }
}
