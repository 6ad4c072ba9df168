//! One thing that is wrong with a pipeline file.

use tidemark_engine::Error;

/// A problem found without touching any system, and where in the connector's part of the file it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Keys from the connector's own mapping down to the value: `["streams", "flights", "key"]`.
    pub path: Vec<String>,
    /// What is wrong: a sentence that names the value, without a final full stop.
    pub message: String,
    /// What to do: an imperative.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at `path`.
    pub fn new<P: Into<String>>(path: impl IntoIterator<Item = P>, message: impl Into<String>) -> Self {
        Self { path: path.into_iter().map(Into::into).collect(), message: message.into(), hint: None }
    }

    /// What `error` says of the value at `key`.
    pub(crate) fn of(key: &str, error: &Error) -> Self {
        let hint = error.hint_text().map(str::to_owned);
        Self { path: vec![key.to_owned()], message: error.message().to_owned(), hint }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
