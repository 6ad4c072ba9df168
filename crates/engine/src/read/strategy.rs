//! What knows a source: its API, paging, limits, authentication and types.

use async_trait::async_trait;

use super::{Nudges, Outlet, Resyncs};
use crate::{Cursor, Result, Stop, world::World};

/// Reads one source. The strategy runs and the engine listens, which serves a source that pushes (a replication
/// stream, a web hook) as well as one that is asked (files, pages).
///
/// ```text
/// let mut lane = out.lane(PartId::new("flights"), Phase::Changes);
/// while let Some(page) = source.page_after(&token).await? {
///     lane.batch(page.changes).await?;                        // waits while memory is scarce; invisible so far
///     let ticket = lane.boundary(page.token, page.time).await?; // all since the last boundary, in one commit with the token
///     ticket.durable().await?;                                // only to acknowledge; paging need not wait
/// }
/// ```
///
/// Duties of a strategy:
/// - It persists nothing: what it must know next time stands in its part of the cursor, or in objects that its part of the cursor
///   names ([`Outlet::states`]).
/// - It puts a boundary only where its source is consistent (the end of a transaction, a page, a file's line).
/// - It drops every lane before it returns, and never uses one again that failed.
/// - A boundary without a change is a durable write too: mere progress is told every 10 to 60 s, not more often.
/// - It acknowledges its source only from [`Outlet::durable`] or a ticket, never from what it has sent.
/// - It never skips what it does not understand: it fails with [`crate::ErrorKind::Data`].
/// - What people ask to be read anew ([`ReadContext::resyncs`]) it begins before anything else, as a new generation of each stream
///   beside what goes on, and says so once that is durable. A stream that is being read anew already goes on. A source that cannot
///   read anew fails; it is not asked twice in one run.
/// - It may be dropped at any await, and is run again from the last durable cursor.
#[async_trait]
pub trait ReadStrategy: Send {
    /// Reads from the cursor `from` (empty the first time) until told to stop, or, with
    /// [`ReadContext::until_caught_up`], to where the source ends now.
    ///
    /// Returns after its last boundary; it need not wait for tickets. Errors of kind
    /// [`crate::ErrorKind::Unavailable`] make the loop run it again, after a pause, from the durable cursor.
    async fn run(&mut self, from: Cursor, out: Outlet, cx: ReadContext) -> Result<End>;
}

/// What a strategy is told about its run.
#[derive(Debug, Clone)]
pub struct ReadContext {
    /// Thrown when the strategy should end: at the next boundary, soon.
    pub stop: Stop,
    /// Read to the source's end as it is at the start of the run, then return, instead of waiting for more.
    pub until_caught_up: bool,
    /// What people ask to be read anew.
    pub resyncs: Resyncs,
    /// What people ask to be read now: a strategy that lets time pass between looks at its source looks at once then.
    pub nudges: Nudges,
    /// Time, randomness, processors.
    pub world: World,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything the source had when the run began has been read.
    CaughtUp,
    /// It was told to stop.
    Stopped,
    /// It is to be run again at once: what there is to read has changed.
    Again,
}
