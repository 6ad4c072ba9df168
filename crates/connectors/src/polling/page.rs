//! What a polled system offers: pages of records, one after another.

use async_trait::async_trait;
use tidemark_engine::{Result, Time, change::ChangeBatch};

use crate::records::SharedRows;

/// One stream of a system that has to be asked for its records.
///
/// ```text
/// let mut token = None;
/// loop {
///     match pages.page(&Ask { sweep, token, begun, unless_unchanged }).await? {
///         Answer::Page(page) => token = page.next,     // with no token the sweep is complete
///         Answer::Unchanged => return,                 // the system says that nothing is new
///         Answer::Expired => sweep = Sweep::All,       // everything is read and compared
///     }
/// }
/// ```
///
/// Duties of an implementation:
/// - It tries again by itself what is worth it, within its own patience; what it fails with then ends the run.
/// - A page is whole, or it is an error: a body that was cut short, a login page or a fault in the disguise of an answer is none.
/// - `next` is `None` only where the system says that nothing follows. Neither an empty page nor a short one says so.
/// - A token works in another process: it is kept with what came before it. One that makes no sense (any more) has expired.
/// - It may be dropped at any await; nothing is asked of it after that.
#[async_trait]
pub(crate) trait Pages: Send {
    /// The records after the place that `ask` names, and where to go on.
    async fn page(&mut self, ask: &Ask) -> Result<Answer>;
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Which records.
    pub(crate) sweep: Sweep,
    /// Where the page before left off; `None` asks for the first.
    pub(crate) token: Option<String>,
    /// When the sweep began, by our clock.
    pub(crate) begun: Time,
    /// Whether [`Answer::Unchanged`] will do: what a sweep like this brings has been brought by one before, of the same [`Pages`].
    pub(crate) unless_unchanged: bool,
}

/// Which records a sweep brings.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sweep {
    /// All there are.
    All,
    /// Those whose watermark is at this or beyond it.
    Since(String),
    /// Those that have changed since the system gave out this token.
    Delta(String),
}

/// What came of asking.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Answer {
    /// Records, or at least a place to go on.
    Page(Page),
    /// The system knows that nothing has changed since it was asked last.
    Unchanged,
    /// It has forgotten where it was to go on: the token of a page, or of what has changed, has expired.
    Expired,
}

/// Some of a sweep's records.
pub(crate) struct Page {
    pub(crate) records: Records,
    pub(crate) gone: Option<Gone>,
    /// Where the next page is; `None`: the sweep is complete.
    pub(crate) next: Option<String>,
    /// What to ask with next time; on the last page of a sweep of a system that gives such tokens.
    pub(crate) delta: Option<String>,
    /// About how many bytes its records take.
    pub(crate) bytes: usize,
    /// Where it came from, for messages: no secret in it.
    pub(crate) origin: String,
}

/// Records that the system names as gone: only the columns of the key matter.
pub(crate) struct Gone {
    pub(crate) records: Records,
    /// For each, how many of the page's other records stand before it: one that stands behind it was made again.
    pub(crate) after: Vec<usize>,
}

/// Records as their system gives them.
#[expect(clippy::large_enum_variant, reason = "there is one a page")]
pub(crate) enum Records {
    /// As text whose kinds are inferred, or declared in the pipeline file.
    Text(SharedRows),
    /// Under a schema of the system's own; the operations are not looked at.
    Typed(ChangeBatch),
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(rows) => rows.len(),
            Self::Typed(batch) => batch.rows(),
        }
    }
}
