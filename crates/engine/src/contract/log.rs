//! What a store must give for a log to be safe in it, and what the log makes of it.

use std::sync::{Arc, atomic::AtomicU64};

use bytes::Bytes;
use futures::TryStreamExt;

use super::{
    folding::{DAY, Hands},
    samples::{everything, numbered_rows},
};
use crate::{
    ErrorKind, PartId, Result, Stop, Time,
    change::ChangeBatch,
    codec::Format,
    log::{
        Cut, Entry, Former, Group, KeyRange, Log, LogWriter, Mark, MarkState, Marks, Place, SegmentSettings,
        SegmentWriter, Selection, Span, Store, SyncStep, Syncing, Unnamed,
    },
    read::Phase,
    schema::StreamName,
    world::{Random, World},
    write::Delivery,
};

/// Runs the whole suite. Every call of `store` gives an empty store.
pub async fn all(store: impl Fn() -> Store) {
    a_log_is_read_as_it_was_written(store()).await;
    a_log_keeps_its_identity(store()).await;
    a_second_writer_fences_the_first(store()).await;
    writers_are_told_apart_by_what_they_write(store()).await;
    times_never_go_back(store()).await;
    segments_are_delivered_in_order_and_orphans_removed(store()).await;
    damage_is_found_and_nothing_delivered(store()).await;
    a_segment_in_the_place_of_another_is_not_delivered(store()).await;
    moments_are_found(store()).await;
    transactions_of_one_boundary_keep_their_places(store()).await;
    steps_out_of_turn_are_refused(store()).await;
    marks_tell_the_last_and_forget_the_old(store()).await;
    super::states::all(&store).await;
    super::folding::all(&store).await;
    super::retention::all(store).await;
}

pub(super) async fn open(store: &Store) -> Log {
    Log::open_or_create(store.clone(), "contract", World::real()).await.expect("the log opens")
}

pub(super) fn group(batches: Vec<ChangeBatch>, cursor: &'static str, time: Option<i64>) -> Group {
    let mut rows = 0;
    let numbered = batches.into_iter().map(|batch| {
        let batch = batch.numbered_from(rows);
        rows += batch.rows() as u64;
        batch
    });
    let batches = numbered.collect();
    Group {
        part: PartId::new("part"),
        cursor: Bytes::from_static(cursor.as_bytes()),
        forgotten: Vec::new(),
        transactions: vec![Span { rows, time: time.map(Time::from_micros) }],
        last_source_position: None,
        steps: Vec::new(),
        rows,
        left_out: 0,
        phase: Phase::Changes,
        batches,
        segments: Vec::new(),
    }
}

pub(super) async fn commit(writer: &mut LogWriter, groups: Vec<Group>) -> Result<u64> {
    writer.commit(Entry { groups }, &Stop::new()).await.map(|commit| commit.sequence())
}

pub(super) async fn read(log: &Log, sequence: u64) -> Result<Vec<Delivery>> {
    let commit = log.commit(sequence).await?;
    log.deliveries(vec![commit], &Selection::default()).try_collect().await
}

async fn a_log_is_read_as_it_was_written(store: Store) {
    let log = open(&store).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    let groups = vec![
        group(vec![numbered_rows("a", 0, 2), everything()], "1", None),
        group(vec![numbered_rows("a", 2, 3)], "2", None),
    ];
    assert_eq!(commit(&mut writer, groups).await.unwrap(), 1);
    assert_eq!(commit(&mut writer, vec![group(vec![], "3", None)]).await.unwrap(), 2);

    let later = open(&store).await;
    assert_eq!(later.id(), log.id());
    assert_eq!(later.head(), log.head());
    assert_eq!(later.cursor().get(&PartId::new("part")), Some(&Bytes::from_static(b"3")));
    let deliveries = read(&later, 1).await.unwrap();
    let streams: Vec<_> =
        deliveries.iter().map(|delivery| delivery.changes.schema().stream().as_str()).collect();
    assert_eq!(streams, ["a", "every/thing"]);
    let ordinals: Vec<u64> = deliveries[0].changes.ordinals().unwrap().values().to_vec();
    assert_eq!(ordinals, [0, 1, 6, 7, 8], "ordinals run across the commit");
    super::codec::assert_same(&[deliveries[1].changes.clone()], &[everything().shifted_by(2).unwrap()]);
    assert!(read(&later, 2).await.unwrap().is_empty());
    let ends: Vec<u64> =
        later.commit(1).await.unwrap().transactions().unwrap().iter().map(|t| t.end).collect();
    assert_eq!(ends, [6, 9]);
}

