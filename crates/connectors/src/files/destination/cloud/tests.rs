//! What readers of a store find, wherever a process dies or stands still.

mod flaky;

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use tidemark_engine::{
    ErrorKind,
    arrow_array::UInt64Array,
    contract::write::{log, standing, unit},
    log::Store,
    write::{Unit, WriteMode, WriteStrategy},
};

use self::flaky::{Fate, Flaky};
use super::CloudDestination;
use crate::files::{
    DestinationFormat,
    destination::{
        layout::Location,
        tests::{batch, config, writing},
    },
};

/// A process that writes to `objects`.
fn process(objects: Arc<dyn ObjectStore>) -> CloudDestination {
    let store = Store::new(objects, "memory");
    let probed = Store::memory();
    let layout = Location::parse("archive/{stream}/op={op}").unwrap().layout;
    let config = config(DestinationFormat::Jsonl);
    CloudDestination::in_store(store, probed, &config, layout, writing(WriteMode::Append)).unwrap()
}

/// The unit that leads to commit `end`: three changes of each of two streams.
fn changes(end: u64) -> Unit {
    let numbered = |stream: &str, first: u64| {
        batch(stream, 1).with_ordinals(UInt64Array::from_iter_values(first..first + 3))
    };
    unit(end - 1, end, vec![numbered("a", 0), numbered("b", 3)])
}

/// The identities of the changes of these commits.
fn ids(commits: std::ops::RangeInclusive<u64>) -> Vec<String> {
    commits
        .flat_map(|commit| (0..6).map(move |ordinal| format!("{}-{commit:012}-{ordinal:09}", log())))
        .collect()
}

async fn paths(objects: &InMemory) -> Vec<Path> {
    objects.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap()
}

