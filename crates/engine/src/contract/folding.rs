//! What is folded reads as it did before, from anywhere, whoever died in the middle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::TryStreamExt;

use super::{
    codec::assert_same,
    log::{commit, group, read},
    samples::{everything, numbered_rows},
};
use crate::{
    ErrorKind, Result, Stop, Time,
    change::ChangeBatch,
    codec::Format,
    log::{LayoutWriter, Log, LogWriter, SegmentSettings, SegmentWriter, Selection, Span, Store, Unnamed},
    read::Phase,
    world::{Clock, Processors, Random, World},
};

/// A day, in microseconds.
pub(super) const DAY: i64 = 86_400_000_000;

/// Runs the whole suite. Every call of `store` gives an empty store.
pub(super) async fn all(store: impl Fn() -> Store) {
    for format in [Format::Parquet, Format::Arrow] {
        folded_commits_read_as_before(store(), format).await;
    }
    a_fold_goes_on_where_the_last_one_ended(store()).await;
    of_two_who_fold_one_is_out(store()).await;
    nobody_writes_into_what_is_folded(store()).await;
    fences_stay_until_their_writers_have_retired(store()).await;
    what_a_dead_fold_left_is_removed(store()).await;
}

/// A world whose clock stands still until it is moved.
#[derive(Clone, Default)]
pub(super) struct Hands(Arc<AtomicI64>);

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::Relaxed))
    }

    #[expect(clippy::disallowed_methods, reason = "whoever waits for a store waits for real")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Random for Hands {
    fn next(&self) -> u64 {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        DRAWN.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[async_trait]
impl Processors for Hands {
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        work();
        Ok(())
    }
}

impl Hands {
    fn world(&self) -> World {
        World::new(Arc::new(self.clone()), Arc::new(self.clone()), Arc::new(self.clone()))
    }

