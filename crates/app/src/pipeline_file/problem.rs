//! Everything that is wrong with a pipeline file.

use std::fmt::Write as _;

use super::{source_text::SourceText, tree::Span};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) at: Span,
    /// Keys and list indexes from the top of the file.
    pub(crate) path: Vec<Step>,
    /// What is wrong: no final full stop, never an interpolated value.
    pub(crate) message: String,
    /// The value as it was typed.
    pub(crate) given: Option<String>,
    /// What may stand there, where that is a list.
    pub(crate) allowed: Vec<String>,
    /// What to do: an imperative or a question.
    pub(crate) hint: Option<String>,
}

/// One step down from a map or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Problem {
    pub(crate) fn new(at: Span, path: &[Step], message: impl Into<String>) -> Self {
        let path = path.to_vec();
        Self { at, path, message: message.into(), given: None, allowed: Vec::new(), hint: None }
    }

    #[must_use]
    pub(crate) fn given(mut self, given: impl Into<String>) -> Self {
        self.given = Some(given.into());
        self
    }

    #[must_use]
    pub(crate) fn allowed(mut self, allowed: Vec<String>) -> Self {
        self.allowed = allowed;
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The path in one line: `destinations.warehouse.write`, `streams."public.orders".key[0]`.
    pub(crate) fn dotted_path(&self) -> String {
        let mut dotted = String::new();
        for step in &self.path {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Index(index) => write!(dotted, "[{index}]"),
                Step::Key(key) => {
                    let dot = if dotted.is_empty() { "" } else { "." };
                    let bare = !key.is_empty() && !key.contains(['.', '[', ']', '"', ' ']);
                    if bare { write!(dotted, "{dot}{key}") } else { write!(dotted, "{dot}{key:?}") }
                }
            };
        }
        dotted
    }
}

/// All problems of one file, in its order, with the text they point into.
#[derive(Debug)]
pub(crate) struct Problems {
    pub(crate) file: SourceText,
    pub(crate) list: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(file: SourceText, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.at);
        Self { file, list }
    }
}

/// How a message calls the thing at `path`: destination `warehouse`, `write` of destination `warehouse`,
/// item 2 of `null_values`.
pub(crate) fn name_of(path: &[Step]) -> String {
    match path {
        [] => "the pipeline file".into(),
        [.., Step::Key(collection), Step::Key(name)] if collection == "destinations" => {
            format!("destination `{name}`")
        }
        [.., Step::Key(collection), Step::Key(name)] if collection == "streams" => format!("stream `{name}`"),
        [Step::Key(key)] => format!("`{key}`"),
        [parents @ .., Step::Key(key)] => format!("`{key}` of {}", name_of(parents)),
        [parents @ .., Step::Index(index)] => format!("item {} of {}", index + 1, name_of(parents)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Step {
        Step::Key(key.into())
    }

    #[test]
    fn paths_read_like_a_sentence() {
        let path = [key("source"), key("streams"), key("public.orders"), key("key"), Step::Index(1)];
        assert_eq!(name_of(&path), "item 2 of `key` of stream `public.orders`");
        assert_eq!(name_of(&[key("destinations"), key("w"), key("write")]), "`write` of destination `w`");
        assert_eq!(
            Problem::new(Span::default(), &path, "").dotted_path(),
            "source.streams.\"public.orders\".key[1]"
        );
    }
}