/// The identities of the changes that a reader finds, sorted.
async fn visible(objects: &InMemory) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths(objects).await.iter().filter(|path| !path.as_ref().starts_with(".tidemark/")) {
        let bytes = objects.get(path).await.unwrap().bytes().await.unwrap();
        for line in std::str::from_utf8(&bytes).unwrap().lines() {
            let row = serde_json::from_str::<serde_json::Value>(line).unwrap();
            found.push(row["_tidemark_position"].as_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

async fn hidden(objects: &InMemory) -> usize {
    paths(objects).await.iter().filter(|path| path.as_ref().contains("/tmp/")).count()
}

/// Goes on from where `process` finds that it stands, up to commit `last`.
async fn go_on(process: &mut CloudDestination, last: u64) {
    let standing = process.open(&log()).await.unwrap();
    let from = standing.map_or(0, |standing| standing.position.sequence);
    for end in from + 1..=last {
        process.apply(&mut changes(end)).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_dies_at_any_call_leaves_each_change_once() {
    for fate in [Fate::DiesBefore, Fate::DiesAfter] {
        let mut calls = 0;
        loop {
            let objects = Arc::new(InMemory::new());
            go_on(&mut process(objects.clone()), 1).await;
            let flaky = Arc::new(Flaky::new(objects.clone(), calls, fate));
            let mut dying = process(flaky.clone());
            let died = match dying.open(&log()).await {
                Ok(_) => dying.apply(&mut changes(2)).await.is_err(),
                Err(_) => true,
            };
            let seen = visible(&objects).await;
            let all = ids(1..=2);
            assert!(seen.iter().all(|id| all.contains(id)), "{fate:?} at call {calls}");
            let mut once = seen.clone();
            once.dedup();
            assert_eq!(once, seen, "twice: {fate:?} at call {calls}");
            // The next unit has other bounds than the one that may have been begun: nothing of that may be seen beside it.
            let mut successor = process(objects.clone());
            let stands = successor.open(&log()).await.unwrap().unwrap().position.sequence;
            let rest = unit(stands, 3, Vec::new());
            let mut rest = if stands == 1 { whole(1, 3) } else { rest };
            successor.apply(&mut rest).await.unwrap();
            let expected = if stands == 1 { [ids(1..=1), ids(3..=3)].concat() } else { ids(1..=2) };
            assert_eq!(visible(&objects).await, expected, "{fate:?} at call {calls}");
            assert_eq!(hidden(&objects).await, 0, "{fate:?} at call {calls}");
            if !died {
                break;
            }
            calls += 1;
        }
        assert!(calls > 15, "{fate:?}: only {calls} calls were made");
    }
}

/// The unit from commit `begin` to `end`, with all its changes in the last.
fn whole(begin: u64, end: u64) -> Unit {
    let numbered = |stream: &str, first: u64| {
        batch(stream, 1).with_ordinals(UInt64Array::from_iter_values(first..first + 3))
    };
    unit(begin, end, vec![numbered("a", 0), numbered("b", 3)])
}

#[tokio::test]
async fn whoever_stands_still_at_any_call_is_replaced_and_adds_nothing() {
    let (mut calls, mut stood) = (0, 0);
    loop {
        let objects = Arc::new(InMemory::new());
        go_on(&mut process(objects.clone()), 1).await;
        let flaky = Arc::new(Flaky::new(objects.clone(), calls, Fate::StandsStill));
        let late = flaky.clone();
        let zombie = tokio::spawn(async move {
            let mut zombie = process(late);
            zombie.open(&log()).await?;
            zombie.apply(&mut changes(2)).await
        });
        stood += u32::from(flaky.stands_still_or(&zombie).await);
        let mut successor = process(objects.clone());
        go_on(&mut successor, 3).await;
        assert_eq!(visible(&objects).await, ids(1..=3), "call {calls}");
        flaky.go_on();
        // It took over again, or found out that it was replaced, or had committed before.
        let outcome = zombie.await.unwrap();
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Conflict, "call {calls}: {error}");
        }
        assert_eq!(visible(&objects).await, ids(1..=3), "call {calls}");
        go_on(&mut process(objects.clone()), 4).await;
        assert_eq!(visible(&objects).await, ids(1..=4), "call {calls}");
        assert_eq!(hidden(&objects).await, 0, "call {calls}");
        if !flaky.was_reached() {
            break;
        }
        calls += 1;
    }
    assert!(stood > 15, "it stood still only {stood} times");
}

#[tokio::test]
async fn what_is_in_the_way_is_never_taken_for_ours() {
    let objects = Arc::new(InMemory::new());
    let mut archive = process(objects.clone());
    go_on(&mut archive, 1).await;
    let name = "a/op=c/000000000002-000000000002-archive-0000.jsonl";
    objects.put(&Path::from(name), "somebody's".into()).await.unwrap();
    let error = archive.apply(&mut changes(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains(name), "{error}");
    // It is committed, and shown when there is room.
    assert_eq!(archive.open(&log()).await.unwrap_err().kind(), ErrorKind::Conflict);
    objects.delete(&Path::from(name)).await.unwrap();
    assert_eq!(archive.open(&log()).await.unwrap(), Some(standing(2)));
    assert_eq!(visible(&objects).await, ids(1..=2));
    // A reader that has taken an object away does not get it again.
    objects.delete(&Path::from(name)).await.unwrap();
    archive.open(&log()).await.unwrap();
    assert!(objects.head(&Path::from(name)).await.is_err());
}

#[tokio::test]
async fn a_damaged_manifest_is_a_conflict() {
    let objects = Arc::new(InMemory::new());
    let mut archive = process(objects.clone());
    go_on(&mut archive, 1).await;
    let entry = Path::from(".tidemark/archive/manifest/00000000/000000000002");
    let content = objects.get(&entry).await.unwrap().bytes().await.unwrap();
    let text = std::str::from_utf8(&content).unwrap().replace("\"rows\":1", "\"rows\":2");
    assert_ne!(text.as_bytes(), content);
    objects.put(&entry, text.into()).await.unwrap();
    let error = archive.open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("manifest entry"), "{error}");
}
