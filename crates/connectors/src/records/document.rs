//! A JSON document before its records: whether it is sound, and what stands where in it.

use std::{collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use tidemark_engine::{Error, Result};

use super::{
    path::{RecordPath, Step},
    scan::MAX_DEPTH,
};

/// The text of a JSON document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// Whose document it is, for a person.
    pub(super) origin: &'a str,
}

impl<'a> Document<'a> {
    /// `bytes` as a document, if they are text. Whether they are JSON shows when they are read.
    pub(super) fn new(bytes: &'a [u8], origin: &'a str) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            Error::data(format!("`{origin}` is not UTF-8"))
                .hint("send JSON, which is UTF-8 by its definition")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Self { text, origin })
    }

    /// Fails if values are nested too deeply.
    pub(super) fn check_depth(self) -> Result<()> {
        match is_too_deep(self.text.as_bytes()) {
            false => Ok(()),
            true => {
                Err(Error::data(format!("`{}` has values nested more than {MAX_DEPTH} deep", self.origin))
                    .hint("send flatter documents"))
            }
        }
    }

    /// The values at `path`, in order. What the path names has to be there, unless it `may_lack`.
    pub(super) fn values(self, path: &RecordPath, may_lack: bool) -> Result<Vec<&'a str>> {
        let whole = serde_json::from_str::<&RawValue>(self.text).map_err(|error| self.no_json(&error))?;
        let mut values = vec![whole.get()];
        for step in path.steps() {
            let mut inside = Vec::new();
            for value in values {
                match step {
                    Step::Every => inside.extend(self.items(value, path)?),
                    Step::Key(name) => match self.member(value, name, path)? {
                        Some(member) => inside.push(member),
                        None if may_lack => {}
                        None => return Err(self.lacks(name, path)),
                    },
                    Step::Item(number) => match self.items(value, path)?.get(*number) {
                        Some(item) => inside.push(item),
                        None if may_lack => {}
                        None => return Err(self.lacks(&number.to_string(), path)),
                    },
                }
            }
            values = inside;
        }
        Ok(values)
    }

    /// The one value at `path`, if there is one.
    pub(super) fn value(self, path: &RecordPath) -> Result<Option<&'a str>> {
        let whole = serde_json::from_str::<&RawValue>(self.text).map_err(|error| self.no_json(&error))?;
        let mut value = whole.get();
        for step in path.steps() {
            let inside = match step {
                Step::Key(name) => self.member(value, name, path)?,
                Step::Item(number) => self.items(value, path)?.get(*number).copied(),
                Step::Every => {
                    return Err(Error::config(format!("`{path}` leads to many values, where one is meant"))
                        .hint("leave out `[*]`"));
                }
            };
            match inside {
                Some(inside) => value = inside,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }

    fn lacks(self, name: &str, path: &RecordPath) -> Error {
        Error::data(format!("`{}` has no `{name}` where `{path}` leads", self.origin))
            .hint("correct the path, or look at what the source answers")
    }

    /// The items of an array.
    pub(super) fn items(self, value: &'a str, path: &RecordPath) -> Result<Vec<&'a str>> {
        let items = serde_json::Deserializer::from_str(value).deserialize_seq(Items);
        items.map_err(|_| {
            Error::data(format!("`{}` has no array where `{path}` leads", self.origin))
                .hint("correct the path, or look at what the source answers")
        })
    }

    /// The value of the key `name`, in an object that has no key twice.
    fn member(self, value: &'a str, name: &str, path: &RecordPath) -> Result<Option<&'a str>> {
        let member = serde_json::Deserializer::from_str(value).deserialize_map(Member { name });
        match member {
            Ok(Found { value, twice: false }) => Ok(value),
            Ok(Found { twice: true, .. }) => Err(Error::data(format!(
                "`{}` has a key twice in an object where `{path}` leads",
                self.origin
            ))
            .hint("ask whoever makes the document which of the two counts")),
            Err(_) => Err(Error::data(format!("`{}` has no object where `{path}` leads", self.origin))
                .hint("correct the path, or look at what the source answers")),
        }
    }

    /// The parser's own message may hold a value.
    fn no_json(self, error: &serde_json::Error) -> Error {
        Error::data(format!(
            "`{}` is not a JSON document (line {}, character {})",
            self.origin,
            error.line(),
            error.column()
        ))
        .hint("look whether it arrived whole, and whether it is JSON at all")
    }
}

/// Whether brackets outside of strings are nested too deeply.
fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    text.iter().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

/// Reads the items of an array to the letter.
struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            all.push(item.get());
        }
        Ok(all)
    }
}

/// Reads the value of one key to the letter.
struct Member<'n> {
    name: &'n str,
}

/// What an object has under a key.
struct Found<'de> {
    value: Option<&'de str>,
    /// Whether the object has any key twice.
    twice: bool,
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut names) = (Found { value: None, twice: false }, HashSet::new());
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if name == self.name {
                found.value = Some(value.get());
            }
            found.twice |= !names.insert(name);
        }
        Ok(found)
    }
}
