//! What a kernel logs: bounded lines for its author.

use crate::attempt::{LogLevel, LogLine};
use crate::limits::{LOG_BYTES, LOG_LINE_BYTES, LOG_LINES, LOG_REFUSALS};

/// Lines so far.
#[derive(Default)]
pub(crate) struct Log {
    lines: Vec<LogLine>,
    bytes: usize,
    /// The unfinished line of a byte stream.
    partial: Vec<u8>,
    refusals: u32,
}

impl Log {
    /// Adds a line, cut and dropped as the limits say.
    pub(crate) fn line(&mut self, level: LogLevel, text: &[u8]) {
        let room = LOG_LINE_BYTES.min(LOG_BYTES - self.bytes);
        if self.lines.len() >= LOG_LINES || (room == 0 && !text.is_empty()) {
            return;
        }
        let mut text = String::from_utf8_lossy(&text[..text.len().min(room)]).into_owned();
        // Replacing invalid bytes can make the text longer.
        text.truncate(text.floor_char_boundary(room));
        self.bytes += text.len();
        self.lines.push(LogLine { level, text });
    }

    /// Adds why a call was refused, unless that was said too often: then nobody asks for the sentence either.
    pub(crate) fn refusal(&mut self, why: impl FnOnce() -> Option<String>) {
        if self.refusals < LOG_REFUSALS
            && let Some(why) = why()
        {
            self.refusals += 1;
            self.line(LogLevel::Warn, why.as_bytes());
        }
    }

    /// Adds bytes of standard error; each line feed ends a line.
    pub(crate) fn stream(&mut self, bytes: &[u8]) {
        // Nothing past the limit would be kept, so it need not be looked at either.
        for piece in bytes[..bytes.len().min(LOG_BYTES)].split_inclusive(|b| *b == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LOG_LINE_BYTES - self.partial.len();
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.end_line();
            }
        }
    }

    /// The lines; an unfinished one counts.
    pub(crate) fn finish(mut self) -> Vec<LogLine> {
        if !self.partial.is_empty() {
            self.end_line();
        }
        self.lines
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        self.line(LogLevel::Warn, &line);
    }
}

impl LogLevel {
    /// The level of an ABI number; unknown ones are information.
    pub(crate) fn from_abi(level: i32) -> Self {
        match level {
            p2c2r_abi::level::DEBUG => Self::Debug,
            p2c2r_abi::level::WARN => Self::Warn,
            p2c2r_abi::level::PANIC => Self::Panic,
            _ => Self::Info,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_bytes_are_bounded() {
        let mut log = Log::default();
        for _ in 0..10 * LOG_LINES {
            log.line(LogLevel::Info, b"x");
        }
        assert_eq!(log.finish().len(), LOG_LINES);

        let mut log = Log::default();
        for _ in 0..LOG_LINES {
            log.line(LogLevel::Info, &[0xff; 2 * LOG_LINE_BYTES]);
        }
        let lines = log.finish();
        assert!(lines.iter().all(|l| l.text.len() <= LOG_LINE_BYTES));
        assert!(lines.iter().map(|l| l.text.len()).sum::<usize>() <= LOG_BYTES);
        assert!(!lines.is_empty());
    }

    #[test]
    fn refusals_are_said_a_few_times() {
        let (mut log, mut asked) = (Log::default(), 0);
        for _ in 0..10 * LOG_REFUSALS {
            log.refusal(|| {
                asked += 1;
                Some("no".to_owned())
            });
        }
        assert_eq!((log.finish().len(), asked), (LOG_REFUSALS as usize, LOG_REFUSALS));
    }

    #[test]
    fn cuts_between_characters() {
        let mut log = Log::default();
        log.line(LogLevel::Info, "é".repeat(LOG_LINE_BYTES).as_bytes());
        let mut odd = b"x".to_vec();
        odd.extend_from_slice("é".repeat(LOG_LINE_BYTES).as_bytes());
        log.line(LogLevel::Info, &odd);
        assert!(log.finish().iter().all(|l| l.text.len() <= LOG_LINE_BYTES));
    }

    #[test]
    fn a_stream_is_split_at_line_feeds() {
        let mut log = Log::default();
        log.stream(b"one\ntw");
        log.stream(b"o\n\nthree");
        let texts: Vec<_> = log.finish().into_iter().map(|l| l.text).collect();
        assert_eq!(texts, ["one", "two", "", "three"]);
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let mut log = Log::default();
        for _ in 0..1000 {
            log.stream(&[b'a'; 10_000]);
        }
        assert_eq!(log.finish().iter().map(|l| l.text.len()).sum::<usize>(), LOG_LINE_BYTES);
    }
}
