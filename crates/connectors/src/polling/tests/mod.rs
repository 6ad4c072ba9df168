//! The sweeps over a server that changes while it is read, by processes that die: what is staged is what it holds.

mod answers;
mod bench;
mod columns;
mod convergence;
mod fold;
mod played;
mod server;
mod staged;
mod still;
mod sweeping;
mod vanishing;
mod world;

use std::time::Duration;

use super::{Changes, Overlap, Plan};
use crate::records::Outline;

/// A stream called `orders`, of which nothing is said but its key.
fn plan(key: &[&str], changes: Changes) -> Plan {
    let key = key.iter().map(|name| (*name).to_owned()).collect();
    Plan {
        outline: Outline { key, ..Outline::new("orders") },
        changes,
        ignored: Vec::new(),
        poll: Duration::from_secs(60),
        keeps_vanished: false,
        max_deletes: 20,
        steady_pages: true,
    }
}

fn watermark(overlap: Overlap, compare_every: Option<Duration>) -> Changes {
    Changes::Watermark { column: "mark".into(), overlap, compare_every }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}
