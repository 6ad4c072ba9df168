//! A destination that refuses a stream, for a while or for good.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    Error, ErrorKind, LogId, PartId, Result, Stop, Time,
    codec::Format,
    contract::samples::numbered_rows,
    log::{Entry, Group, Housekeeping, HousekeepingSettings, Log, LogWriter, Marks, Retention, Span, Store},
    read::Phase,
    schema::StreamName,
    world::World,
    write::{Anew, Plan, Standing, Unit, WriteLoop, WriteMode, WriteStrategy},
};

/// What the destination has, and what it does not take.
#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<StreamName, usize>,
    standing: Option<Standing>,
    refused: Option<(StreamName, ErrorKind)>,
    refusals: usize,
}

#[derive(Debug, Clone, Default)]
struct Destination(Arc<Mutex<State>>);

impl Destination {
    fn rows(&self, stream: &str) -> usize {
        self.0.lock().unwrap().rows.get(&StreamName::new(stream)).copied().unwrap_or(0)
    }

    fn refuse(&self, refused: Option<(&str, ErrorKind)>) {
        self.0.lock().unwrap().refused = refused.map(|(stream, kind)| (StreamName::new(stream), kind));
    }

    fn is_held(&self) -> bool {
        self.0.lock().unwrap().standing.as_ref().is_some_and(|standing| !standing.held.is_empty())
    }
}

#[async_trait]
impl WriteStrategy for Destination {
    async fn open(&mut self, _log: &LogId) -> Result<Option<Standing>> {
        Ok(self.0.lock().unwrap().standing.clone())
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let mut rows = self.0.lock().unwrap().rows.clone();
        while let Some(delivery) = unit.next().await? {
            let stream = delivery.changes.schema().stream();
            let mut state = self.0.lock().unwrap();
            if let Some((_, kind)) = state.refused.clone().filter(|(refused, _)| refused == stream) {
                state.refusals += 1;
                return Err(Error::new(kind, "it does not fit").hint("make it fit").of_stream(stream));
            }
            *rows.entry(stream.clone()).or_default() += delivery.changes.rows();
        }
        let mut state = self.0.lock().unwrap();
        (state.rows, state.standing) = (rows, Some(unit.end().clone()));
        Ok(())
    }
}

/// A log to which commits of one change of `a` and one of `b` are added.
struct Bench {
    log: Log,
    writer: LogWriter,
    destination: Destination,
    stop: Stop,
}

impl Bench {
    async fn new() -> Self {
        let log = Log::open_or_create(Store::memory(), "holding", World::real()).await.unwrap();
        let writer = LogWriter::open(&log).await.unwrap();
        Self { log, writer, destination: Destination::default(), stop: Stop::new() }
    }

    async fn commit(&mut self) {
        let batches =
            vec![numbered_rows("a", 0, 1).numbered_from(0), numbered_rows("b", 0, 1).numbered_from(1)];
        let group = Group {
            part: PartId::new("part"),
            cursor: Bytes::new(),
            forgotten: Vec::new(),
            transactions: vec![Span { rows: 2, time: None }],
            last_source_position: None,
            steps: Vec::new(),
            rows: 2,
            left_out: 0,
            phase: Phase::Changes,
            batches,
            segments: Vec::new(),
        };
        self.writer.commit(Entry { groups: vec![group] }, &self.stop).await.unwrap();
    }

    fn write_loop(&self, last: Option<u64>) -> WriteLoop {
        let (_, horizon) = watch::channel(last);
        WriteLoop::new(self.log.clone(), "d", Plan::new(WriteMode::Mirror), horizon, self.stop.clone())
    }

    async fn run_once(&self) -> Result<()> {
        let last = self.log.head().sequence;
        self.write_loop(Some(last)).run(&mut self.destination.clone()).await
    }

