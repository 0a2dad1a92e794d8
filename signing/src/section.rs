//! The outermost layer of a WebAssembly binary: header and sections, as far as signing needs to know them.
//! Bodies are not read here.

use crate::limits::{MODULE_BYTES, SECTIONS};
use crate::signature::KeyId;

/// Magic and version of a core module.
pub(crate) const HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";

const CUSTOM: u8 = 0;

/// Section ids in the order the specification wants them, with their names (core specification 5.5.2; `tag` from the
/// exception handling proposal keeps its place although the sandbox refuses it later, with a better reason).
const ORDER: [(u8, &str); 13] = [
    (1, "type"),
    (2, "import"),
    (3, "function"),
    (4, "table"),
    (5, "memory"),
    (13, "tag"),
    (6, "global"),
    (7, "export"),
    (8, "start"),
    (9, "element"),
    (12, "data count"),
    (10, "code"),
    (11, "data"),
];

/// Bytes that are no module, or not one this crate reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Over the size limit.
    #[error("module is {bytes} bytes, the limit is {MODULE_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not a core WebAssembly module.
    #[error("not a core webassembly module: starts with {got}, want 0061736d01000000")]
    NotWasm {
        /// The first bytes, up to 8, in hex.
        got: String,
    },
    /// The bytes end inside something.
    #[error("{what} at byte {offset} needs {need} bytes, {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// Bytes it needs.
        need: usize,
        /// Bytes left.
        left: usize,
    },
    /// A LEB128 integer that is no 32-bit number, or in a signature not in its shortest form.
    #[error("{what} at byte {offset} is not a {} 32-bit number", if *shortest { "shortest-form" } else { "valid" })]
    Number {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// Whether only the shortest form is accepted here.
        shortest: bool,
    },
    /// More sections than accepted.
    #[error("module has more than {SECTIONS} sections")]
    TooManySections,
    /// A section id nobody knows.
    #[error("section id {id} at byte {offset} is unknown")]
    UnknownSection {
        /// The id.
        id: u8,
        /// Where the section starts.
        offset: usize,
    },
    /// A standard section twice.
    #[error("{section} section at byte {offset} is a duplicate")]
    DuplicateSection {
        /// Its name.
        section: &'static str,
        /// Where the second starts.
        offset: usize,
    },
    /// A standard section out of order.
    #[error("{section} section at byte {offset} comes after the {after} section, the standard order is the reverse")]
    SectionOrder {
        /// Its name.
        section: &'static str,
        /// Where it starts.
        offset: usize,
        /// The section before it.
        after: &'static str,
    },
    /// A custom section's name is not UTF-8.
    #[error("name of the custom section at byte {offset} is not utf-8")]
    SectionName {
        /// Where the section starts.
        offset: usize,
    },
    /// A custom section this crate owns, twice.
    #[error("custom section {name} at byte {offset} is a duplicate")]
    DuplicateCustom {
        /// Its name.
        name: String,
        /// Where the second starts.
        offset: usize,
    },
    /// A `signature` section that is not the first.
    #[error("signature section at byte {offset} is not the first section")]
    SignatureNotFirst {
        /// Where it starts.
        offset: usize,
    },
    /// A delimiter: the mark of a signature over only a part.
    #[error("signature_delimiter section at byte {offset}: signatures over parts of a module are not accepted")]
    Delimiter {
        /// Where it starts.
        offset: usize,
    },
    /// A name in the reserved space that means nothing.
    #[error("custom section {name} at byte {offset}: names starting with p2c2r. are reserved")]
    Reserved {
        /// Its name, cut to 80 characters.
        name: String,
        /// Where it starts.
        offset: usize,
    },
    /// A field of the signature section with a value other than the one accepted.
    #[error("signature section: {field} is {got}, want {want}")]
    Signature {
        /// Which field.
        field: &'static str,
        /// Its value.
        got: u64,
        /// What is accepted.
        want: &'static str,
    },
    /// Bytes behind the end of the signature.
    #[error("signature section has {left} bytes behind its end")]
    SignatureTrailing {
        /// How many.
        left: usize,
    },
    /// The signer section is not a public key.
    #[error("p2c2r.signer is {bytes} bytes, want 32")]
    SignerSize {
        /// Its size.
        bytes: usize,
    },
    /// The signature section and the signer section name different keys.
    #[error("p2c2r.signer is {key}, but the signature section names {key_id}")]
    TwoSigners {
        /// In the signer section.
        key: KeyId,
        /// In the signature section.
        key_id: KeyId,
    },
    /// Manifest over its limit.
    #[error("manifest is {bytes} bytes, the limit is {}", crate::limits::MANIFEST_BYTES)]
    ManifestTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A manifest or shader that is not UTF-8.
    #[error("{name} is not utf-8")]
    NotText {
        /// The section's name.
        name: String,
    },
    /// A shader that may not be in a module.
    #[error(transparent)]
    Shader(#[from] ShaderError),
}

