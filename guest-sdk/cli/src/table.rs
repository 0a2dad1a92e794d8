//! Two columns for people: a label and its value.

use std::io::{self, Write};

/// Width of the label column.
const LABEL: usize = 10;

/// Writes one line; further lines of the value are indented under the first.
pub(crate) fn line(out: &mut impl Write, label: &str, value: &str) -> io::Result<()> {
    let mut lines = value.lines();
    writeln!(out, "{label:LABEL$} {}", lines.next().unwrap_or_default())?;
    lines.try_for_each(|more| writeln!(out, "{:LABEL$} {more}", ""))
}

/// A byte count: `17 B`, `1.5 KiB`, `32 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let (mut value, mut unit) = (count as f64, "B");
    for next in ["KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if value.fract() < 0.05 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A number with thin groups of three digits: `1_234_567`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers() {
        for (count, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (32 << 20, "32 MiB"), (5 << 40, "5120 GiB")]
        {
            assert_eq!(bytes(count), text);
        }
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1_000"), (1_234_567, "1_234_567")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn further_lines_are_indented() {
        let mut out = Vec::new();
        line(&mut out, "shaders", "one\ntwo").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "shaders    one\n           two\n");
    }
}
