//! What a base holds, and what it leaves out.

use arrow_array::Int64Array;
use proptest::prelude::*;

use super::{
    counts,
    history::{Event, History, Mirror, event},
    mirrored, play, put_base,
};
use crate::{
    ErrorKind, Time,
    change::{ChangeBatch, Op},
    contract::samples::numbered_rows,
    log::{DeadLetter, LetterId},
    read::Phase,
    schema::{Field, Kind, StreamName, StreamSchema},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn from_a_base_on_all_is_as_from_the_beginning(
        events in prop::collection::vec(event(0), 1..150),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        run(check(events, cuts));
    }

    #[test]
    fn whatever_schemas_there_are(
        events in prop::collection::vec(event(15), 1..150),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        run(check(events, cuts));
    }
}

fn run(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(check);
}

async fn check(events: Vec<(usize, Event)>, cuts: Vec<prop::sample::Index>) {
    let history = history(events).await;
    let (log, head) = (&history.log, history.log.head().sequence);
    if head == 0 {
        return;
    }
    let mut cuts =
        cuts.iter().map(|cut| 1 + cut.index(usize::try_from(head).unwrap()) as u64).collect::<Vec<_>>();
    cuts.sort_unstable();
    cuts.dedup();
    let mut expected = Vec::new();
    for upper in &cuts {
        expected.push(Mirror::play(&play(log, 1, *upper).await));
    }
    let whole = Mirror::play(&play(log, 1, head).await);
    for (upper, expected) in cuts.into_iter().zip(expected) {
        let base = put_base(log, upper).await;
        assert_eq!(without_empty(Mirror::play(&mirrored(log, &base).await)), without_empty(expected));
        assert_eq!(without_empty(Mirror::play(&play(log, upper, head).await)), without_empty(whole.clone()));
    }
}

/// A table without a record and none at all are the same.
fn without_empty(mut mirror: Mirror) -> Mirror {
    mirror.tables.retain(|_, table| !table.is_empty());
    mirror
}

async fn history(events: impl IntoIterator<Item = (usize, Event)>) -> History {
    let mut history = History::new().await;
    for (stream, event) in events {
        history.meet(stream, event).await;
    }
    history.commit().await;
    history
}

/// Records and other changes in the base of everything that happens to the first stream.
async fn shape(events: Vec<Event>) -> (u64, u64) {
    let history = history(events.into_iter().map(|event| (0, event))).await;
    let head = history.log.head().sequence;
    let base = put_base(&history.log, head).await;
    counts(&base).get(&StreamName::new("one")).copied().unwrap_or_default()
}

#[tokio::test]
async fn one_image_is_left_of_a_record() {
    use Event::{Commit, Delete, Move, Push, Put, Schema, Swap, Truncate, Update};
    assert_eq!(shape(vec![Put(1), Commit, Update(1, true), Put(1), Update(1, true)]).await, (1, 0));
    assert_eq!(shape(vec![Put(1), Put(2), Commit, Delete(1)]).await, (1, 0), "what is gone is gone");
    assert_eq!(shape(vec![Put(1), Put(2), Commit, Truncate, Put(3)]).await, (1, 0));
    assert_eq!(shape(vec![Put(1), Delete(1)]).await, (1, 0), "that it is empty");
    assert_eq!(shape(vec![Put(1), Move(1, 2, true), Commit, Put(1)]).await, (2, 0));
    assert_eq!(shape(vec![Put(1), Put(2), Swap(1, 2, true, true)]).await, (2, 0), "nobody got lost");
    assert_eq!(
        shape(vec![Put(1), Put(2), Push(1, 2, 3, true), Update(2, true), Update(3, true)]).await,
        (2, 0)
    );
    assert_eq!(shape(vec![Put(1), Schema, Put(2), Schema, Update(1, true)]).await, (2, 0));
}

/// Whoever begins with the base has every stream under its newest schema, as one has that was there all the time.
#[tokio::test]
async fn a_stream_without_a_record_under_its_newest_schema_is_known_all_the_same() {
    use Event::{Delete, Put, Schema};
    let history = history([Put(1), Put(2), Schema, Delete(1)].map(|event| (0, event))).await;
    let base = put_base(&history.log, history.log.head().sequence).await;
    let delivered = mirrored(&history.log, &base).await;
    let widths = delivered.iter().map(|delivery| delivery.changes.schema().fields().len());
    assert_eq!(
        widths.collect::<Vec<_>>(),
        [4, 3],
        "a truncate under the newest, then what is left under the one before"
    );
    assert_eq!(Mirror::play(&delivered).tables[&StreamName::new("one")].len(), 1);
}

