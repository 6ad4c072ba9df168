//! Destinations that are filled out of sight, and take the place of the real one.

use tidemark_engine::{
    ErrorKind, Result,
    change::{ChangeBatch, Op},
    schema::{Kind, StreamName},
    write::{Hold, Standing, Takeover, WriteMode, WriteStrategy},
};

use super::{Destination, apply, destination, log, open, rows, standing, writing};
use crate::tables::stories::changes::{Change, Said, batch, schema, text};

const MODES: [WriteMode; 5] =
    [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace];

fn created(stream: &str, ids: &[i64]) -> ChangeBatch {
    changed(stream, Op::Create, ids)
}

fn changed(stream: &str, op: Op, ids: &[i64]) -> ChangeBatch {
    let schema = schema(stream, &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let change = |id: &i64| Change { op, old_key: None, values: vec![text(id), text("x")] };
    batch(&schema, &ids.iter().map(change).collect::<Vec<_>>(), 0)
}

async fn hidden(folder: &std::path::Path, mode: WriteMode) -> Destination {
    let mut hidden = destination(folder, super::Writing { shadow: true, ..writing(mode) });
    hidden.open(&log()).await.unwrap();
    hidden
}

async fn take(hidden: &mut Destination, sequence: u64, goes_on: bool) -> Result<()> {
    hidden
        .take_place(&Takeover { standing: standing(sequence), streams: Vec::new(), goes_on, adds: false })
        .await
}

fn ids(folder: &std::path::Path, stream: &str) -> Vec<String> {
    let ids = rows(folder, &format!("SELECT id FROM {stream} ORDER BY id")).into_iter().flatten();
    ids.flatten().collect()
}

fn hidden_tables(folder: &std::path::Path) -> usize {
    let sql = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_tidemark\\_replay%' ESCAPE '\\'";
    let registered = "SELECT name FROM _tidemark_tables WHERE destination LIKE '%:%'";
    let positions = "SELECT destination FROM _tidemark_positions WHERE destination LIKE '%:%'";
    [sql, registered, positions].iter().map(|sql| rows(folder, sql).len()).sum()
}

#[tokio::test]
async fn the_other_is_open_meanwhile_and_goes_on() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), mode).await;
        apply(&mut copy, 0, 1, vec![created("s", &[1, 2, 3]), created("t", &[1])]).await.unwrap();
        let mut hidden = hidden(folder.path(), mode).await;
        apply(&mut hidden, 0, 1, vec![created("s", &[1, 2])]).await.unwrap();
        assert_eq!(ids(folder.path(), "s"), ["1", "2", "3"], "it is out of sight");
        apply(&mut copy, 1, 2, vec![created("t", &[2])]).await.unwrap();
        apply(&mut hidden, 1, 2, Vec::new()).await.unwrap();
        hidden.close().await.unwrap();
        assert_eq!(hidden.open(&log()).await.unwrap(), Some(standing(2)));
        take(&mut hidden, 2, true).await.unwrap();
        let all = if mode == WriteMode::Append { vec!["1", "2", "3"] } else { vec!["1", "2"] };
        assert_eq!(ids(folder.path(), "s"), all, "{mode:?}");
        assert_eq!(ids(folder.path(), "t"), ["1", "2"], "nobody asked for it");
        assert_eq!(hidden_tables(folder.path()), 0);

        let next = || vec![created("s", &[4])];
        let error = apply(&mut copy, 2, 3, next()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(error.to_string(), "destination `copy` was filled anew by a replay");
        assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(2)));
        apply(&mut copy, 2, 3, next()).await.unwrap();
        assert_eq!(ids(folder.path(), "s"), [all, vec!["4"]].concat());
    }
}

#[tokio::test]
async fn two_replays_on_end_are_no_conflict_and_another_process_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", &[1])]).await.unwrap();
    for _ in 0..2 {
        let mut hidden = hidden(folder.path(), WriteMode::Mirror).await;
        apply(&mut hidden, 0, 1, vec![created("s", &[2])]).await.unwrap();
        take(&mut hidden, 1, true).await.unwrap();
    }
    let error = apply(&mut copy, 1, 2, Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(1)));

    let mut hidden = hidden(folder.path(), WriteMode::Mirror).await;
    apply(&mut hidden, 0, 1, Vec::new()).await.unwrap();
    take(&mut hidden, 1, true).await.unwrap();
    let mut other = open(folder.path(), WriteMode::Mirror).await;
    let error = apply(&mut copy, 1, 2, Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    apply(&mut other, 1, 2, Vec::new()).await.unwrap();
}

/// Only who was told so takes the destination back, and by intention.
#[tokio::test]
async fn a_predecessor_does_not_throw_its_successor_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open(folder.path(), WriteMode::Mirror).await;
    let mut second = open(folder.path(), WriteMode::Mirror).await;
    // It comes back after an outage, unaware.
    let error = first.open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), "another process has taken over destination `copy`");
    apply(&mut second, 0, 1, vec![created("s", &[1])]).await.unwrap();
}

