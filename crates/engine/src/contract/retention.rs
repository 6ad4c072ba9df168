//! A log that drops what is old begins with a state, and plays on from there as it would have.

use std::{collections::BTreeMap, time::Duration};

use futures::TryStreamExt;

use super::{
    folding::{DAY, Hands, clear, fold, objects, open},
    log::{commit, group},
    samples::numbered_rows,
};
use crate::{
    ErrorKind, Stop,
    change::{ChangeBatch, Columns, Op},
    codec::Format,
    log::{LayoutWriter, Log, LogWriter, Place, Playing, Retention, Selection, Store},
    schema::StreamName,
    write::WriteMode,
};

/// Runs the whole suite. Every call of `store` gives an empty store.
pub(super) async fn all(store: impl Fn() -> Store) {
    for format in Format::ALL {
        what_is_dropped_is_kept_as_a_state(store(), format).await;
    }
}

const AT_ONCE: Retention = Retention {
    age: Some(Duration::ZERO),
    size: None,
    expires_slow: false,
    live: Vec::new(),
    others: Vec::new(),
};

/// Records as they were last told, by stream and canonical text.
async fn state(log: &Log, first: u64) -> BTreeMap<(StreamName, String), Vec<String>> {
    let last = log.commit(log.head().sequence).await.unwrap();
    let playing = Playing::new(0, WriteMode::Mirror);
    let mut played = log.played(log.commits(first, last), &Selection::default(), playing);
    let mut state = BTreeMap::new();
    while let Some(delivery) = played.try_next().await.unwrap() {
        let changes = &delivery.changes;
        for row in 0..changes.rows() {
            let cells = |index| format!("{:?}", changes.column(index).cell(row));
            let key = (changes.schema().stream().clone(), cells(0));
            match changes.op(row).unwrap() {
                Op::Delete => drop(state.remove(&key)),
                Op::Truncate => state.clear(),
                _ => drop(state.insert(key, (0..changes.schema().fields().len()).map(cells).collect())),
            }
        }
    }
    state
}

fn deleted(changes: &ChangeBatch) -> ChangeBatch {
    let ops = vec![Op::Delete.letter(); changes.rows()].into();
    ChangeBatch::new(changes.schema().clone(), Columns { ops, ..changes.columns().clone() }).unwrap()
}

async fn what_is_dropped_is_kept_as_a_state(store: Store, format: Format) {
    let hands = Hands::default();
    let log = open(&store, &hands).await;
    let mut writer = LogWriter::open(&log).await.unwrap();
    for round in 0..10 {
        let created = numbered_rows("a", round * 3, 6);
        let gone = deleted(&numbered_rows("a", round * 3, 2));
        commit(&mut writer, vec![group(vec![created, numbered_rows("b %/", 0, 2), gone], "1", None)])
            .await
            .unwrap();
        hands.move_on(DAY);
    }
    let before = state(&log, 1).await;
    fold(&log, format).await;
    hands.move_on(DAY);
    clear(&log).await;
    let whole = objects(&store, "data").await;

    let (mut layouts, stop) = (LayoutWriter::open(&log).await.unwrap(), Stop::new());
    let upper = log.due_to_go(&AT_ONCE).await.unwrap().unwrap();
    assert_eq!(upper, 9, "all that is folded");
    let base = log.prepare_base(upper, &layouts, format, &stop).await.unwrap();
    assert_eq!(state(&open(&store, &hands).await, 1).await, before, "it is named by nobody yet");
    assert!(log.begin_with(base, &AT_ONCE, &mut layouts, &stop).await.unwrap());
    assert_eq!(log.due_to_go(&AT_ONCE).await.unwrap(), None);

    for log in [log.clone(), open(&store, &hands).await] {
        assert_eq!(state(&log, 9).await, before);
        assert_eq!(log.commit_after(&log.position(0).await.unwrap()).await.unwrap().sequence(), 9);
        assert_eq!(log.seek(Place::Sequence(9)).await.unwrap(), 9);
        assert_eq!(log.seek(Place::Sequence(5)).await.unwrap_err().kind(), ErrorKind::Config);
        let error = log.verify(&position(&log, 5)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    hands.move_on(DAY);
    clear(&log).await;
    let left = objects(&store, "data").await;
    assert!(
        !left.is_empty() && left.iter().all(|object| !whole.contains(object)),
        "what it stands for is gone: {left:?}"
    );
    assert_eq!(objects(&store, "volumes").await.len(), 1);
    assert_eq!(state(&open(&store, &hands).await, 9).await, before);
    // It goes on.
    let mut next = LogWriter::open(&open(&store, &hands).await).await.unwrap();
    commit(&mut next, vec![group(vec![numbered_rows("a", 1_000, 1)], "2", None)]).await.unwrap();
    assert_eq!(state(&open(&store, &hands).await, 9).await.len(), before.len() + 1);
}

/// Where somebody stood who had commit `sequence`.
fn position(log: &Log, sequence: u64) -> crate::Position {
    crate::Position { sequence, ..log.head() }
}
