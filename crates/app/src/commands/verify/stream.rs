//! One stream at one destination, compared.

use std::sync::Arc;

use tidemark_connectors::comparing::{
    self, Compared, Empty, Key, Limits, Narrowing, Part, Seen, Side, Table, Terms,
};
use tidemark_engine::{ErrorKind, Result, schema::StreamName};

use super::{
    confirming::Confirming,
    report::{Difference, OfStream, What},
};

/// A table and what became of it.
pub(super) struct Comparison<'a> {
    stream: &'a StreamName,
    original: Box<dyn Table>,
    replica: Box<dyn Table>,
    limit: usize,
}

impl<'a> Comparison<'a> {
    /// Of `stream`: its table, and the one at the destination if there is one. Up to `limit` rows that differ are named.
    pub(super) fn new(
        stream: &'a StreamName,
        original: Box<dyn Table>,
        replica: Option<Box<dyn Table>>,
        limit: usize,
    ) -> Self {
        let replica = replica.unwrap_or_else(|| Box::new(Empty::like(original.as_ref())));
        Self { stream, original, replica, limit }
    }

    /// Compares them. Where nothing changes meanwhile there is nothing to be confirmed.
    pub(super) async fn run(self, confirming: Option<&Confirming<'_>>) -> Result<OfStream> {
        let Self { stream, original, mut replica, limit } = self;
        let agreed = comparing::agree(original.as_ref(), replica.as_mut()).await;
        let Compared { terms, left_out } = match agreed {
            Err(error) if error.kind() == ErrorKind::Config => {
                return Ok(OfStream::not_compared(stream, error.to_string()));
            }
            agreed => agreed?,
        };
        let bounds = match terms.key.first().filter(|_| terms.order.is_some()) {
            Some(&first) => original.bounds(&terms.columns[first].name).await?,
            None => Vec::new(),
        };
        let terms = Arc::new(terms);
        let (mut first, mut second) = (original.side(terms.clone())?, replica.side(terms.clone())?);
        let mut report = OfStream::new(stream);
        report.left_out = left_out;
        report.by_servers = terms.by_servers;
        let mut narrowing = Narrowing::new(Part::ranges(bounds), Limits::default());
        let mut differing: Vec<Key> = Vec::new();
        while !narrowing.is_done() && differing.len() <= limit {
            let candidates = narrowing.next(first.as_mut(), second.as_mut()).await?;
            match confirming {
                None => differing.extend(candidates),
                Some(confirming) => {
                    let left = limit.saturating_sub(differing.len());
                    let found = confirming.settle(candidates, left, first.as_mut(), second.as_mut()).await?;
                    differing.extend(found.differing);
                    report.unsettled += found.unsettled;
                    report.unconfirmed = report.unconfirmed.take().or(found.unconfirmed);
                }
            }
        }
        report.is_whole = narrowing.is_done();
        report.rows = narrowing.rows;
        report.ranges = narrowing.ranges;
        report.fetched = narrowing.fetched;
        report.differing = differing.len();
        differing.truncate(limit);
        report.differences = named(&terms, differing, first.as_mut(), second.as_mut()).await?;
        Ok(report)
    }
}

/// What is different about each of `keys`.
async fn named(
    terms: &Terms,
    keys: Vec<Key>,
    first: &mut dyn Side,
    second: &mut dyn Side,
) -> Result<Vec<Difference>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (expected, found) = futures::try_join!(first.look(&keys, true), second.look(&keys, true))?;
    let names: Vec<_> = terms.columns.iter().map(|column| column.name.clone()).collect();
    let differences =
        keys.into_iter().zip(expected.into_iter().zip(found)).map(|(key, (expected, found))| {
            let parts = terms.key.iter().map(|&index| names[index].clone()).zip(key);
            Difference { key: parts.collect(), what: what(&names, &expected, &found) }
        });
    Ok(differences.collect())
}

fn what(names: &[String], expected: &Seen, found: &Seen) -> What {
    match (expected.sum.rows, found.sum.rows) {
        (_, 0) => What::Missing,
        (0, _) => What::Extra,
        (1, 1) => {
            let columns = names.iter().zip(expected.columns.iter().zip(&found.columns));
            let differing = columns.filter(|(_, (expected, found))| expected != found);
            What::Different(differing.map(|(name, _)| name.clone()).collect())
        }
        (expected, found) => What::Often { expected, found },
    }
}
