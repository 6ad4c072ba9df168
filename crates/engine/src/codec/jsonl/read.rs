//! An object as a change.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{INFINITY, Key};
use crate::codec::text::{Elements, Filling, Slot, Unsound};

/// Fills one cell of each of `columns` from `line`.
pub(super) fn change(keys: &[Key], line: &str, columns: &mut [Filling]) -> Result<(), Unsound> {
    let mut json = serde_json::Deserializer::from_str(line);
    let read = json.deserialize_map(Object { keys, fields: columns }).and_then(|()| json.end());
    // What the library says may hold a value.
    read.map_err(|error| format!("its JSON is not what was written, from byte {}", error.column()).into())
}

/// The fields of an object, in the order of the columns; those that are left out have no value.
struct Object<'r> {
    keys: &'r [Key],
    fields: &'r mut [Filling],
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { keys, fields } = self;
        let mut next = 0;
        while let Some(found) = map.next_key_seed(Name { keys, next })? {
            fields[next..found].iter_mut().for_each(Filling::null);
            map.next_value_seed(Value { key: &keys[found], filling: &mut fields[found] })?;
            next = found + 1;
        }
        fields[next..].iter_mut().for_each(Filling::null);
        Ok(())
    }
}

/// The name of a field, which is found at `next` or behind it: none stands twice.
struct Name<'r> {
    keys: &'r [Key],
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        let found = self.keys[self.next..].iter().position(|key| key.name == name);
        found.map(|found| self.next + found).ok_or_else(|| E::custom("an unknown column"))
    }
}

/// The value of one cell.
struct Value<'r> {
    key: &'r Key,
    filling: &'r mut Filling,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.filling.slot() {
            // To the letter: no number goes through another type.
            Slot::Plain(filling) => {
                let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
                let text = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(raw);
                match raw {
                    "null" => filling.null(),
                    _ => filling.parse(text, INFINITY).ok_or_else(|| D::Error::custom("another value"))?,
                }
                Ok(())
            }
            Slot::Text(_) | Slot::List(_) | Slot::Struct(_) => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the column")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.filling.null();
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let Slot::Text(builder) = self.filling.slot() else { return Err(E::custom("a text")) };
        builder.append_value(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Slot::List(mut list) = self.filling.slot() else { return Err(A::Error::custom("a list")) };
        let key = &self.key.below[0];
        while elements.next_element_seed(Element { key, list: &mut list })?.is_some() {}
        list.end();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Slot::Struct(mut parts) = self.filling.slot() else { return Err(A::Error::custom("an object")) };
        Object { keys: &self.key.below, fields: parts.fields() }.visit_map(map)?;
        parts.end();
        Ok(())
    }
}

/// The next element of a list, if there is one.
struct Element<'r, 'f> {
    key: &'r Key,
    list: &'r mut Elements<'f>,
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        Value { key: self.key, filling: self.list.next() }.deserialize(deserializer)
    }
}