/// A shader that may not be in a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShaderError {
    /// A name outside the alphabet.
    #[error("shader name {name:?} is not 1 to {} of a-z 0-9 _ -", crate::limits::NAME_BYTES)]
    Name {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// Two shaders of one name.
    #[error("two shaders are named {name:?}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An empty or oversized text.
    #[error("shader {name:?} is {bytes} bytes, 1 to {} are accepted", crate::limits::SHADER_BYTES)]
    Size {
        /// The name.
        name: String,
        /// Its size.
        bytes: usize,
    },
    /// More than accepted.
    #[error("module has {count} shaders or more, the limit is {}", crate::limits::SHADERS)]
    TooMany {
        /// How many were counted before giving up.
        count: usize,
    },
}

/// One section in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    /// Where its id byte is.
    pub(crate) start: usize,
    /// Where the next section starts.
    pub(crate) end: usize,
    /// Where its content starts: behind the name if it is custom.
    pub(crate) content: usize,
    /// Its name if it is custom.
    pub(crate) custom: Option<&'a str>,
}

/// All sections of a module, in file order, with the standard ones in standard order and none twice.
pub(crate) fn read_sections(module: &[u8]) -> Result<Vec<Section<'_>>, FormatError> {
    if module.len() > MODULE_BYTES {
        return Err(FormatError::TooLarge { bytes: module.len() });
    }
    if !module.starts_with(&HEADER) {
        return Err(FormatError::NotWasm { got: crate::keys::hex(&module[..module.len().min(HEADER.len())]) });
    }
    let mut reader = Reader::new(module, HEADER.len());
    let mut sections = Vec::new();
    let mut last: Option<usize> = None;
    while reader.left() > 0 {
        if sections.len() == SECTIONS {
            return Err(FormatError::TooManySections);
        }
        let start = reader.at;
        let id = reader.byte("section id")?;
        let bytes = reader.number("section size", false)?;
        let mut body = Reader { at: reader.at, bytes: &module[..reader.at + reader.take("section", bytes)?.len()] };
        let end = body.bytes.len();
        let custom = if id == CUSTOM {
            let name_bytes = body.number("custom section name length", false)?;
            let name = core::str::from_utf8(body.take("custom section name", name_bytes)?);
            Some(name.or(Err(FormatError::SectionName { offset: start }))?)
        } else {
            let rank = ORDER.iter().position(|(known, _)| *known == id);
            let rank = rank.ok_or(FormatError::UnknownSection { id, offset: start })?;
            let section = ORDER[rank].1;
            match last {
                Some(l) if l == rank => return Err(FormatError::DuplicateSection { section, offset: start }),
                Some(l) if l > rank => {
                    return Err(FormatError::SectionOrder { section, offset: start, after: ORDER[l].1 });
                }
                _ => last = Some(rank),
            }
            None
        };
        sections.push(Section { start, end, content: body.at, custom });
    }
    Ok(sections)
}

/// Appends a custom section in its shortest form.
pub(crate) fn put_custom(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut body = Vec::with_capacity(name.len() + content.len() + 5);
    put_number(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(content);
    out.push(CUSTOM);
    put_number(out, body.len());
    out.extend_from_slice(&body);
}

/// Appends an unsigned LEB128 integer in its shortest form.
pub(crate) fn put_number(out: &mut Vec<u8>, mut n: usize) {
    while n > 0x7f {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A cursor that never reads past its end and says what it wanted there.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at byte `at`, which offsets in errors count from the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take(&mut self, what: &'static str, need: usize) -> Result<&'a [u8], FormatError> {
        let left = &self.bytes[self.at..];
        match left.get(..need) {
            Some(taken) => {
                self.at += need;
                Ok(taken)
            }
            None => Err(FormatError::Truncated { what, offset: self.at, need, left: left.len() }),
        }
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, FormatError> {
        self.take(what, 1).map(|b| b[0])
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(what, N)?);
        Ok(array)
    }

    /// An unsigned LEB128 integer of 32 bits (core specification 5.2.2: at most 5 bytes, unused bits zero).
    pub(crate) fn number(&mut self, what: &'static str, shortest: bool) -> Result<usize, FormatError> {
        let offset = self.at;
        let bad = FormatError::Number { what, offset, shortest };
        let mut value = 0u64;
        for i in 0..5 {
            let byte = self.byte(what)?;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                let padded = i > 0 && byte == 0;
                let fits = u32::try_from(value).is_ok() && !(padded && shortest);
                return if fits { usize::try_from(value).or(Err(bad)) } else { Err(bad) };
            }
        }
        Err(bad)
    }
}
