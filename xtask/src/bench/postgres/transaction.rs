//! Transactions of more and more changes, from the replication slot into the staging log, and from there into another database:
//! what must not grow with them is the memory. Beside the first half `pg_recvlogical`.

use super::{
    super::{
        kit::Kit,
        report::{Comparison, Pair, Report},
    },
    Servers,
    drain::{LIMIT, read_both},
    orders,
    pipeline::Pipeline,
    source::Source,
};
use crate::Result;

pub(super) fn measure(kit: &Kit<'_>, servers: &Servers, report: &mut Report) -> Result {
    let largest = kit.sizes.transaction;
    let source = Source::new(servers, largest / 100);
    let mirror = servers.destination.database();
    let pipeline = Pipeline::new(kit, "transaction", &source.database)?;
    pipeline.stages(&mirror)?;
    pipeline.run()?;
    pipeline.replay()?;
    source.remember_for_peer();
    for changes in [largest / 100, largest / 10, largest] {
        let mut replays = Vec::new();
        let pairs = kit.pairs(|_| {
            source.change_at_once(changes);
            let pair = read_both(&source, &pipeline)?;
            servers.settle();
            replays.push(Pair { limit: None, ours: pipeline.replay()?, staged: 0 });
            Ok(pair)
        })?;
        orders::compare(&source.database, &[&mirror])?;
        let compared = |work, limit, pairs| Comparison { work, unit: "change", count: changes, limit, pairs };
        let drain = format!("Drain of one transaction of {changes} changes: PostgreSQL -> staging");
        report.compared(compared(drain, LIMIT, pairs));
        let replay = format!("Replay of the same transaction of {changes} changes into PostgreSQL");
        report.compared(compared(replay, "", replays));
    }
    pipeline.end(&source.database)
}
