//! What a pipeline file says of the streams of its source.

use indexmap::IndexMap;

use crate::queries::QueryStream;

/// What a pipeline file says of the streams of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedStreams<'c> {
    /// Each by name, and whether it has a key.
    Listed(Vec<(&'c str, bool)>),
    /// The source decides what streams there are, and none has a key.
    Keyless,
    /// The source knows its streams and their keys; it has to be asked.
    Known,
}

impl<'c> NamedStreams<'c> {
    /// Streams that are listed by name, each with the columns of its key.
    pub(crate) fn listed<S: 'c>(
        streams: impl IntoIterator<Item = (&'c String, &'c S)>,
        key: impl Fn(&'c S) -> &'c Vec<String>,
    ) -> Self {
        let named = |(name, stream): (&'c String, &'c S)| (name.as_str(), !key(stream).is_empty());
        Self::Listed(streams.into_iter().map(named).collect())
    }

    /// Streams that are listed by name, of which a table's key may be its own.
    pub(crate) fn asked(streams: &'c IndexMap<String, QueryStream>) -> Self {
        let named = |(name, stream): (&'c String, &QueryStream)| (name.as_str(), stream.may_have_key());
        Self::Listed(streams.iter().map(named).collect())
    }
}
