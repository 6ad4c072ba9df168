//! Statements that go to the server one right behind the other: it runs them in order, and nobody waits in between.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use futures::future::{MaybeDone, maybe_done};
use tokio_postgres::types::ToSql;

use super::{
    failure::Result,
    literal::{Literal, as_parameters},
    writer::Writer,
};

/// So many statements are sent before any is answered: what they take on the way stays small.
const MOST: usize = 64;

/// A statement that is to be run.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) sql: String,
    pub(super) parameters: Vec<Literal>,
}

/// Statements that are to be run, in order.
#[derive(Debug, Default)]
pub(super) struct Plan(Vec<Planned>);

impl Plan {
    /// Adds `statement`, and runs what there is when that is enough.
    pub(super) async fn add(&mut self, writer: &mut Writer, statement: Planned) -> Result<()> {
        self.0.push(statement);
        if self.0.len() < MOST { Ok(()) } else { self.run(writer).await }
    }

    /// Runs what there is, inside a transaction. Of several failures the first is told: it made the others.
    pub(super) async fn run(&mut self, writer: &mut Writer) -> Result<()> {
        let planned = std::mem::take(&mut self.0);
        writer.execute_all(&planned).await?;
        Ok(())
    }
}

impl Planned {
    /// Its parameters as the server is given them.
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        as_parameters(&self.parameters)
    }
}

/// Has all of `calls` begin in their order, and waits for the last.
pub(super) async fn in_order<C: Future>(calls: impl IntoIterator<Item = C>) -> Vec<C::Output> {
    let mut calls: Vec<Pin<Box<MaybeDone<C>>>> =
        calls.into_iter().map(|call| Box::pin(maybe_done(call))).collect();
    poll_fn(|context| {
        let pending = calls
            .iter_mut()
            .filter_map(|call| call.as_mut().poll(context).is_pending().then_some(()))
            .count();
        if pending == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    calls.iter_mut().filter_map(|call| call.as_mut().take_output()).collect()
}
