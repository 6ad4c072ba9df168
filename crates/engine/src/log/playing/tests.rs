//! A table that changes while it is read, chunk by chunk, again and again: what is played must be the table.

mod kept;
pub(in crate::log) mod reader;
pub(in crate::log) mod table;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;

use self::{
    kept::Kept,
    reader::{Event, Reader},
    table::{Mirror, Played, change_ids},
};
use crate::{
    log::{Log, Playing, Selection},
    schema::StreamName,
    write::{Delivery, WriteMode},
};

/// What an appended history is given by the commits after `after` up to `last`.
async fn play(log: &Log, after: u64, last: u64) -> Vec<Delivery> {
    if after == last {
        return Vec::new();
    }
    let last = log.commit(last).await.unwrap();
    let commits = log.commits(after + 1, last);
    log.played(commits, &Selection::default(), Playing::new(0, WriteMode::Append))
        .try_collect()
        .await
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_played_is_the_table(events in prop::collection::vec(reader::event(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(check(events));
    }
}

async fn check(events: Vec<Event>) {
    let mut reader = Reader::new().await;
    for event in events {
        reader.meet(event).await;
    }
    reader.finish().await;
    let head = reader.log.head().sequence;
    let whole = play(&reader.log, 0, head).await;

    let mut mirror = Mirror::default();
    whole.iter().for_each(|delivery| mirror.apply(delivery));
    assert_eq!(mirror.rows, reader.table.rows, "a history leads to the table");
    check_appended(&reader, &whole);

    // One that stops and goes on at any commit gets the same, and whenever a complete generation goes on it looks like the table as far
    // as it has been read.
    for stop in 0..=head {
        let first = play(&reader.log, 0, stop).await;
        let mut mirror = Mirror::default();
        first.iter().for_each(|delivery| mirror.apply(delivery));
        if let Some(rows) = reader.complete_at.get(&stop) {
            assert_eq!(&mirror.rows, rows, "after commit {stop}");
        }
        let rest = play(&reader.log, stop, head).await;
        assert_eq!(change_ids(first.iter().chain(&rest)), change_ids(&whole));
    }
    check_kept(&reader, head).await;
}

/// A destination that was there before goes on while the table is read anew, and keeps what it has while changes are wanting; one
/// that begins when all is over gets there too.
async fn check_kept(reader: &Reader, head: u64) {
    let mut kept = Kept::default();
    for stop in 1..=head {
        kept.play_until(&reader.log, stop).await;
        if let Some(rows) = reader.complete_at.get(&stop).or(reader.stale_at.get(&stop)) {
            assert_eq!(kept.rows(), rows, "after commit {stop}");
        }
    }
    assert_eq!(kept.rows(), &reader.table.rows, "it looks like the table");
    let mut fresh = Kept::default();
    fresh.play_until(&reader.log, head).await;
    assert_eq!(fresh.rows(), &reader.table.rows, "a fresh one looks like the table");
    assert!(fresh.replaced <= kept.replaced);
}

/// Every record of the last generation's chunks once, then every change that they do not have once, in order.
fn check_appended(reader: &Reader, whole: &[Delivery]) {
    let ids = change_ids(whole);
    let begin = ids.iter().rposition(|id| id.begins_anew).map_or(0, |begin| begin + 1);
    let (records, changes): (Vec<Played>, Vec<Played>) =
        ids[begin..].iter().copied().partition(|id| id.is_record);
    let keys: BTreeSet<i64> = records.iter().map(|id| id.key).collect();
    assert_eq!(keys.len(), records.len(), "a record is played once");
    assert_eq!(&keys, reader.records(), "every record is played");
    let places: Vec<_> = changes.iter().map(|id| (id.sequence, id.ordinal)).collect();
    let lsns: Vec<_> = changes.iter().map(|id| id.lsn).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "changes are played once and in order: {places:?}");
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    lsns.into_iter().for_each(|lsn| *counts.entry(lsn).or_default() += 1);
    assert_eq!(counts, reader.expected_changes(), "each change that its chunk does not have is played");
}

/// A replay that begins inside a generation is given the changes after its beginning, and no others.
#[tokio::test]
async fn a_plan_that_begins_in_the_middle_of_a_generation() {
    let mut reader = Reader::new().await;
    reader.meet(Event::Write(vec![(reader::Write::Insert, 1, 0), (reader::Write::Insert, 15, 0)])).await;
    reader.meet(Event::Read(0)).await;
    for key in [2, 3, 4] {
        reader.meet(Event::Write(vec![(reader::Write::Insert, key, 0)])).await;
        reader.meet(Event::Stage(9)).await;
        reader.meet(Event::Commit).await;
    }
    reader.finish().await;
    let head = reader.log.head().sequence;
    for from in 0..head {
        let commits = reader.log.commits(from + 1, reader.log.commit(head).await.unwrap());
        let played: Vec<_> = reader
            .log
            .played(commits, &Selection::default(), Playing::new(from, WriteMode::Mirror))
            .try_collect()
            .await
            .unwrap();
        assert!(played.iter().all(|delivery| delivery.sequence > from && delivery.played > from));
    }
    let commits = stream::iter([reader.log.commit(head).await]).boxed();
    let none = Selection { except: [StreamName::new("table")].into(), ..Selection::default() };
    let played: Vec<_> =
        reader.log.played(commits, &none, Playing::new(0, WriteMode::Mirror)).try_collect().await.unwrap();
    assert!(played.is_empty(), "a stream that is left out is left out with what waited");
}

/// A table read anew beside what goes on, and one read anew because changes are wanting, each take the place of what was there, once.
#[tokio::test]
async fn a_table_that_is_read_anew_takes_the_place() {
    let insert =
        |keys: std::ops::Range<i64>| Event::Write(keys.map(|key| (reader::Write::Insert, key, 0)).collect());
    let mut reader = Reader::new().await;
    reader.meet(insert(0..30)).await;
    reader.finish().await;
    let mut kept = Kept::default();
    for (times, event) in [(1, Event::Anew), (2, Event::Lose)] {
        reader.meet(Event::Write(vec![(reader::Write::Delete, times, 0)])).await;
        reader.meet(event).await;
        reader.meet(Event::Read(0)).await;
        reader.meet(insert(30 + times..31 + times)).await;
        reader.meet(Event::Stage(9)).await;
        reader.meet(Event::Commit).await;
        kept.play_until(&reader.log, reader.log.head().sequence).await;
        assert_eq!(kept.replaced, times as u64 - 1, "nothing takes its place before it is complete");
        let goes_on = kept.rows().contains_key(&(30 + times));
        assert_eq!(goes_on, times == 1, "changes go on, unless some are wanting");
        assert_eq!(kept.rows().contains_key(&times), times == 2);
        reader.finish().await;
        kept.play_until(&reader.log, reader.log.head().sequence).await;
        assert_eq!((kept.replaced, kept.rows()), (times as u64, &reader.table.rows));
    }
}