#[tokio::test]
async fn what_is_told_in_part_needs_what_was_before() {
    use Event::{Delete, Move, Put, Schema, Swap, Truncate, Update};
    let one_in_part = vec![Put(1), Update(1, true), Update(1, false), Update(1, false), Put(2)];
    assert_eq!(shape(one_in_part).await, (2, 2), "it goes on top of the last image");
    assert_eq!(
        shape(vec![Put(1), Update(1, false), Update(1, true)]).await,
        (1, 0),
        "until there is another"
    );
    let moves = vec![Put(1), Update(1, false), Move(1, 2, false), Put(1)];
    assert_eq!(shape(moves).await, (0, 4), "and follows the record to another key");
    assert_eq!(shape(vec![Put(1), Move(1, 2, false), Put(1), Update(2, true)]).await, (2, 0));
    assert_eq!(shape(vec![Put(1), Move(1, 2, false), Delete(2)]).await, (1, 0), "that it is empty");
    assert_eq!(shape(vec![Put(1), Put(2), Swap(1, 2, false, false)]).await, (0, 4));
    // Nobody knows which keys of the one kind are keys of the other: all is kept, until it is void.
    let other_key = vec![Put(1), Update(1, true), Schema, Schema, Schema, Update(1, true)];
    assert_eq!(shape(other_key.clone()).await, (0, 3));
    let void = [other_key, vec![Truncate, Put(5), Update(5, true)]].concat();
    assert_eq!(shape(void).await, (1, 0));
}

/// A dead letter names a change of a commit by its ordinal. When a base has taken the commit's place, the name means nothing else.
#[tokio::test]
async fn no_change_of_a_base_has_the_ordinal_of_one_that_it_replaced() {
    use Event::{Commit, Put, Update};
    let events = [Put(1), Put(2), Commit, Update(1, true), Update(2, false), Put(3)];
    let history = history(events.map(|event| (0, event))).await;
    let (log, head) = (&history.log, history.log.head().sequence);
    let letter = letter(head, 0);
    assert!(log.change_of(&letter).await.is_ok());
    let rows = log.commit(head).await.unwrap().rows();
    let base = put_base(log, head).await;
    let delivered = mirrored(log, &base).await;
    let ordinals = delivered.iter().flat_map(|it| it.changes.ordinals().unwrap().values().to_vec());
    let ordinals = ordinals.collect::<Vec<_>>();
    assert!(ordinals.len() == 4 && ordinals.iter().all(|ordinal| *ordinal >= rows), "{ordinals:?}");
    let error = log.change_of(&letter).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint_text().is_some_and(|hint| hint.contains("discard")), "{error}");
}

fn letter(sequence: u64, ordinal: u64) -> DeadLetter {
    let letter = serde_json::json!({
        "id": LetterId { sequence, ordinal, shadow: None },
        "stream": "one",
        "op": "u",
        "played": sequence,
        "phase": Phase::Changes,
        "from": 0,
        "error": "it does not fit",
        "kind": ErrorKind::Data,
        "time": Time::EPOCH,
        "attempts": 1,
    });
    serde_json::from_value(letter).unwrap()
}

/// What a base left out for want of a key is in none that is made of it, though there is a key by then.
#[tokio::test]
async fn a_stream_that_gets_its_key_between_two_bases_stays_cut_off() {
    use Event::{Commit, Put};
    let mut history = history([Put(1), Commit, Put(2)].map(|event| (0, event))).await;
    history.hand_over(keyless("late", 3));
    history.hand_over(keyless("early", 3));
    history.commit().await;
    let (log, first) = (history.log.clone(), history.log.head().sequence);
    put_base(&log, first).await;
    let late = StreamName::new("late");
    assert!(log.streams_cut_off().await.unwrap().contains(&late));
    history.hand_over(numbered_rows("late", 3, 2));
    history.commit().await;
    assert!(log.streams_cut_off().await.unwrap().contains(&late));
    let base = put_base(&log, log.head().sequence).await;
    let cut_off = log.streams_cut_off().await.unwrap();
    assert_eq!(cut_off.iter().map(StreamName::as_str).collect::<Vec<_>>(), ["early", "late"]);
    assert!(!counts(&base).contains_key(&late), "it is not told as if it were all");
}

/// `rows` records of a stream that has no key.
fn keyless(stream: &str, rows: usize) -> ChangeBatch {
    let fields = vec![Field::new("id", Kind::Int64)];
    let schema = StreamSchema::new(StreamName::new(stream), fields, Vec::new()).unwrap();
    let ids = (0..rows as i64).collect::<Int64Array>();
    ChangeBatch::uniform(schema, Op::Create, vec![std::sync::Arc::new(ids)]).unwrap()
}
