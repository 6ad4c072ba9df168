//! A log that a polled source is read into, by processes that die.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use futures::TryStreamExt;
use tidemark_engine::{
    Cursor, Result, Stop,
    codec::Format,
    log::{Log, Selection, Store},
    read::{End, Outlet, ReadContext, ReadLoop, ReadSettings},
    schema::StreamName,
    world::World,
    write::Delivery,
};

use super::{
    answers::Asked,
    server::{Habits, Server},
    world::{Hands, world},
};
use crate::polling::{Changes, Plan, Polled, PolledStream, PollingStrategy, page::Pages};

/// How a process ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// When it has read everything.
    CaughtUp,
    /// In the middle.
    Killed(u64),
    /// It is told to stop, having looked more than once.
    Stopped(u64),
}

/// A log, and the source that is read into it.
pub(super) struct Bench<P> {
    pub(super) store: Store,
    pub(super) world: World,
    pub(super) clock: Hands,
    pub(super) plan: Arc<Plan>,
    pages: P,
}

/// The source: its pages are made anew for each run.
struct Source<'a> {
    plan: Arc<Plan>,
    pages: &'a mut (dyn FnMut() -> Box<dyn Pages> + Send),
}

#[async_trait]
impl Polled for Source<'_> {
    async fn open(&mut self, _: &Cursor, _: &Outlet, _: &ReadContext) -> Result<Vec<PolledStream>> {
        Ok(vec![PolledStream { plan: self.plan.clone(), pages: (self.pages)() }])
    }
}

impl<P: FnMut() -> Box<dyn Pages> + Send> Bench<P> {
    pub(super) fn new(plan: Plan, seed: u64, pages: P) -> Self {
        let (world, clock) = world(seed);
        Self { store: Store::memory(), world, clock, plan: Arc::new(plan), pages }
    }

    pub(super) async fn log(&self) -> Log {
        Log::open_or_create(self.store.clone(), "bench", self.world.clone()).await.unwrap()
    }

    /// Runs a process; `None`: it was killed.
    pub(super) async fn run(&mut self, fate: Fate) -> Option<Result<End>> {
        self.run_asked(fate, None).await
    }

    /// The same where these streams are asked for.
    pub(super) async fn run_asked(
        &mut self,
        fate: Fate,
        asked: Option<&[StreamName]>,
    ) -> Option<Result<End>> {
        let settings = ReadSettings {
            format: Format::Parquet,
            max_delay: Duration::ZERO,
            memory: 16 << 20,
            until_caught_up: !matches!(fate, Fate::Stopped(_)),
        };
        let stop = Stop::new();
        let mut read_loop = ReadLoop::new(self.log().await, settings, stop.clone());
        asked.iter().for_each(|streams| read_loop.resyncs().ask("asked", streams));
        let mut source = PollingStrategy(Source { plan: self.plan.clone(), pages: &mut self.pages });
        let mut running = pin!(read_loop.run(&mut source));
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            match fate {
                Fate::Killed(most) if polls > most => return Poll::Ready(None),
                Fate::Stopped(most) if polls > most => stop.stop(),
                _ => {}
            }
            running.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Runs a process to its end.
    pub(super) async fn catch_up(&mut self) {
        assert_eq!(self.run(Fate::CaughtUp).await.unwrap().unwrap(), End::CaughtUp);
    }

    /// How many commits there are.
    pub(super) async fn commits(&self) -> u64 {
        self.log().await.head().sequence
    }

    /// Everything as it was staged, after commit `since`.
    pub(super) async fn staged(&self, since: u64) -> Vec<Delivery> {
        let log = self.log().await;
        let mut commits = Vec::new();
        for sequence in since + 1..=log.head().sequence {
            commits.push(log.commit(sequence).await.unwrap());
        }
        log.deliveries(commits, &Selection::default()).try_collect().await.unwrap()
    }
}

/// A bench with a server that changes.
pub(super) struct Restless {
    pub(super) bench: Bench<Box<dyn FnMut() -> Box<dyn Pages> + Send>>,
    server: Arc<Mutex<Server>>,
}

impl Restless {
    pub(super) fn new(habits: Habits, plan: Plan, seed: u64) -> Self {
        let by_delta = matches!(plan.changes, Changes::Delta { .. });
        let (_, clock) = world(seed);
        let server = Arc::new(Mutex::new(Server::new(habits, seed, clock)));
        let asked = server.clone();
        let pages = move || -> Box<dyn Pages> { Box::new(Asked { server: asked.clone(), by_delta }) };
        let bench = Bench::new(plan, seed, Box::new(pages) as Box<dyn FnMut() -> _ + Send>);
        server.lock().unwrap().set_clock(bench.clock.clone());
        Self { bench, server }
    }

    pub(super) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }
}
