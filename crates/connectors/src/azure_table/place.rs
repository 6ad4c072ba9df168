//! Where a table is gone on with: "Query timeout and pagination" of Microsoft's documentation.

use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use tidemark_engine::{Error, Result};

const PARTITION: HeaderName = HeaderName::from_static("x-ms-continuation-nextpartitionkey");
const ROW: HeaderName = HeaderName::from_static("x-ms-continuation-nextrowkey");
const TABLE: HeaderName = HeaderName::from_static("x-ms-continuation-nexttablename");

/// The first entity of the next page, in the service's own coding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) partition: String,
    /// The service may give none: the partition's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) row: Option<String>,
}

impl Place {
    /// Where an answer with these headers says to go on; `None`: nothing follows. How many entities it had says nothing.
    pub(super) fn after(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(partition) = text(headers, &PARTITION)? else { return Ok(None) };
        Ok(Some(Self { partition, row: text(headers, &ROW)? }))
    }

    /// As the text that is kept.
    pub(super) fn to_token(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("the place of a page cannot be written").source(error))
    }

    /// Reads it back.
    pub(super) fn from_token(token: &str) -> Result<Self> {
        serde_json::from_str(token).map_err(|error| {
            Error::conflict("the place of a page cannot be read")
                .hint("have the stream read anew: `tidemark resync FILE --stream NAME`")
                .source(error)
        })
    }
}

/// Where a list of tables goes on.
pub(super) fn next_table(headers: &HeaderMap) -> Result<Option<String>> {
    text(headers, &TABLE)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>> {
    let read = |value: &http::HeaderValue| value.to_str().map(str::to_owned);
    headers
        .get(name)
        .map(read)
        .transpose()
        .map_err(|error| Error::data(format!("the header `{name}` of an answer is no text")).source(error))
}
