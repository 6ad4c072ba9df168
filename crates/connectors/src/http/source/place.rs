//! Where the next page is, as it is kept between pages and processes.

use serde::{Deserialize, Serialize};
use tidemark_engine::{Error, Result};

/// One page among those of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    /// At this URL.
    Url(String),
    /// With these parameters in the query.
    Parameters(Vec<(String, String)>),
    /// With this for `{{ token }}`, and for a parameter of the query where one takes it.
    Token(String),
    /// The page with this number, or behind so many records.
    Number(u64),
}

/// One page of a stream that is asked for every record of another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildPlace {
    /// The parent's page; `None`: its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parents: Option<Place>,
    /// Which record on it.
    pub(super) parent: usize,
    /// The page of that parent's records; `None`: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<Place>,
}

/// As the text that is kept.
pub(super) fn write<T: Serialize>(place: &T) -> Result<String> {
    serde_json::to_string(place)
        .map_err(|error| Error::internal("the place of a page cannot be written").source(error))
}

/// Reads it back.
pub(super) fn read<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Result<Option<T>> {
    let unreadable = |error: serde_json::Error| {
        Error::conflict("the place of a page cannot be read")
            .hint("the way pages are found has changed: have the stream read anew, `tidemark resync FILE --stream NAME`")
            .source(error)
    };
    text.map(serde_json::from_str).transpose().map_err(unreadable)
}
