//! What templates can name.

use std::collections::BTreeMap;

use serde::Serialize;

/// The values behind `{{ … }}` in a request.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Values {
    /// The mark or the token to go on from; empty where everything is asked for.
    pub(super) cursor: String,
    /// When the sweep began, as RFC 3339.
    pub(super) now: String,
    /// What the next page is asked with; empty for the first.
    pub(super) token: String,
    /// The stream's name.
    pub(super) stream: String,
    /// The parent record, text by column.
    pub(super) parent: BTreeMap<String, String>,
    /// What stands under `with`.
    pub(super) with: BTreeMap<String, String>,
}
