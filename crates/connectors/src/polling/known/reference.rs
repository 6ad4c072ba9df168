//! What a cursor says of what is known: which objects hold it.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tidemark_engine::log::StateObject;

/// What is known of a stream's records, as a cursor names it. The default: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownRef {
    /// Oldest first: what a newer one says of a key goes before what an older one says.
    pub(super) runs: Vec<RunRef>,
    /// How many keys are known.
    pub(super) records: u64,
}

/// A sorted run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunRef {
    /// These parts.
    Parts(Vec<PartRef>),
    /// The parts that this object lists: JSON of [`PartRef`]s.
    Listed(StateObject),
}

/// A part of a run. The keys of the next part are greater.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartRef {
    pub(super) object: StateObject,
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub(super) first: Vec<u8>,
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub(super) last: Vec<u8>,
    pub(super) entries: u64,
    /// How many of the entries say that their key is gone.
    pub(super) gone: u64,
}

fn write<S: Serializer>(key: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(key))
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
}
