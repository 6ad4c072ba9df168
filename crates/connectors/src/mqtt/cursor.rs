//! The part of the cursor that the session keeps. There is one for all streams: messages are acknowledged in their order.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemark_engine::{Cursor, Error, PartId, Result};

use super::delivered::Delivered;
use crate::records::Known;

/// Everything that is needed to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionCursor {
    /// Whose session it is: the broker's address and our name there.
    pub(super) broker: String,
    pub(super) client_id: String,
    /// The filters that the broker has granted.
    pub(super) filters: Vec<String>,
    /// The last messages of the session.
    pub(super) delivered: Delivered,
    /// Whether the broker was seen to use an identifier again at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) reuses_ids: bool,
    /// The columns seen so far, by stream.
    pub(super) columns: BTreeMap<String, Known>,
}

impl SessionCursor {
    /// The part of the source that the session is.
    pub(super) fn part() -> PartId {
        PartId::new("session")
    }

    /// Where the session stands in `cursor`; empty the first time.
    pub(super) fn of(cursor: &Cursor) -> Result<Self> {
        let Some(bytes) = cursor.get(&Self::part()) else { return Ok(Self::default()) };
        serde_json::from_slice(bytes)
            .map_err(|error| Error::conflict("the cursor of the session cannot be read").source(error))
    }

    /// What is kept of it in the log.
    pub(super) fn to_bytes(&self) -> Result<Bytes> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|error| Error::internal("the cursor of the session cannot be written").source(error))
    }

    /// Begins another session, of which nothing is known; what is known of the streams stays.
    pub(super) fn begin(&mut self, broker: &str, client_id: &str) {
        *self = Self {
            broker: broker.to_owned(),
            client_id: client_id.to_owned(),
            columns: std::mem::take(&mut self.columns),
            ..Self::default()
        };
    }
}
