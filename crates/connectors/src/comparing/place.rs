//! What is compared with what: traits that systems implement.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::{Cursor, Result, schema::StreamName, write::Standing};

use super::{Described, Key, Order, Part, Row, Seen, Sums, Terms};

/// A source whose tables can be compared with what became of them.
#[async_trait]
pub trait Original: Send + Sync {
    /// The streams that it is read as, by name. `cursor` is where it has been read to.
    async fn streams(&self, cursor: &Cursor) -> Result<Vec<Offered>>;

    /// The table behind `stream`.
    async fn table(&self, stream: &StreamName) -> Result<Box<dyn Table>>;

    /// A place in its log: everything that can be seen of it by now lies before.
    async fn end(&self) -> Result<Bytes>;

    /// Whether everything before `end` is staged where the log has the cursor `cursor`.
    fn is_staged(&self, end: &Bytes, cursor: &Cursor) -> Result<bool>;
}

/// A stream of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub stream: StreamName,
    /// Why what destinations have of it cannot be compared yet.
    pub why_not: Option<String>,
}

/// A destination whose tables should look like a source's.
#[async_trait]
pub trait Replica: Send + Sync {
    /// Where it stands now; `None` when nothing has been applied.
    async fn standing(&self) -> Result<Option<Standing>>;

    /// Shows from now on what it shows now, and tells where that stands.
    async fn hold_still(&self) -> Result<Option<Standing>>;

    /// The table that `stream` is kept in; `None` when there is none yet.
    async fn table(&self, stream: &StreamName) -> Result<Option<Box<dyn Table>>>;
}

/// A table before it has been settled how it is compared.
#[async_trait]
pub trait Table: Send + Sync {
    /// The columns that can be compared, in order.
    fn columns(&self) -> &[Described];

    /// The columns that tell rows apart, in the order of the key; empty when nothing does, or the other side knows.
    fn key(&self) -> &[String];

    /// Learns what columns the other side has: how values are kept in a column that we did not declare depends on what they are.
    fn meet(&mut self, _other: &[Described]) {}

    /// How values of `column` are ordered, where ranges of them can be read.
    async fn order(&self, column: &str) -> Result<Option<Order>>;

    /// Where ranges of `column` should begin, so that each holds some megabytes; in order.
    async fn bounds(&self, column: &str) -> Result<Vec<String>>;

    /// The table, ready to be compared by `terms`.
    fn side(self: Box<Self>, terms: Arc<Terms>) -> Result<Box<dyn Side>>;
}

/// A table that is compared with another.
///
/// Each call shows the table as it is then, unless the place it is in holds still.
#[async_trait]
pub trait Side: Send {
    /// The sums of the children of `part`.
    async fn sums(&mut self, part: &Part) -> Result<Sums>;

    /// The rows of those children of `part` that go on with one of `bytes`.
    async fn rows(&mut self, part: &Part, bytes: &[u8]) -> Result<Vec<Row>>;

    /// What there is now of each of `keys`, in their order; hashes of single columns only if `closely`.
    async fn look(&mut self, keys: &[Key], closely: bool) -> Result<Vec<Seen>>;
}
