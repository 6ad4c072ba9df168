//! The keys that sign web hooks.

use std::fmt;

/// The bytes of one key, or of several while one takes the place of another. They print as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKeys(pub(crate) Vec<Vec<u8>>);

impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
