//! Changes that were made before, from the replication slot through the staging log into another database; beside it the
//! server's own logical replication.

use super::{
    super::{
        kit::Kit,
        report::{Comparison, Pair, Report},
    },
    Servers, orders,
    pipeline::Pipeline,
    source::Source,
    subscription::{self, Subscription},
};
use crate::Result;

pub(super) fn measure(kit: &Kit<'_>, servers: &Servers, report: &mut Report) -> Result {
    let changes = kit.sizes.changes;
    let source = Source::new(servers, changes);
    let (mirror, native) = (servers.destination.database(), servers.destination.database());
    let pipeline = Pipeline::new(kit, "catch_up", &source.database)?;
    pipeline.mirrors(&mirror)?;
    pipeline.run()?;
    let subscription = Subscription::new(&source.database, &native)?;

    let mut comparisons = Vec::new();
    for per_transaction in [1, 10, 1_000] {
        let pairs = kit.pairs(|_| {
            source.change(changes, per_transaction);
            let replicated = subscription.catch_up()?;
            servers.settle();
            let (ours, staged) = pipeline.run()?;
            Ok(Pair { limit: Some(replicated), ours, staged })
        })?;
        orders::compare(&source.database, &[&mirror, &native])?;
        comparisons.push(Comparison {
            work: format!(
                "Catch-up with {changes} changes, {per_transaction} a transaction: PostgreSQL -> staging -> PostgreSQL"
            ),
            unit: "change",
            count: changes,
            limit: subscription::NAME,
            pairs,
        });
    }
    subscription.end();
    pipeline.end(&source.database)?;
    comparisons.into_iter().for_each(|comparison| report.compared(comparison));
    Ok(())
}
