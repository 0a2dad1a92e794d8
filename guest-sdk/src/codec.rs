//! Input and output types. A type with a layout of its own implements [`Decode`] and [`Encode`] by hand; any serde type
//! travels inside [`Postcard`]; bytes are bytes.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, code};

/// Something a kernel takes: read from the task's input bytes, which anybody may have written.
pub trait Decode: Sized {
    /// Reads the whole input; bytes left over are an error.
    ///
    /// # Errors
    /// A [`Failure`] that says what is wrong with the bytes, by convention with [`code::BAD_INPUT`].
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure>;
}

/// Something a kernel returns.
pub trait Encode {
    /// The output bytes.
    ///
    /// # Errors
    /// A [`Failure`] if the value cannot be written.
    fn encode(self) -> Result<Vec<u8>, Failure>;
}

/// Any serde type in [postcard](https://postcard.jamesmunns.com) encoding: compact, without field names, the same on
/// every target. `usize` is refused by no one but means 32 bits in Wasm: prefer `u32` and `u64`.
///
/// Decoding allocates no more than a small multiple of the input. A recursive type recurses as deep as its input
/// says and may trap; bound the depth in the type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Postcard<T>(pub T);

/// Reads a `T` from bytes, as the host does with an input.
///
/// # Errors
/// As [`Decode::decode`].
pub fn decode<T: Decode>(bytes: impl Into<Vec<u8>>) -> Result<T, Failure> {
    T::decode(bytes.into())
}

/// Writes a value to bytes, for inputs made natively and outputs to compare with.
///
/// # Errors
/// As [`Encode::encode`].
pub fn encode(value: impl Encode) -> Result<Vec<u8>, Failure> {
    value.encode()
}

impl Decode for Vec<u8> {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        Ok(bytes)
    }
}

/// No input: anything but zero bytes is an error.
impl Decode for () {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        match bytes.len() {
            0 => Ok(()),
            n => Err(Failure::bad_input(format_args!("{n} bytes of input where none are taken"))),
        }
    }
}

impl<T: DeserializeOwned> Decode for Postcard<T> {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        match postcard::take_from_bytes(&bytes) {
            Ok((value, [])) => Ok(Self(value)),
            Ok((_, rest)) => Err(Failure::bad_input(format_args!(
                "{} bytes of input left over after the first {}",
                rest.len(),
                bytes.len() - rest.len()
            ))),
            Err(e) => Err(Failure::bad_input(format_args!("{} bytes of input do not decode: {e}", bytes.len()))),
        }
    }
}

impl Encode for () {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }
}

impl Encode for Vec<u8> {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        Ok(self)
    }
}

impl<T: Serialize> Encode for Postcard<T> {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        postcard::to_allocvec(&self.0)
            .map_err(|e| Failure::new(code::BAD_OUTPUT, format_args!("the value does not encode: {e}")))
    }
}

impl<T: Encode, E: Into<Failure>> Encode for Result<T, E> {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        self.map_err(Into::into)?.encode()
    }
}
