//! The names of an enum's variants, asked from its own `Deserialize`, so that no list of names can fall behind.

use core::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Names of `M`'s variants; empty if `M` is no enum.
pub(crate) fn of<'de, M: Deserialize<'de>>() -> &'static [&'static str] {
    match M::deserialize(Ask) {
        Err(Answer(names)) => names,
        Ok(_) => &[],
    }
}

/// A deserializer without data: it fails with what it was asked for.
struct Ask;

#[derive(Debug)]
struct Answer(&'static [&'static str]);

impl<'de> Deserializer<'de> for Ask {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Answer> {
        Err(Answer(&[]))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(variants))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl core::error::Error for Answer {}

impl de::Error for Answer {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self(&[])
    }
}

#[cfg(test)]
mod tests {
    use crate::message::{Door, Knock};

    #[test]
    fn an_enum_names_its_variants() {
        assert_eq!(super::of::<Knock>(), ["hello", "proof"]);
        assert_eq!(super::of::<Door>(), ["challenge", "welcome", "refused"]);
        assert!(super::of::<String>().is_empty());
    }
}