async fn a_log_keeps_its_identity(store: Store) {
    assert!(Log::open(store.clone(), World::real()).await.unwrap().is_none());
    let first = open(&store).await;
    let second = Log::open_or_create(store, "another name", World::real()).await.unwrap();
    assert_eq!((first.id(), second.pipeline()), (second.id(), "contract"));
}

async fn a_second_writer_fences_the_first(store: Store) {
    let (one, two) = (open(&store).await, open(&store).await);
    let mut first = LogWriter::open(&one).await.unwrap();
    commit(&mut first, vec![group(vec![numbered_rows("a", 0, 1)], "1", None)]).await.unwrap();
    let mut second = LogWriter::open(&two).await.unwrap();
    commit(&mut second, vec![group(vec![numbered_rows("a", 1, 1)], "2", None)]).await.unwrap();
    let error = commit(&mut first, vec![group(vec![numbered_rows("a", 1, 1)], "2", None)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(open(&store).await.head().sequence, 2);
    assert_eq!(second.epoch(), first.epoch() + 1);
}

/// Draws the same number again and again, so that whoever takes a name from it is called like everybody else.
struct Unoriginal;

impl Random for Unoriginal {
    fn next(&self) -> u64 {
        7
    }
}

/// What stands under a number is ours when it is what we have put there, whoever is named in it.
async fn writers_are_told_apart_by_what_they_write(store: Store) {
    let hands = Arc::new(Hands::default());
    let world = World::new(hands.clone(), Arc::new(Unoriginal), hands);
    let open = || Log::open_or_create(store.clone(), "contract", world.clone());
    let (one, two) = (open().await.unwrap(), open().await.unwrap());
    let mut first = LogWriter::open(&one).await.unwrap();
    let mut second = LogWriter::open(&two).await.unwrap();
    assert_eq!((first.name(), first.epoch()), (second.name(), second.epoch()));
    commit(&mut first, vec![group(vec![numbered_rows("a", 0, 1)], "1", None)]).await.unwrap();
    let other = group(vec![numbered_rows("a", 1, 1)], "1", None);
    let error = commit(&mut second, vec![other]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

async fn times_never_go_back(store: Store) {
    let hands = Hands::default();
    hands.move_on(DAY);
    let log = super::folding::open(&store, &hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    for id in 0..2 {
        commit(&mut writer, vec![group(vec![numbered_rows("a", id, 1)], "x", None)]).await.unwrap();
        hands.move_on(-DAY / 2);
    }
    let (first, second) = (log.commit(1).await.unwrap(), log.commit(2).await.unwrap());
    assert!(first.time() < second.time(), "the clock was set back between the two");
}

async fn segments_are_delivered_in_order_and_orphans_removed(store: Store) {
    let log = open(&store).await;
    for round in 0..2u64 {
        let mut writer = LogWriter::open(&log).await.unwrap();
        let settings = || SegmentSettings {
            log: log.clone(),
            format: Format::Parquet,
            epoch: writer.epoch(),
            writer: writer.name().to_owned(),
            begun: AtomicU64::new(round * 100),
            stop: Stop::new(),
            unnamed: Unnamed::default(),
        };
        let mut orphan = SegmentWriter::new(settings().into(), Phase::InitialSync);
        orphan.write(numbered_rows("o %/", 0, 10).numbered_from(0)).await.unwrap();
        orphan.finish().await.unwrap();

        let shared = Arc::new(SegmentSettings { begun: AtomicU64::new(round * 100 + 50), ..settings() });
        let mut segments = SegmentWriter::new(shared, Phase::InitialSync);
        segments.write(numbered_rows("a %/", 0, 10).numbered_from(0)).await.unwrap();
        segments.write(everything().shifted_by(10).unwrap()).await.unwrap();
        segments.write(numbered_rows("a %/", 10, 5).numbered_from(14)).await.unwrap();
        let mut group = group(vec![], "1", None);
        group.rows = 19;
        group.transactions = vec![Span { rows: 19, time: None }];
        group.segments = segments.finish().await.unwrap();
        assert_eq!(group.segments.len(), 3, "a segment has one schema");
        commit(&mut writer, vec![group]).await.unwrap();
        log.remove_orphans(writer.epoch() - 1).await.unwrap();
    }
    let later = open(&store).await;
    for sequence in [1, 2] {
        let deliveries = read(&later, sequence).await.unwrap();
        let ordinals =
            deliveries.iter().flat_map(|delivery| delivery.changes.ordinals().unwrap().values().to_vec());
        assert_eq!(ordinals.collect::<Vec<_>>(), (0..19).collect::<Vec<_>>());
    }
    let left = store.objects(&"data".into()).await.unwrap();
    assert_eq!(left.len(), 7, "the orphan of the first round is gone, that of the living writer is not");
}

async fn damage_is_found_and_nothing_delivered(store: Store) {
    let log = open(&store).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    for id in 0..4 {
        commit(&mut writer, vec![group(vec![numbered_rows("a", id, 1)], "x", None)]).await.unwrap();
    }
    let path = |sequence: u64| object_store::path::Path::from(format!("log/00000000/{sequence:012}"));
    let (second, third) =
        (store.get(&path(2)).await.unwrap().unwrap(), store.get(&path(3)).await.unwrap().unwrap());
    let flipped = {
        let mut bytes = third.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Bytes::from(bytes)
    };
    for damage in
        [Some(flipped), Some(third.slice(..third.len() - 1)), Some(Bytes::new()), Some(second), None]
    {
        store.delete(&path(3)).await.unwrap();
        if let Some(damage) = damage {
            store.create(&path(3), damage).await.unwrap();
        }
        let later = open(&store).await;
        let error = read(&later, 3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let before = later.position(2).await.unwrap();
        let error = later.commit_after(&before).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "it is not passed over: {error}");
    }
    // A sound commit of this log that does not belong here: the chain tells.
    store.delete(&path(3)).await.unwrap();
    store.create(&path(3), third).await.unwrap();
    let later = open(&store).await;
    let mut elsewhere = later.position(2).await.unwrap();
    elsewhere.hash = crate::Digest::ZERO;
    assert_eq!(later.commit_after(&elsewhere).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(later.verify(&elsewhere).await.unwrap_err().kind(), ErrorKind::Conflict);
    let head = later.head();
    later.verify(&head).await.unwrap();
    let beyond = crate::Position { sequence: head.sequence + 1, ..head.clone() };
    assert_eq!(later.verify(&beyond).await.unwrap_err().kind(), ErrorKind::Conflict);
    let other = crate::Position { log: crate::LogId::new("other"), ..head };
    assert_eq!(later.verify(&other).await.unwrap_err().kind(), ErrorKind::Conflict);
}

/// Both are sound, and nothing but the digest tells them apart.
async fn a_segment_in_the_place_of_another_is_not_delivered(store: Store) {
    let log = open(&store).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    for id in 0..2 {
        let settings = SegmentSettings {
            log: log.clone(),
            format: Format::Arrow,
            epoch: writer.epoch(),
            writer: writer.name().to_owned(),
            begun: AtomicU64::new(id),
            stop: Stop::new(),
            unnamed: Unnamed::default(),
        };
        let mut segments = SegmentWriter::new(settings.into(), Phase::Changes);
        segments.write(numbered_rows("a", id.cast_signed(), 1).numbered_from(0)).await.unwrap();
        let group = Group {
            rows: 1,
            transactions: vec![Span { rows: 1, time: None }],
            segments: segments.finish().await.unwrap(),
            ..group(vec![], "x", None)
        };
        commit(&mut writer, vec![group]).await.unwrap();
    }
    let mut paths = store.objects(&"data".into()).await.unwrap();
    paths.sort();
    let (first, second) =
        (store.get(&paths[0]).await.unwrap().unwrap(), store.get(&paths[1]).await.unwrap().unwrap());
    assert_eq!(first.len(), second.len());
    store.replace(&paths[0], second).await.unwrap();
    let error = read(&open(&store).await, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

async fn moments_are_found(store: Store) {
    let log = open(&store).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    // Source times go back once; watermarks do not.
    for micros in [10, 20, 15, 30] {
        commit(&mut writer, vec![group(vec![numbered_rows("a", micros, 1)], "x", Some(micros))])
            .await
            .unwrap();
    }
    let at = |micros| Place::Time(Time::from_micros(micros));
    for (moment, sequence) in [
        (Place::Sequence(0), 0),
        (at(9), 0),
        (at(10), 1),
        (at(19), 1),
        (at(20), 3),
        (at(29), 3),
        (at(30), 4),
        (at(i64::MAX), 4),
        (Place::Sequence(2), 2),
    ] {
        assert_eq!(log.seek(moment).await.unwrap(), sequence, "{moment:?}");
    }
    assert_eq!(log.seek(Place::Sequence(5)).await.unwrap_err().kind(), ErrorKind::Config);
    log.grown_beyond(3).await;

    // What is no longer kept is not to be had.
    let mut commits = store.objects(&"log/00000000".into()).await.unwrap();
    commits.sort();
    for commit in &commits[..2] {
        store.delete(commit).await.unwrap();
    }
    let log = open(&store).await;
    assert_eq!(log.oldest().await.unwrap(), 3);
    assert_eq!(log.seek(at(29)).await.unwrap(), 3);
    assert_eq!(log.seek(Place::Sequence(2)).await.unwrap(), 2);
    for moment in [at(9), Place::Sequence(1)] {
        let error = log.seek(moment).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.hint_text().unwrap().contains("seq:2"), "{error:?}");
    }
}

async fn transactions_of_one_boundary_keep_their_places(store: Store) {
    let log = open(&store).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    let over = |spans: &[(u64, i64)]| {
        let span = |&(rows, micros): &(u64, i64)| Span { rows, time: Some(Time::from_micros(micros)) };
        let transactions = spans.iter().map(span).collect();
        Group { transactions, ..group(vec![numbered_rows("a", 0, 6)], "x", None) }
    };
    // The second is older than the first, as clocks of a source may have it; one holds no change.
    let spans = [(2, 10), (1, 5), (0, 20), (3, 30)];
    commit(&mut writer, vec![over(&spans), group(vec![numbered_rows("a", 6, 1)], "y", Some(40))])
        .await
        .unwrap();
    let transactions = log.commit(1).await.unwrap().transactions().unwrap();
    let found: Vec<_> = transactions.iter().map(|it| (it.end, it.watermark.as_micros())).collect();
    assert_eq!(found, [(2, 10), (3, 10), (3, 20), (6, 30), (7, 40)], "the watermark never goes back");
    for (micros, sequence) in [(9, 0), (10, 0), (39, 0), (40, 1)] {
        let moment = Place::Time(Time::from_micros(micros));
        assert_eq!(log.seek(moment).await.unwrap(), sequence, "only whole commits are before {micros}");
    }
    for (micros, beyond) in [(9, None), (10, Some(3)), (25, Some(3)), (39, Some(6))] {
        let cut = log.cut(Place::Time(Time::from_micros(micros))).await.unwrap();
        assert_eq!(cut, Cut { sequence: 0, beyond }, "whole transactions are before {micros}");
    }
    let error = commit(&mut writer, vec![over(&[(2, 10), (3, 30)])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "transactions hold every change: {error}");
}

async fn steps_out_of_turn_are_refused(store: Store) {
    let log = open(&store).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    let stream = || StreamName::new("a");
    let begin = |generation| SyncStep::Begin { stream: stream(), generation, former: Former::Nothing };
    let done = |generation| SyncStep::Done { stream: stream(), generation };
    let chunk = |generation| SyncStep::Chunk {
        stream: stream(),
        generation,
        range: KeyRange::default(),
        point: vec![1],
    };
    let say = |steps| vec![Group { steps, ..group(vec![], "x", None) }];

    for steps in [vec![done(1)], vec![chunk(1)], vec![begin(2), chunk(1)], vec![begin(2), begin(2)]] {
        let error = commit(&mut writer, say(steps)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    }
    commit(&mut writer, say(vec![begin(1), chunk(1)])).await.unwrap();
    commit(&mut writer, say(vec![])).await.unwrap();
    commit(&mut writer, say(vec![begin(2)])).await.unwrap();
    let later = open(&store).await;
    assert_eq!(
        later.syncing(),
        [(stream(), Syncing { generation: 2, since: 3, former: Former::Nothing })].into()
    );
    commit(&mut writer, say(vec![chunk(2), done(2)])).await.unwrap();
    later.refresh().await.unwrap();
    assert!(later.syncing().is_empty());
}

async fn marks_tell_the_last_and_forget_the_old(store: Store) {
    let log = open(&store).await;
    let (mut marks, none) = Marks::open(&log, "d").await.unwrap();
    assert_eq!(none, None);
    let mark = |rows| Mark {
        position: log.head(),
        anew: Default::default(),
        as_of: None,
        note: String::new(),
        held: Default::default(),
        from: 0,
        streams: Vec::new(),
        rows,
        time: log.world().now(),
        state: MarkState::Running,
    };
    for rows in 0..5 {
        marks.add(&mark(rows)).await.unwrap();
    }
    let (_, last) = Marks::open(&log, "d").await.unwrap();
    assert_eq!(last.map(|mark| mark.rows), Some(4));
    let kept = store.objects(&"positions".into()).await.unwrap();
    assert!(kept.len() <= 3, "old marks are forgotten: {kept:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{MasterKey, MasterKeys};

    #[tokio::test]
    async fn memory() {
        all(Store::memory).await;
    }

    #[tokio::test]
    async fn encrypted() {
        let root = tempfile::tempdir().unwrap();
        let folders = std::cell::Cell::new(0);
        let keys = || MasterKeys::new(MasterKey::parse(&"ab".repeat(32)).unwrap(), Vec::new()).unwrap();
        all(|| {
            folders.set(folders.get() + 1);
            let folder = root.path().join(folders.get().to_string());
            Store::local(folder).unwrap().encrypted(keys(), World::real())
        })
        .await;
    }

    /// A process may die after it made a folder of commits and before it put the first.
    #[tokio::test]
    async fn an_empty_folder_of_commits_is_no_damage() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::local(root.path()).unwrap();
        let first = open(&store).await;
        std::fs::create_dir_all(root.path().join("log/00000000")).unwrap();
        assert_eq!(open(&store).await.head(), first.head());
        let mut writer = LogWriter::open(&first).await.unwrap();
        commit(&mut writer, vec![group(vec![numbered_rows("a", 0, 1)], "1", None)]).await.unwrap();
        std::fs::create_dir_all(root.path().join("log/00000001")).unwrap();
        assert_eq!(open(&store).await.head().sequence, 1);
    }

    #[tokio::test]
    async fn local_folder() {
        let root = tempfile::tempdir().unwrap();
        let folders = std::cell::Cell::new(0);
        all(|| {
            folders.set(folders.get() + 1);
            Store::local(root.path().join(folders.get().to_string())).unwrap()
        })
        .await;
    }
}
