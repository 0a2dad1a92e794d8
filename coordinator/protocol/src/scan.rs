//! A walk over a MessagePack header before anything is built from it: every length is held against the bytes that are
//! there and against [`crate::limits`], so that a length that lies costs nothing.

use crate::frame::FrameError;
use crate::limits;

/// Checks the whole header and returns the name of its message: the text itself, or the only key of a map.
pub(crate) fn check(header: &[u8]) -> Result<&str, FrameError> {
    let name = name(header)?;
    let mut scan = Scan { header, at: 0 };
    scan.value(0)?;
    match header.len() - scan.at {
        0 => Ok(name),
        bytes => Err(FrameError::TrailingBytes { bytes }),
    }
}

fn name(header: &[u8]) -> Result<&str, FrameError> {
    let mut scan = Scan { header, at: 0 };
    let bad = |what| FrameError::BadMessagePack { offset: 0, what };
    match scan.head()? {
        Head::Text(bytes) => scan.text(bytes),
        Head::Map(1) => match scan.head()? {
            Head::Text(bytes) => scan.text(bytes),
            _ => Err(bad("the message's name is not a text")),
        },
        _ => Err(bad("a message is a text or a map with one entry")),
    }
}

/// What a marker byte announces.
enum Head {
    /// Nothing more than these bytes behind the marker.
    Scalar(usize),
    Text(usize),
    Binary(usize),
    Array(usize),
    /// Pairs.
    Map(usize),
}

struct Scan<'a> {
    header: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// One value with everything in it. Recursion is bounded by [`limits::DEPTH`].
    fn value(&mut self, depth: usize) -> Result<(), FrameError> {
        match self.head()? {
            Head::Scalar(bytes) => self.take(bytes).map(drop),
            Head::Text(bytes) => self.text(bytes).map(drop),
            Head::Binary(bytes) if bytes > limits::BINARY_BYTES => {
                Err(FrameError::BinaryTooLong { bytes, limit: limits::BINARY_BYTES })
            }
            Head::Binary(bytes) => self.take(bytes).map(drop),
            Head::Array(items) => self.values(items, 1, depth),
            Head::Map(items) => self.values(items, 2, depth),
        }
    }

    fn values(&mut self, items: usize, each: usize, depth: usize) -> Result<(), FrameError> {
        if items > limits::ITEMS {
            return Err(FrameError::TooManyItems { what: "array or map", items, limit: limits::ITEMS });
        }
        if depth >= limits::DEPTH {
            return Err(FrameError::TooDeep { limit: limits::DEPTH });
        }
        (0..items * each).try_for_each(|_| self.value(depth + 1))
    }

    fn text(&mut self, bytes: usize) -> Result<&'a str, FrameError> {
        if bytes > limits::TEXT_BYTES {
            return Err(FrameError::TextTooLong { bytes, limit: limits::TEXT_BYTES });
        }
        let offset = self.at;
        core::str::from_utf8(self.take(bytes)?)
            .map_err(|_not_utf8| FrameError::BadMessagePack { offset, what: "a text that is not UTF-8" })
    }

    fn head(&mut self) -> Result<Head, FrameError> {
        let offset = self.at;
        let marker = self.length(1)?;
        let low = |bits: usize| marker & bits;
        Ok(match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Head::Scalar(0),
            0x80..=0x8f => Head::Map(low(0x0f)),
            0x90..=0x9f => Head::Array(low(0x0f)),
            0xa0..=0xbf => Head::Text(low(0x1f)),
            0xc4..=0xc6 => Head::Binary(self.length(1 << (marker - 0xc4))?),
            0xcc..=0xcf => Head::Scalar(1 << (marker - 0xcc)),
            0xd0..=0xd3 => Head::Scalar(1 << (marker - 0xd0)),
            0xca => Head::Scalar(4),
            0xcb => Head::Scalar(8),
            0xd9..=0xdb => Head::Text(self.length(1 << (marker - 0xd9))?),
            0xdc | 0xdd => Head::Array(self.length(2 << (marker - 0xdc))?),
            0xde | 0xdf => Head::Map(self.length(2 << (marker - 0xde))?),
            _ => return Err(FrameError::BadMessagePack { offset, what: "a reserved or extension type" }),
        })
    }

    /// A big-endian number of 1, 2 or 4 bytes.
    fn length(&mut self, bytes: usize) -> Result<usize, FrameError> {
        Ok(self.take(bytes)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], FrameError> {
        let rest = self.header.get(self.at..).unwrap_or_default();
        let taken = rest
            .get(..bytes)
            .ok_or(FrameError::BadMessagePack { offset: self.at, what: "the header ends inside a value" })?;
        self.at += bytes;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_error(header: &[u8], expected: &str) {
        let error = check(header).expect_err("must be refused").to_string();
        assert!(error.contains(expected), "{header:02x?}: {error}");
    }

    #[test]
    fn lengths_that_lie_are_refused_before_anything_is_built() {
        check_error(&[], "ends inside a value");
        check_error(&[0xdb, 0xff, 0xff, 0xff, 0xff], "text of 4294967295 bytes is over the limit of 1024");
        check_error(&[0xa5, b'a'], "ends inside a value");
        check_error(&[0x81, 0xa1, b'x', 0xdd, 0xff, 0xff, 0xff, 0xff], "4294967295 items are over the limit of 128");
        check_error(&[0x81, 0xa1, b'x', 0xdf, 0xff, 0xff, 0xff, 0xff], "4294967295 items are over the limit of 128");
        check_error(&[0x81, 0xa1, b'x', 0xc6, 0xff, 0xff, 0xff, 0xff], "binary field of 4294967295 bytes");
        check_error(&[0x81, 0xa1, b'x', 0xdc, 0x00, 0x80], "ends inside a value");
        check_error(&[0x81, 0xa1, b'x', 0xcf, 0x00], "ends inside a value");
    }

    #[test]
    fn what_the_wire_does_not_use_is_refused() {
        check_error(&[0x01], "a text or a map with one entry");
        check_error(&[0x82, 0xa1, b'x', 0xc0, 0xa1, b'y', 0xc0], "a text or a map with one entry");
        check_error(&[0x81, 0x01, 0xc0], "name is not a text");
        check_error(&[0x81, 0xa1, b'x', 0xc1], "reserved or extension type");
        check_error(&[0x81, 0xa1, b'x', 0xd4, 0x00, 0x00], "reserved or extension type");
        check_error(&[0xa1, 0xff], "not UTF-8");
        check_error(&[0xa1, b'x', 0xc0, 0xc0], "2 bytes of garbage");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| {
            let mut header = vec![0x81, 0xa1, b'x'];
            header.extend(core::iter::repeat_n(0x91, levels));
            header.push(0xc0);
            header
        };
        assert_eq!(check(&nested(limits::DEPTH - 1)), Ok("x"));
        check_error(&nested(limits::DEPTH), "nests deeper than 8 levels");
        check_error(&nested(limits::HEADER_BYTES), "nests deeper than 8 levels");
    }
}