    async fn until(&self, holds: impl Fn(&Destination) -> bool) {
        while !holds(&self.destination) {
            self.log.world().sleep(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test]
async fn a_stream_is_held_while_the_other_goes_on_and_plays_up_at_the_next_run() {
    let mut bench = Bench::new().await;
    bench.commit().await;
    bench.run_once().await.unwrap();
    bench.destination.refuse(Some(("a", ErrorKind::Config)));
    for commits in 2..4 {
        bench.commit().await;
        let error = bench.run_once().await.unwrap_err();
        assert_eq!((error.kind(), error.hint_text()), (ErrorKind::Config, Some("make it fit")));
        assert_eq!(error.to_string(), "destination `d`: stream `a` is held: it does not fit");
        assert_eq!((bench.destination.rows("a"), bench.destination.rows("b")), (1, commits));
    }
    let (_, mark) = Marks::open(&bench.log, "d").await.unwrap();
    let held = mark.unwrap().held;
    assert_eq!(held.into_values().map(|hold| hold.after).collect::<Vec<_>>(), [1]);

    bench.destination.refuse(None);
    bench.run_once().await.unwrap();
    assert_eq!((bench.destination.rows("a"), bench.destination.rows("b")), (3, 3));
    let (_, mark) = Marks::open(&bench.log, "d").await.unwrap();
    assert!(mark.unwrap().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_held_stream_is_tried_again_every_five_minutes() {
    let mut bench = Bench::new().await;
    bench.destination.refuse(Some(("b", ErrorKind::Data)));
    bench.commit().await;
    let write_loop = bench.write_loop(None);
    let mut destination = bench.destination.clone();
    let running = tokio::spawn(async move { write_loop.run(&mut destination).await });
    bench.until(Destination::is_held).await;
    let begun = tokio::time::Instant::now();
    bench.until(|destination| destination.0.lock().unwrap().refusals == 3).await;
    assert!(begun.elapsed() >= Duration::from_secs(9 * 60), "it is not tried all the time");

    bench.destination.refuse(None);
    bench.until(|destination| destination.rows("b") == 1).await;
    assert!(!bench.destination.is_held());
    bench.commit().await;
    bench.until(|destination| destination.rows("b") == 2).await;
    bench.stop.stop();
    running.await.unwrap().unwrap();
    assert_eq!(bench.destination.rows("a"), 2);
}

#[tokio::test]
async fn a_defect_holds_nothing() {
    let mut bench = Bench::new().await;
    bench.destination.refuse(Some(("a", ErrorKind::Internal)));
    bench.commit().await;
    assert_eq!(bench.run_once().await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!((bench.destination.rows("b"), bench.destination.is_held()), (0, false));
}

/// With a log that waits for nobody.
#[tokio::test]
async fn a_stream_whose_shadow_was_left_behind_is_held_and_the_other_goes_on() {
    let mut bench = Bench::new().await;
    for _ in 0..4 {
        bench.commit().await;
    }
    let position = bench.log.position(4).await.unwrap();
    let mut standing = Standing::from(position);
    let anew = Anew { from: 0, after: 1, until: None, waits: true, schema: None, time: Time::EPOCH };
    standing.anew.insert(StreamName::new("a"), anew);
    bench.destination.0.lock().unwrap().standing = Some(standing);
    let retention = Retention { size: Some(0), expires_slow: true, ..Retention::default() };
    let settings = HousekeepingSettings { format: Format::Arrow, fold_after: Duration::ZERO, retention };
    let mut housekeeping = Housekeeping::new(bench.log.clone(), settings, Stop::new());
    housekeeping.tidy().await.unwrap();
    housekeeping.retain().await.unwrap();
    assert!(bench.log.is_dropped(1));

    bench.commit().await;
    let error = bench.run_once().await.unwrap_err();
    assert_eq!((error.kind(), error.stream()), (ErrorKind::Conflict, Some(&StreamName::new("a"))));
    assert!(error.hint_text().unwrap().contains("tidemark resync FILE --stream a"), "{error}");
    assert_eq!(bench.destination.rows("b"), 1);
}
