//! A year of a quiet pipeline: a process a day, most of which end in good order, a change every forty minutes. What there is in the
//! staging store must not grow with the number of commits or of processes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, memory::InMemory};
use tidemark_engine::{
    Cursor, PartId, Result, Stop, Time,
    arrow_array::{ArrayRef, Int64Array},
    change::{ChangeBatch, Op},
    codec::Format,
    log::{Housekeeping, HousekeepingSettings, Log, Playing, Retention, Selection, Store},
    read::{End, Outlet, Phase, ReadContext, ReadLoop, ReadSettings, ReadStrategy},
    schema::{Field, Kind, StreamName, StreamSchema},
    world::{Clock, World},
    write::WriteMode,
};

use crate::world::{OnTheSpot, SeededRandom};

const DAYS: i64 = 365;
/// Changes a day, and between two of them, microseconds.
const CHANGES: i64 = 36;
const PAUSE: i64 = 2_400_000_000;
/// Every so many days the process is killed.
const KILLED: i64 = 7;

/// A clock that goes on when a change has been made.
#[derive(Clone, Default)]
struct Calendar(Arc<AtomicI64>);

#[async_trait]
impl Clock for Calendar {
    fn now(&self) -> Time {
        Time::from_micros(1_700_000_000_000_000 + self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, duration: Duration) {
        if !duration.is_zero() {
            std::future::pending::<()>().await;
        }
    }
}

/// A source that has a change every forty minutes, and ends with the day.
struct Ticking {
    calendar: Calendar,
    housekeeping: Housekeeping,
    schema: Arc<StreamSchema>,
}

#[async_trait]
impl ReadStrategy for Ticking {
    async fn run(&mut self, from: Cursor, out: Outlet, _: ReadContext) -> Result<End> {
        let part = PartId::new("ticks");
        let last = from.get(&part).and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok());
        let last: i64 = last.unwrap_or(0);
        let mut lane = out.lane(part, Phase::Changes);
        for tick in last + 1..=last + CHANGES {
            self.calendar.0.fetch_add(PAUSE, Ordering::Relaxed);
            let values: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![tick]))];
            lane.batch(ChangeBatch::uniform(self.schema.clone(), Op::Create, values)?).await?;
            lane.boundary(Bytes::from(tick.to_string()), None).await?.durable().await?;
            if tick % 6 == 0 {
                self.housekeeping.tidy().await?;
            }
        }
        Ok(End::CaughtUp)
    }
}

/// What one process does in a day.
async fn day(store: &Store, calendar: &Calendar, day: i64) -> Result<()> {
    let random = SeededRandom::new(day.cast_unsigned());
    let world = World::new(Arc::new(calendar.clone()), Arc::new(random), Arc::new(OnTheSpot));
    let log = Log::open_or_create(store.clone(), "year", world).await?;
    let fields = vec![Field::new("tick", Kind::Int64).required()];
    let settings = HousekeepingSettings {
        format: Format::Arrow,
        fold_after: Duration::from_secs(86_400),
        retention: Retention::default(),
    };
    let mut ticking = Ticking {
        calendar: calendar.clone(),
        housekeeping: Housekeeping::new(log.clone(), settings, Stop::new()),
        schema: StreamSchema::new(StreamName::new("ticks"), fields, vec!["tick".into()])?,
    };
    let settings = ReadSettings {
        format: Format::Arrow,
        max_delay: Duration::ZERO,
        memory: 1 << 20,
        until_caught_up: true,
    };
    let mut reading = ReadLoop::new(log, settings, Stop::new());
    reading.run(&mut ticking).await?;
    if day % KILLED != 0 {
        reading.retire().await?;
        ticking.housekeeping.retire().await?;
    }
    Ok(())
}

#[test]
fn a_year_leaves_no_more_objects_than_a_month() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    runtime.block_on(async {
        let (objects, calendar) = (Arc::new(InMemory::new()), Calendar::default());
        let store = Store::new(objects.clone(), "year");
        let mut most = Vec::new();
        for month in 0..12 {
            let mut counted = 0;
            for number in month * DAYS / 12..(month + 1) * DAYS / 12 {
                day(&store, &calendar, number).await.expect("a day ends well");
                let now: Vec<_> = objects.list(None).try_collect().await.expect("memory is listed");
                counted = counted.max(now.len());
            }
            most.push(counted);
        }
        println!("most objects in each month: {most:?}");
        // A killed process leaves two names that stay taken: a commit, and an entry of the layout.
        let killed = usize::try_from(DAYS / KILLED).expect("a year is short");
        assert!(most[11] <= most[1] + 2 * killed + 20, "it grows: {most:?}");

        let world = World::new(Arc::new(calendar), Arc::new(SeededRandom::new(0)), Arc::new(OnTheSpot));
        let log = Log::open(store, world).await.expect("the log is whole").expect("there is a log");
        let last = log.commit(log.head().sequence).await.expect("it has an end");
        let commits = log.commits(1, last);
        let played = log.played(commits, &Selection::default(), Playing::new(0, WriteMode::Append));
        let rows = played.try_fold(0, |rows, it| async move { Ok(rows + it.changes.rows()) });
        assert_eq!(rows.await.expect("all of it can be read"), usize::try_from(DAYS * CHANGES).expect("few"));
    });
}