#[tokio::test]
async fn where_it_stands_behind_its_streams_catch_up() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), mode).await;
        let units = || [created("s", &[1]), created("s", &[2]), changed("s", Op::Delete, &[1])];
        for (changes, at) in units().into_iter().zip(0..) {
            apply(&mut copy, at, at + 1, vec![changes]).await.unwrap();
        }
        let shown = || {
            let rows = rows(folder.path(), "SELECT * FROM s");
            let mut rows: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort();
            rows
        };
        let before = shown();
        let mut hidden = hidden(folder.path(), mode).await;
        let [first, second, third] = units();
        apply(&mut hidden, 0, 1, vec![first]).await.unwrap();
        let (streams, adds) = (vec![StreamName::new("s")], mode == WriteMode::Append);
        let takeover = Takeover { standing: standing(1), streams, goes_on: true, adds };
        hidden.take_place(&takeover).await.unwrap();
        let error = apply(&mut copy, 3, 4, Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let standing_now = copy.open(&log()).await.unwrap().unwrap();
        assert_eq!(standing_now.position.sequence, 3);
        if adds {
            assert_eq!((standing_now.held.len(), shown()), (0, before), "it has everything");
            continue;
        }
        let hold: &Hold = &standing_now.held[&StreamName::new("s")];
        assert_eq!(hold.after, 1);
        assert_eq!(ids(folder.path(), "s"), ["1"]);
        // What it missed is news, although the table has seen it before.
        let missed = [(2, second), (3, third)].into_iter();
        let missed = missed.map(|(at, changes)| Ok(tidemark_engine::contract::write::delivery(at, changes)));
        let missed = futures::stream::iter(missed.collect::<Vec<_>>());
        let mut unit = tidemark_engine::write::Unit::new(standing_now, standing(3), missed);
        copy.apply(&mut unit).await.unwrap();
        assert_eq!(shown(), before, "{mode:?}");
    }
}

#[tokio::test]
async fn the_state_as_of_a_moment_has_nothing_beyond_it() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), mode).await;
        apply(&mut copy, 0, 3, vec![created("s", &[1, 2]), created("t", &[1])]).await.unwrap();
        copy.close().await.unwrap();
        let mut hidden = hidden(folder.path(), mode).await;
        apply(&mut hidden, 0, 1, vec![created("s", &[1])]).await.unwrap();
        take(&mut hidden, 1, false).await.unwrap();
        let (s, t) = (ids(folder.path(), "s"), ids(folder.path(), "t"));
        match mode {
            WriteMode::Append => assert_eq!((s.join(" "), t.join(" ")), ("1 1 2".into(), "1".into())),
            _ => assert_eq!((s.join(" "), t.join(" ")), ("1".into(), String::new()), "{mode:?}"),
        }
        assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(1)));
    }
}

#[tokio::test]
async fn a_destination_that_stands_nowhere_is_filled_so_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut hidden = hidden(folder.path(), WriteMode::History).await;
    apply(&mut hidden, 0, 2, vec![created("s", &[1])]).await.unwrap();
    let held = [(StreamName::new("x"), Hold::new(1, &tidemark_engine::Error::data("no")))].into();
    let standing = Standing { held, ..standing(2) };
    let takeover = Takeover { standing: standing.clone(), streams: Vec::new(), goes_on: true, adds: false };
    hidden.take_place(&takeover).await.unwrap();
    let mut copy = open(folder.path(), WriteMode::History).await;
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing));
    assert_eq!(ids(folder.path(), "s"), ["1"]);
}

#[tokio::test]
async fn asked_for_streams_without_records_are_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", &[1]), created("t", &[1])]).await.unwrap();
    let mut hidden = hidden(folder.path(), WriteMode::Mirror).await;
    apply(&mut hidden, 0, 1, Vec::new()).await.unwrap();
    let streams = vec![StreamName::new("s")];
    hidden
        .take_place(&Takeover { standing: standing(1), streams, goes_on: true, adds: false })
        .await
        .unwrap();
    assert_eq!(ids(folder.path(), "s"), Vec::<String>::new());
    assert_eq!(ids(folder.path(), "t"), ["1"]);
}

#[tokio::test]
async fn what_cannot_take_the_place_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", &[1])]).await.unwrap();
    let mut hidden = hidden(folder.path(), WriteMode::Mirror).await;
    apply(&mut hidden, 0, 2, vec![created("s", &[2])]).await.unwrap();
    let streams = vec![StreamName::new("s")];
    let ahead = Takeover { standing: standing(2), streams, goes_on: true, adds: false };
    let error = hidden.take_place(&ahead).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "it is ahead: {error}");
    assert_eq!(ids(folder.path(), "s"), ["1"]);
    apply(&mut copy, 1, 2, Vec::new()).await.unwrap();
    hidden.open(&log()).await.unwrap();
    take(&mut hidden, 2, true).await.unwrap();
    assert_eq!(ids(folder.path(), "s"), ["2"]);
    let error = take(&mut copy, 2, true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "it is in sight");
}

#[tokio::test]
async fn what_was_filled_can_be_abandoned() {
    let folder = tempfile::tempdir().unwrap();
    let mut hidden = hidden(folder.path(), WriteMode::Mirror).await;
    apply(&mut hidden, 0, 1, vec![created("s", &[1])]).await.unwrap();
    hidden.abandon().await.unwrap();
    assert_eq!(hidden.open(&log()).await.unwrap(), None);
    apply(&mut hidden, 0, 1, vec![created("s", &[2])]).await.unwrap();
    take(&mut hidden, 1, true).await.unwrap();
    assert_eq!(ids(folder.path(), "s"), ["2"]);
    let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let update = Change { op: Op::Update, old_key: None, values: vec![text(2), Said::Null] };
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 1, 2, vec![batch(&schema, &[update], 0)]).await.unwrap();
}
