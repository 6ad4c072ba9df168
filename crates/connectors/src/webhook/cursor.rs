//! The part of the cursor that a stream of messages keeps: the columns known so far, and the ids of the latest messages. They are in
//! the cursor of the very commit that holds their messages, so after whatever happens a message is staged exactly if its id is known.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemark_engine::{
    Error, Result,
    log::{StateObject, States},
};

use super::ids::RecentIds;
use crate::records::Known;

/// Everything a stream needs to go on where it stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HookCursor {
    /// The columns seen so far; with the stream's name and key they are its schema.
    pub(super) columns: Known,
    /// The ids of the messages that were taken last, as base64, 8 bytes each.
    latest: String,
    /// Where those before them stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) aside: Option<StateObject>,
}

impl HookCursor {
    /// With the `ids` that are at hand, and the rest in `aside`.
    pub(super) fn new(columns: Known, ids: &RecentIds, aside: Option<StateObject>) -> Self {
        Self { columns, latest: STANDARD.encode(ids.at_hand()), aside }
    }

    /// Reads the part back; `None` is the beginning.
    pub(super) fn parse(part: Option<&Bytes>) -> Result<Self> {
        let Some(part) = part else { return Ok(Self::default()) };
        serde_json::from_slice(part).map_err(|error| unread().source(error))
    }

    /// As the opaque bytes of the cursor.
    pub(super) fn to_bytes(&self) -> Result<Bytes> {
        let json = serde_json::to_vec(self).map_err(|error| {
            Error::internal("the cursor of a stream of web hooks cannot be written").source(error)
        })?;
        Ok(json.into())
    }

    /// The ids of the latest messages.
    pub(super) async fn ids(&self, states: &States) -> Result<RecentIds> {
        let latest = STANDARD.decode(&self.latest).map_err(|error| unread().source(error))?;
        let aside = match &self.aside {
            Some(object) => states.get(object).await?,
            None => Bytes::new(),
        };
        RecentIds::read(&aside, &latest).ok_or_else(unread)
    }

    /// With no message known: what is sent again is taken again.
    pub(super) fn anew(self) -> Self {
        Self { columns: self.columns, ..Self::default() }
    }
}

fn unread() -> Error {
    Error::conflict("the cursor of a stream of web hooks cannot be read")
        .hint("a newer Tidemark may have written it: upgrade this one")
}
