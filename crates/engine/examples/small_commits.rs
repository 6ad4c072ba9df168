//! A pipeline of many small commits, for `cargo xtask bench staging`: each row is a commit of its own, made durable in a folder,
//! while the log is kept in order beside it. On the way and in the end it says how many objects there are, and how long it takes to
//! open the log; then it reads every row back, twice.
//!
//! `small_commits FOLDER COMMITS`: one JSON object a line on standard output. Without COMMITS it only reads what is there.
#![expect(clippy::print_stdout, reason = "it is a program that prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use tidemark_engine::{
    Cursor, Error, PartId, Result, Stop,
    arrow_array::{Array, ArrayRef, Int64Array, StringArray},
    change::{ChangeBatch, Op},
    codec::Format,
    log::{Housekeeping, HousekeepingSettings, Log, Playing, Retention, Selection, Store},
    read::{End, Outlet, Phase, ReadContext, ReadLoop, ReadSettings, ReadStrategy},
    schema::{Field, Kind, StreamName, StreamSchema},
    world::World,
    write::WriteMode,
};

/// A source of numbers.
struct Numbers {
    folder: PathBuf,
    last: i64,
    schema: Arc<StreamSchema>,
}

#[async_trait]
impl ReadStrategy for Numbers {
    async fn run(&mut self, _: Cursor, out: Outlet, _: ReadContext) -> Result<End> {
        let mut lane = out.lane(PartId::new("numbers"), Phase::Changes);
        let begun = Instant::now();
        for number in 1..=self.last {
            let values: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from(vec![number])),
                Arc::new(StringArray::from(vec![format!("the number {number}")])),
            ];
            lane.batch(ChangeBatch::uniform(self.schema.clone(), Op::Create, values)?).await?;
            let ticket = lane.boundary(Bytes::from(number.to_string()), None).await?;
            ticket.durable().await?;
            if [self.last / 100, self.last / 10, self.last].contains(&number) {
                report(&self.folder, number, begun.elapsed()).await?;
            }
        }
        Ok(End::CaughtUp)
    }
}

/// Says what the log looks like after `commits`.
async fn report(folder: &Path, commits: i64, taken: Duration) -> Result<()> {
    let (objects, bytes) = below(folder).map_err(|error| Error::unavailable("cannot list").source(error))?;
    let mut open: Vec<f64> = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let log = Log::open(Store::local(folder)?, World::real()).await?;
        open.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(log.is_some_and(|log| log.head().sequence == commits.cast_unsigned()), "the log is whole");
    }
    open.sort_by(f64::total_cmp);
    println!(
        "{{\"commits\": {commits}, \"seconds\": {:.1}, \"objects\": {objects}, \"bytes\": {bytes}, \"open_ms\": {:.2}}}",
        taken.as_secs_f64(),
        open[2]
    );
    Ok(())
}

/// How many files there are below `folder`, and how long they are.
fn below(folder: &Path) -> std::io::Result<(u64, u64)> {
    let (mut objects, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Files may go while they are counted.
        let Ok(metadata) = entry.metadata() else { continue };
        let (more, longer) = if metadata.is_dir() { below(&entry.path())? } else { (1, metadata.len()) };
        objects += more;
        bytes += longer;
    }
    Ok((objects, bytes))
}

/// Reads every row back, as `who` does.
async fn check(who: &str, log: &Log, rows: i64) -> Result<()> {
    let begun = Instant::now();
    let last = log.commit(log.head().sequence).await?;
    let mut changes =
        log.played(log.commits(1, last), &Selection::default(), Playing::new(0, WriteMode::Append));
    let (mut found, mut sum) = (0, 0);
    while let Some(delivery) = changes.try_next().await? {
        let numbers = &delivery.changes.columns().values[0];
        let numbers = numbers.as_any().downcast_ref::<Int64Array>();
        let numbers = numbers.ok_or_else(|| Error::internal("the numbers are no numbers"))?;
        assert_eq!(numbers.null_count(), 0, "every row has a number");
        found += numbers.len() as i64;
        sum += numbers.values().iter().sum::<i64>();
    }
    assert_eq!((found, sum), (rows, rows * (rows + 1) / 2), "every row is there once");
    println!(
        "{{\"rows\": {found}, \"read_by\": \"{who}\", \"seconds\": {:.2}}}",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let usage = || Error::config("usage: small_commits FOLDER [COMMITS]");
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or_else(usage)?);
    if let Some(commits) = arguments.next() {
        write(&folder, commits.parse().map_err(|_| usage())?).await?;
    }
    let log = Log::open(Store::local(&folder)?, World::real()).await?;
    let log = log.ok_or_else(|| Error::config("there is no log"))?;
    let rows = log.head().sequence.cast_signed();
    check("another process", &log, rows).await
}

/// Makes `last` commits, and keeps the log in order beside it.
async fn write(folder: &Path, last: i64) -> Result<()> {
    let fields = vec![Field::new("number", Kind::Int64).required(), Field::new("words", Kind::Text)];
    let schema = StreamSchema::new(StreamName::new("numbers"), fields, vec!["number".into()])?;

    let log = Log::open_or_create(Store::local(folder)?, "bench", World::real()).await?;
    let settings = ReadSettings {
        format: Format::Parquet,
        max_delay: Duration::ZERO,
        memory: 32 << 20,
        until_caught_up: true,
    };
    let mut reading = ReadLoop::new(log.clone(), settings, Stop::new());
    let stop = Stop::new();
    let keeping = HousekeepingSettings {
        format: Format::Parquet,
        fold_after: Duration::from_secs(3_600),
        retention: Retention::default(),
    };
    let mut housekeeping = Housekeeping::new(log.clone(), keeping, stop.clone());
    let mut source = Numbers { folder: folder.to_owned(), last, schema };
    let read = async {
        let end = reading.run(&mut source).await;
        stop.stop();
        end
    };
    let (read, kept) = tokio::join!(read, housekeeping.run());
    read?;
    kept?;
    check("the process that wrote them", &log, last).await
}
