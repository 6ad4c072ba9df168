//! The pipeline file as a tree in which every key and value knows where it stands.

/// A stretch of the file, in lines and columns that count characters from 1. Empty: the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Span {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Span,
    pub(crate) value: Value,
}

/// The shapes YAML has.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Span,
    pub(crate) value: Node,
}

/// A single value: what was typed, and the text it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    /// Before interpolation: the only form that may be shown.
    pub(crate) typed: String,
    /// After interpolation.
    pub(crate) text: String,
    /// Without quotes, so that `5` is a number and `true` a truth value.
    pub(crate) plain: bool,
}

/// What a plain scalar means by YAML's core schema (YAML 1.2.2, section 10.3.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Meaning {
    Nothing,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text,
}

impl Node {
    /// The value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries_mut().iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
    }

    /// The keys of a map; of anything else none.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        match &mut self.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &mut [],
        }
    }

    /// The text of a single value.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Adds what `other` has and this does not, where both are maps, and in maps within them. What is of another `type` has other
    /// keys, and takes none.
    pub(crate) fn put_beneath(&mut self, other: &Self) {
        let type_of = |node: &Self| node.get("type").and_then(|entry| entry.value.text().map(str::to_owned));
        if let (Some(own), Some(others)) = (type_of(self), type_of(other))
            && own != others
        {
            return;
        }
        let (Value::Map(own), Value::Map(others)) = (&mut self.value, &other.value) else { return };
        for entry in others {
            match own.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => known.value.put_beneath(&entry.value),
                None => own.push(entry.clone()),
            }
        }
    }

    /// Has all of it stand `at` one place: it came from elsewhere.
    pub(crate) fn stand(&mut self, at: Span) {
        self.at = at;
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| item.stand(at)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                entry.key_at = at;
                entry.value.stand(at);
            }),
        }
    }

    /// Whether nothing was written.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.meaning() == Meaning::Nothing)
    }

    /// Where the value at `path` stands. What was left out is pointed at by the deepest key that is there; a map or
    /// list by its key.
    pub(crate) fn locate<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Span {
        let (mut node, mut at) = (self, Span::default());
        for step in path {
            let (next, key_at) = match &node.value {
                Value::Map(_) => match node.get(step) {
                    Some(entry) => (&entry.value, entry.key_at),
                    None => return at,
                },
                Value::List(items) => match step.parse().ok().and_then(|index: usize| items.get(index)) {
                    Some(item) => (item, item.at),
                    None => return at,
                },
                Value::Scalar(_) => return at,
            };
            (node, at) = (next, key_at);
        }
        match node.value {
            Value::Scalar(_) if !node.is_nothing() => node.at,
            _ => at,
        }
    }
}

impl Scalar {
    /// Whether a `${…}` was replaced in it.
    pub(crate) fn is_interpolated(&self) -> bool {
        self.typed != self.text
    }

    /// What it is when nothing else says so. An interpolated value is text unless its key asks for something else,
    /// so that a password of digits stays what it is.
    pub(crate) fn meaning(&self) -> Meaning {
        if self.plain && !self.is_interpolated() { self.plain_meaning() } else { Meaning::Text }
    }

    /// What it is under a key that takes a number or a truth value: an interpolated value counts as if typed there.
    pub(crate) fn plain_meaning(&self) -> Meaning {
        if !self.plain {
            return Meaning::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Nothing,
            "true" | "True" | "TRUE" => Meaning::Bool(true),
            "false" | "False" | "FALSE" => Meaning::Bool(false),
            text => {
                let digit = text
                    .trim_start_matches(['+', '-', '.'])
                    .starts_with(|first: char| first.is_ascii_digit());
                match (text.parse(), text.parse()) {
                    (Ok(integer), _) if digit => Meaning::Integer(integer),
                    (_, Ok(float)) if digit => Meaning::Float(float),
                    _ => Meaning::Text,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar {
        Scalar { typed: text.into(), text: text.into(), plain: true }
    }

    #[test]
    fn plain_scalars_mean_what_yaml_says() {
        assert_eq!(plain("").meaning(), Meaning::Nothing);
        assert_eq!(plain("true").meaning(), Meaning::Bool(true));
        assert_eq!(plain("-5").meaning(), Meaning::Integer(-5));
        assert_eq!(plain("1.5").meaning(), Meaning::Float(1.5));
        for text in ["yes", "no", "inf", "nan", "-", "15m", "1.2.3", "0x"] {
            assert_eq!(plain(text).meaning(), Meaning::Text, "{text}");
        }
        assert_eq!(Scalar { plain: false, ..plain("5") }.meaning(), Meaning::Text);
    }

    #[test]
    fn an_interpolated_value_is_text_until_its_key_asks_otherwise() {
        let port = Scalar { typed: "${PORT}".into(), text: "5432".into(), plain: true };
        assert_eq!(port.meaning(), Meaning::Text);
        assert_eq!(port.plain_meaning(), Meaning::Integer(5432));
    }
}
