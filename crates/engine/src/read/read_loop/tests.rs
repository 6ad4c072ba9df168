//! When a strategy is run again.

mod slow_store;

use std::sync::{Arc, Mutex, atomic::Ordering};

use async_trait::async_trait;
use tokio::sync::watch;

use super::*;
use crate::{
    PartId, contract::samples::numbered_rows, log::Store, read::Phase, schema::StreamName, world::World,
};

/// A source that goes on until it is stopped, and tells each of its runs.
struct Source {
    runs: watch::Sender<usize>,
    /// What each run was asked for.
    asked: Arc<Mutex<Vec<bool>>>,
    /// The run that asks to be run again, and the one that fails before it has met what it is asked.
    again: usize,
    fails: usize,
}

#[async_trait]
impl ReadStrategy for Source {
    async fn run(&mut self, _from: Cursor, _out: Outlet, cx: ReadContext) -> Result<End> {
        let asked = cx.resyncs.asked();
        self.asked.lock().unwrap().push(!asked.is_empty());
        let run = self.asked.lock().unwrap().len();
        self.runs.send_replace(run);
        if run == self.fails {
            return Err(Error::unavailable("it does not answer"));
        }
        cx.resyncs.meet(&asked);
        if run == self.again {
            return Ok(End::Again);
        }
        cx.stop.stopped().await;
        Ok(End::Stopped)
    }
}

/// A run that is under way ends when something is asked, and another begins with it; a request that is not met, because that one fails, is there for
/// the next. Requests that are known already end nothing.
#[tokio::test]
async fn a_request_ends_the_attempt_and_another_begins_with_it() {
    let log = Log::open_or_create(Store::memory(), "asked", World::real()).await.unwrap();
    let settings = ReadSettings {
        format: Format::Arrow,
        max_delay: Duration::ZERO,
        memory: 1 << 20,
        until_caught_up: false,
    };
    let stop = Stop::new();
    let mut read_loop = ReadLoop::new(log, settings, stop.clone());
    let resyncs = read_loop.resyncs();
    let (asked, (runs, mut watched)) = (Arc::new(Mutex::new(Vec::new())), watch::channel(0));
    let mut source = Source { runs, asked: asked.clone(), again: 1, fails: 3 };
    let running = tokio::spawn(async move { read_loop.run(&mut source).await });

    watched.wait_for(|runs| *runs == 2).await.unwrap();
    resyncs.ask("1", &[StreamName::new("a")]);
    watched.wait_for(|runs| *runs == 4).await.unwrap();
    resyncs.any_met().await;
    assert_eq!(resyncs.met(), ["1"]);
    resyncs.ask("1", &[StreamName::new("a")]);
    resyncs.ask("2", &[]);
    watched.wait_for(|runs| *runs == 5).await.unwrap();
    stop.stop();
    assert_eq!(running.await.unwrap().unwrap(), End::Stopped);
    assert_eq!(*asked.lock().unwrap(), [false, false, true, true, true]);
}

/// A source that hands over more than fits into a commit, and fails before the boundary the first two times.
struct Failing(u32);

#[async_trait]
impl ReadStrategy for Failing {
    async fn run(&mut self, _from: Cursor, out: Outlet, _cx: ReadContext) -> Result<End> {
        let mut lane = out.lane(PartId::new("part"), Phase::Changes);
        for _ in 0..40 {
            lane.batch(numbered_rows("a %/b", 0, 100_000)).await?;
        }
        if self.0 > 0 {
            self.0 -= 1;
            return Err(Error::unavailable("it does not answer"));
        }
        lane.boundary("end".into(), None).await?;
        Ok(End::CaughtUp)
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_leaves_no_segments_behind() {
    let store = Store::memory();
    let log = Log::open_or_create(store.clone(), "failing", World::real()).await.unwrap();
    let settings = ReadSettings {
        format: Format::Arrow,
        max_delay: Duration::ZERO,
        memory: 1 << 20,
        until_caught_up: true,
    };
    let mut read_loop = ReadLoop::new(log.clone(), settings, Stop::new());
    read_loop.run(&mut Failing(2)).await.unwrap();
    let named = log.commit(1).await.unwrap().header().segments.len();
    let there = store.objects(&"data".into()).await.unwrap().len();
    assert!(named > 1 && there == named, "{there} segments for {named} that a commit names");
}
