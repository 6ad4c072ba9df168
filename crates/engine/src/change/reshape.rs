//! What may be done to changes on their way, into the log or out of it.

use std::{fmt, sync::Arc};

use super::ChangeBatch;
use crate::{Error, Result, schema::StreamSchema};

/// Makes other changes of changes: fewer of them, other columns. The stream stays the same.
///
/// Duties:
/// - The same changes always come to the same: a replay must give what the first playing gave.
/// - The schema of what comes out is a function of the schema of what goes in.
/// - Changes keep their order and their ordinals, and no change becomes two.
pub trait Reshape: fmt::Debug + Send + Sync {
    /// The schema that changes under `schema` have afterwards.
    ///
    /// Fails with [`crate::ErrorKind::Config`], of the stream alone, where they do not fit one another.
    fn schema(&self, schema: &Arc<StreamSchema>) -> Result<Arc<StreamSchema>>;

    /// `changes` as they are afterwards. Those that concern nobody any more are left out.
    fn changes(&self, changes: ChangeBatch) -> Result<ChangeBatch, Refused>;
}

/// Why changes cannot be reshaped.
#[derive(Debug)]
pub struct Refused {
    /// The one change that is the reason: its row in what was given.
    pub row: Option<usize>,
    /// What is wrong with it.
    pub error: Box<Error>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { row: None, error: Box::new(error) }
    }
}