    pub(super) fn move_on(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

pub(super) async fn open(store: &Store, hands: &Hands) -> Log {
    Log::open_or_create(store.clone(), "folding", hands.world()).await.expect("the log opens")
}

/// Everything that can be read of commits 1 to the head.
async fn all_of(log: &Log) -> Vec<(String, Vec<ChangeBatch>)> {
    let mut all = Vec::new();
    let mut position = log.position(0).await.unwrap();
    for sequence in 1..=log.head().sequence {
        let commit = log.commit_after(&position).await.unwrap();
        position = commit.position();
        let header = commit.header();
        let said = format!(
            "{position} {} {} {:?} {} {} {:?} {:?} {:?}",
            header.epoch,
            header.writer,
            header.time,
            header.watermark,
            header.rows,
            header.schemas,
            commit.transactions().unwrap(),
            commit.rows_by_stream(),
        );
        let deliveries = read(log, sequence).await.unwrap();
        let mut delivered = Vec::from_iter(deliveries.iter().map(|delivery| {
            let first = delivery.watermark(0).unwrap();
            format!("{} {:?} {first}", delivery.changes.schema().stream(), delivery.phase)
        }));
        // Changes that were staged as one batch may come as several.
        delivered.dedup();
        let said = format!("{said} {}", delivered.join(" "));
        all.push((said, deliveries.into_iter().map(|delivery| delivery.changes).collect()));
    }
    all
}

fn assert_reads_alike(before: &[(String, Vec<ChangeBatch>)], after: &[(String, Vec<ChangeBatch>)]) {
    assert_eq!(before.len(), after.len());
    for ((said, changes), (said_now, changes_now)) in before.iter().zip(after) {
        assert_eq!(said, said_now);
        assert_same(changes, changes_now);
    }
}

/// A commit of each shape: frames of several streams and schemas, segments small and large, nothing at all.
async fn write_all_shapes(log: &Log, writer: &mut LogWriter, from: i64) {
    let wide = || super::samples::widened("a", 3);
    commit(writer, vec![group(vec![numbered_rows("a", from, 2), everything()], "1", None)]).await.unwrap();
    commit(writer, vec![group(vec![], "2", None)]).await.unwrap();
    commit(writer, vec![group(vec![numbered_rows("a", from + 2, 1), wide()], "3", Some(from))])
        .await
        .unwrap();
    // One that is kept as it is takes its time to write: it comes once.
    for rows in [10, if from == 0 { 60_000 } else { 20 }] {
        let settings = SegmentSettings {
            log: log.clone(),
            format: Format::Parquet,
            epoch: writer.epoch(),
            writer: writer.name().to_owned(),
            stop: Stop::new(),
            begun: AtomicU64::new(u64::try_from(from).unwrap() * 10 + rows),
            unnamed: Unnamed::default(),
        };
        let mut segments = SegmentWriter::new(settings.into(), Phase::Changes);
        let many = super::samples::distinct("b", usize::try_from(rows).unwrap()).numbered_from(0);
        segments.write(many).await.unwrap();
        let mut in_segments = group(vec![], "4", None);
        in_segments.rows = rows;
        in_segments.transactions = vec![Span { rows, time: None }];
        in_segments.segments = segments.finish().await.unwrap();
        let behind = group(vec![], "5", None);
        commit(writer, vec![behind, in_segments]).await.unwrap();
    }
    let repeated = (0..5).map(|id| group(vec![numbered_rows("a", from + 10 + id, 1)], "6", None));
    commit(writer, repeated.collect()).await.unwrap();
}

pub(super) async fn fold(log: &Log, format: Format) {
    let mut writer = LayoutWriter::open(log).await.unwrap();
    assert!(log.fold(&mut writer, format, &Stop::new()).await.unwrap());
}

pub(super) async fn clear(log: &Log) {
    let mut writer = LayoutWriter::open(log).await.unwrap();
    log.clear(&mut writer, &Stop::new()).await.unwrap();
}

pub(super) async fn objects(store: &Store, folder: &str) -> Vec<String> {
    let mut objects: Vec<_> =
        store.objects(&folder.into()).await.unwrap().iter().map(ToString::to_string).collect();
    objects.sort();
    objects
}

async fn folded_commits_read_as_before(store: Store, format: Format) {
    let hands = Hands::default();
    let log = open(&store, &hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    for round in 0..3 {
        write_all_shapes(&log, &mut writer, round * 100).await;
    }
    let before = all_of(&log).await;
    let unaware = open(&store, &hands).await;

    fold(&log, format).await;
    assert_reads_alike(&before, &all_of(&log).await);
    assert_reads_alike(&before, &all_of(&open(&store, &hands).await).await);

    hands.move_on(DAY);
    clear(&log).await;
    let head = log.head().sequence;
    assert_eq!(objects(&store, "log").await, [format!("log/00000000/{head:012}")], "only the head is left");
    assert_reads_alike(&before, &all_of(&log).await);
    assert_reads_alike(&before, &all_of(&unaware).await);
    let later = open(&store, &hands).await;
    assert_reads_alike(&before, &all_of(&later).await);
    assert_eq!((later.head(), later.cursor()), (log.head(), log.cursor()));

    // In any order, and by many at once.
    for sequence in [7, 3, 7, 12, 1, 2] {
        let deliveries = read(&later, sequence).await.unwrap();
        let changes: Vec<_> = deliveries.into_iter().map(|delivery| delivery.changes).collect();
        assert_same(&changes, &before[usize::try_from(sequence).unwrap() - 1].1);
    }
    let last = later.commit(head).await.unwrap();
    let commits: Vec<_> = later.commits(1, last).try_collect().await.unwrap();
    let all = later.deliveries(commits, &Selection::default());
    let all: Vec<_> = all.map_ok(|delivery| delivery.changes).try_collect().await.unwrap();
    assert_same(&all, &before.into_iter().flat_map(|(_, changes)| changes).collect::<Vec<_>>());
}

async fn a_fold_goes_on_where_the_last_one_ended(store: Store) {
    let hands = Hands::default();
    let log = open(&store, &hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    let mut layouts = LayoutWriter::open(&log).await.unwrap();
    for round in 0..6 {
        write_all_shapes(&log, &mut writer, round * 100).await;
        let format = if round % 2 == 0 { Format::Parquet } else { Format::Arrow };
        assert!(log.fold(&mut layouts, format, &Stop::new()).await.unwrap());
        hands.move_on(DAY);
        log.clear(&mut layouts, &Stop::new()).await.unwrap();
    }
    assert!(
        !log.fold(&mut layouts, Format::Parquet, &Stop::new()).await.unwrap(),
        "there is nothing to fold"
    );
    assert!(objects(&store, "volumes").await.len() <= 3, "small volumes are folded again");
    assert!(objects(&store, "layout").await.len() <= 3);
    let later = open(&store, &hands).await;
    assert_reads_alike(&all_of(&log).await, &all_of(&later).await);
    assert_eq!(later.seek(crate::log::Place::Sequence(4)).await.unwrap(), 4);
    let mut next = LogWriter::open(&later).await.unwrap();
    write_all_shapes(&later, &mut next, 1_000).await;
    assert_eq!(all_of(&open(&store, &hands).await).await.len(), 42);
}

async fn of_two_who_fold_one_is_out(store: Store) {
    let hands = Hands::default();
    let log = open(&store, &hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    write_all_shapes(&log, &mut writer, 0).await;
    let other = open(&store, &hands).await;
    let (mut one, mut two, mut late) = (
        LayoutWriter::open(&log).await.unwrap(),
        LayoutWriter::open(&other).await.unwrap(),
        LayoutWriter::open(&other).await.unwrap(),
    );
    assert!(log.fold(&mut one, Format::Parquet, &Stop::new()).await.unwrap());
    let error = other.fold(&mut two, Format::Parquet, &Stop::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    for round in 1..6 {
        write_all_shapes(&log, &mut writer, round * 100).await;
        assert!(log.fold(&mut one, Format::Parquet, &Stop::new()).await.unwrap());
    }
    assert!(!objects(&store, "layout").await.contains(&"layout/000000000001".to_owned()));
    let before = all_of(&log).await;
    let error = other.fold(&mut late, Format::Parquet, &Stop::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "the name was free, but long ago: {error}");
    assert_reads_alike(&before, &all_of(&open(&store, &hands).await).await);
}

async fn nobody_writes_into_what_is_folded(store: Store) {
    let hands = Hands::default();
    let log = open(&store, &hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    write_all_shapes(&log, &mut writer, 0).await;
    let unaware = open(&store, &hands).await;
    let reader = open(&store, &hands).await;
    let mut late = LogWriter::open(&unaware).await.unwrap();
    let bogus = by_another_writer(&store, &hands).await;
    write_all_shapes(&log, &mut writer, 100).await;
    fold(&log, Format::Parquet).await;
    hands.move_on(DAY);
    clear(&log).await;
    let before = all_of(&log).await;
    let stranger = group(vec![numbered_rows("a", 7, 1)], "elsewhere", None);
    let error = commit(&mut late, vec![stranger]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(unaware.head().sequence, 6, "nothing of it is durable");
    assert_reads_alike(&before, &all_of(&open(&store, &hands).await).await);

    // It died before it could look: whoever knew nothing of the fold must not believe it.
    let path = object_store::path::Path::from("log/00000000/000000000007");
    store.create(&path, bogus).await.unwrap();
    reader.refresh().await.unwrap();
    assert_reads_alike(&before, &all_of(&reader).await);
}

/// The bytes of the commit that another writer would add to the log as it is now.
async fn by_another_writer(store: &Store, hands: &Hands) -> bytes::Bytes {
    let copy = Store::memory();
    for folder in ["schemas", "data", "log"] {
        for path in store.objects(&folder.into()).await.unwrap() {
            copy.create(&path, store.get(&path).await.unwrap().unwrap()).await.unwrap();
        }
    }
    let identity = store.get(&"pipeline.json".into()).await.unwrap().unwrap();
    copy.create(&"pipeline.json".into(), identity).await.unwrap();
    let log = open(&copy, hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    let stranger = group(vec![numbered_rows("a", 7, 1)], "elsewhere", None);
    let sequence = commit(&mut writer, vec![stranger]).await.unwrap();
    copy.get(&format!("log/00000000/{sequence:012}").into()).await.unwrap().unwrap()
}

async fn fences_stay_until_their_writers_have_retired(store: Store) {
    let hands = Hands::default();
    let log = open(&store, &hands).await;
    let mut writers = Vec::new();
    for round in 0..4 {
        let mut writer = LogWriter::open(&log).await.unwrap();
        write_all_shapes(&log, &mut writer, round * 100).await;
        writers.push(writer);
    }
    let fences = ["log/00000000/000000000007", "log/00000000/000000000013", "log/00000000/000000000019"];
    let head = "log/00000000/000000000024";
    fold(&log, Format::Parquet).await;
    hands.move_on(DAY);
    clear(&log).await;
    assert_eq!(objects(&store, "log").await, [&fences[..], &[head]].concat());
    // Every former writer meets the one name that it can try.
    for writer in &mut writers[..3] {
        let late = group(vec![numbered_rows("a", 0, 1)], "late", None);
        let error = commit(writer, vec![late]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    assert_eq!(objects(&store, "log").await, [&fences[..], &[head]].concat());

    writers[3].retire().await.unwrap();
    let mut writer = LogWriter::open(&log).await.unwrap();
    write_all_shapes(&log, &mut writer, 400).await;
    fold(&log, Format::Parquet).await;
    for _ in 0..3 {
        hands.move_on(DAY);
        clear(&log).await;
    }
    let head = "log/00000000/000000000030";
    assert_eq!(objects(&store, "log").await, [&fences[..], &[head]].concat(), "it had ended in good order");
    assert!(objects(&store, "retired").await.is_empty());
}

async fn what_a_dead_fold_left_is_removed(store: Store) {
    let hands = Hands::default();
    let log = open(&store, &hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    write_all_shapes(&log, &mut writer, 0).await;
    let (mut dead, mut living) =
        (LayoutWriter::open(&log).await.unwrap(), LayoutWriter::open(&log).await.unwrap());
    assert!(log.fold(&mut living, Format::Parquet, &Stop::new()).await.unwrap());
    let whole = objects(&store, "data").await.len();
    log.fold(&mut dead, Format::Parquet, &Stop::new()).await.unwrap_err();
    assert!(objects(&store, "data").await.len() > whole && objects(&store, "volumes").await.len() == 2);
    log.clear_garbage(&living).await.unwrap();
    assert_eq!((objects(&store, "data").await.len(), objects(&store, "volumes").await.len()), (whole, 1));

    // Nor does the next one take what others have made for garbage.
    let mut next = LayoutWriter::open(&log).await.unwrap();
    hands.move_on(DAY);
    log.clear(&mut next, &Stop::new()).await.unwrap();
    let whole = objects(&store, "data").await.len();
    log.clear_garbage(&next).await.unwrap();
    assert_eq!((objects(&store, "data").await.len(), objects(&store, "volumes").await.len()), (whole, 1));
    assert_eq!(all_of(&open(&store, &hands).await).await.len(), 6);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, ListArray, types::Int32Type};

    use super::*;
    use crate::{
        change::Op,
        schema::{Field, Kind, StreamName, StreamSchema},
    };

    /// One record with a long list.
    fn listed(id: i64) -> ChangeBatch {
        let kind = Kind::List { of: Box::new(Kind::Int32) };
        let fields = vec![Field::new("id", Kind::Int64).required(), Field::new("list", kind)];
        let schema = StreamSchema::new(StreamName::new("lists"), fields, vec!["id".into()]).unwrap();
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some((0..2_000).map(Some))]);
        let values: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![id])), Arc::new(list)];
        ChangeBatch::uniform(schema, Op::Create, values).unwrap()
    }

    #[tokio::test]
    async fn what_is_folded_again_is_folded_whole() {
        let (store, hands) = (Store::memory(), Hands::default());
        for round in 0..3 {
            // Another process, which has nothing in memory.
            let log = open(&store, &hands).await;
            let mut writer = LogWriter::open(&log).await.unwrap();
            let mut layouts = LayoutWriter::open(&log).await.unwrap();
            for id in 0..100 {
                commit(&mut writer, vec![group(vec![listed(round * 100 + id)], "1", None)]).await.unwrap();
            }
            assert!(log.fold(&mut layouts, Format::Parquet, &Stop::new()).await.unwrap());
            assert_eq!(layouts.layout().folded(), log.head().sequence - 1);
            assert_eq!(layouts.layout().volumes.len(), 1, "all of it is small");
            hands.move_on(DAY);
            log.clear(&mut layouts, &Stop::new()).await.unwrap();
        }
        assert_eq!(all_of(&open(&store, &hands).await).await.len(), 300);
    }
}
