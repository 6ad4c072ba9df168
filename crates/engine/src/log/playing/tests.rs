//! A table that changes while it is read, chunk by chunk, again and again: what is played must be the table.

mod reader;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;

use self::{
    reader::{Event, Reader},
    table::{Mirror, Played, change_ids},
};
use crate::{
    log::{Log, Playing, Selection},
    schema::StreamName,
    write::{Delivery, WriteMode},
};

/// What a destination is given by the commits after `after` up to `last`.
async fn play(log: &Log, after: u64, last: u64) -> Vec<Delivery> {
    if after == last {
        return Vec::new();
    }
    let last = log.commit(last).await.unwrap();
    let commits = log.commits(after + 1, last);
    log.played(commits, &Selection::default(), Playing::new(0, WriteMode::Mirror))
        .try_collect()
        .await
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_played_is_the_table(events in prop::collection::vec(reader::event(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
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
    assert_eq!(mirror.rows, reader.table.rows, "a mirror looks like the table");
    check_appended(&reader, &whole);

    // One that stops and goes on at any commit gets the same, and whenever no initial sync is under way it looks like the
    // table as far as it has been read.
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
}

/// Every record of the last generation's chunks once, then every change that they do not have once, in order.
fn check_appended(reader: &Reader, whole: &[Delivery]) {
    let ids = change_ids(whole);
    let begin = ids.iter().rposition(|id| id.begins_anew).map_or(0, |begin| begin + 1);
    let (records, changes): (Vec<Played>, Vec<Played>) =
        ids[begin..].iter().copied().partition(|id| id.is_record);
    let keys: BTreeSet<i64> = records.iter().map(|id| id.key).collect();
    assert_eq!(keys.len(), records.len(), "a record is played once");
    assert_eq!(keys, reader.records, "every record is played");
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
