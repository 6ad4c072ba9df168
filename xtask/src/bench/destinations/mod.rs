//! Staged changes into databases and brokers that have a server here, with the real binary; beside it, where the system has a program of its own that sends
//! as much, what that program needs. No rate is printed before the other side holds every change once.

mod feed;
mod kafka;
mod mariadb;
mod nats;
mod rabbitmq;
mod redis;

use std::{fmt::Display, time::Duration};

use super::{
    kit::Kit,
    report::{Comparison, Pair, Report},
};
use crate::Result;
use feed::Feed;

/// A system that changes are written to.
trait Target {
    /// What it is called, with what it is.
    const NAME: &'static str;
    /// What a program of its own does, where there is one.
    const LIMIT: &'static str = "";

    /// A server of its own, empty.
    fn start(feed: &Feed) -> Result<Self>
    where
        Self: Sized;

    /// How the pipeline file describes it.
    fn destination(&self) -> String;

    /// How long that needs for as much.
    fn limit(&self, _feed: &Feed) -> Result<Option<Duration>> {
        Ok(None)
    }

    /// Fails unless it holds every change once, as far as our program has written.
    fn check(&self, feed: &Feed) -> Result;
}

pub(super) fn measure(kit: &Kit<'_>, report: &mut Report) -> Result {
    let feed = Feed::staged(kit)?;
    one::<kafka::Broker>(kit, &feed, report)?;
    one::<mariadb::Table>(kit, &feed, report)?;
    one::<nats::JetStream>(kit, &feed, report)?;
    one::<rabbitmq::Queue>(kit, &feed, report)?;
    one::<redis::Hashes>(kit, &feed, report)?;
    one::<redis::Stream>(kit, &feed, report)?;
    feed.remove()
}

fn one<T: Target>(kit: &Kit<'_>, feed: &Feed, report: &mut Report) -> Result {
    let pairs = kit.pairs(|_| {
        let target = T::start(feed)?;
        let limit = target.limit(feed)?;
        let ours = feed.play(kit, &target.destination())?;
        target.check(feed)?;
        Ok(Pair { limit, ours, staged: 0 })
    })?;
    report.compared(Comparison {
        work: format!("{} staged changes -> {}", feed.rows, T::NAME),
        unit: "change",
        count: feed.rows,
        limit: T::LIMIT,
        pairs,
    });
    Ok(())
}

/// Fails unless there are as many as there should be.
fn expect(what: &str, found: impl Display, expected: u64) -> Result {
    let found = found.to_string();
    if found == expected.to_string() {
        return Ok(());
    }
    Err(format!("{what}: {found} instead of {expected}").into())
}
