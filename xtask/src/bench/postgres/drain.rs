//! Changes that were made before, from the replication slot into the staging log; beside it `pg_recvlogical`, which reads the
//! same changes from a slot of its own and keeps nothing.

use super::{
    super::{
        kit::Kit,
        report::{Comparison, Pair, Report},
    },
    Servers, orders,
    pipeline::Pipeline,
    source::Source,
};
use crate::{Result, measure::measure as usage};

/// What the limit is called.
pub(super) const LIMIT: &str = "pg_recvlogical (pgoutput) into nothing";

pub(super) fn measure(kit: &Kit<'_>, servers: &Servers, report: &mut Report) -> Result {
    let changes = kit.sizes.changes;
    let source = Source::new(servers, changes);
    let mirror = servers.destination.database();
    let pipeline = Pipeline::new(kit, "drain", &source.database)?;
    pipeline.stages(&mirror)?;
    pipeline.run()?;
    source.remember_for_peer();

    let mut comparisons = Vec::new();
    for per_transaction in [1, 10, 1_000] {
        let pairs = kit.pairs(|_| {
            source.change(changes, per_transaction);
            read_both(&source, &pipeline)
        })?;
        comparisons.push(Comparison {
            work: format!(
                "Drain of {changes} changes, {per_transaction} a transaction: PostgreSQL -> staging"
            ),
            unit: "change",
            count: changes,
            limit: LIMIT,
            pairs,
        });
    }
    pipeline.replay()?;
    orders::compare(&source.database, &[&mirror])?;
    pipeline.end(&source.database)?;
    comparisons.into_iter().for_each(|comparison| report.compared(comparison));
    Ok(())
}

/// Reads everything from both slots.
pub(super) fn read_both(source: &Source<'_>, pipeline: &Pipeline) -> Result<Pair> {
    let received = usage(&mut source.receive()?)?.wall;
    let (ours, staged) = pipeline.run()?;
    Ok(Pair { limit: Some(received), ours, staged })
}
