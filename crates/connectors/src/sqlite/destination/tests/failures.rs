//! What must be refused, and must change nothing.

use futures::stream;
use tidemark_engine::{
    ErrorKind,
    change::{ChangeBatch, Op},
    contract::write::delivery,
    schema::{Kind, StreamName},
    write::{Delivery, Unit, WriteMode, WriteStrategy},
};

use super::{Destination, apply, connect, destination, log, open, rows, standing, writing};
use crate::tables::stories::changes::{Change, Said, batch, schema, text};
use crate::{config::TableName, sqlite::DestinationConfig};

fn created(stream: &str, names: [&str; 2], key: &[&str], id: i64) -> ChangeBatch {
    let schema = schema(stream, &[(names[0], Kind::Int64), (names[1], Kind::Text)], key);
    batch(&schema, &[Change { op: Op::Create, old_key: None, values: vec![text(id), text("x")] }], 0)
}

#[tokio::test]
async fn a_predecessor_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let change = || vec![created("s", ["id", "a"], &["id"], 1)];
    let mut first = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut first, 0, 1, change()).await.unwrap();
    let mut second = destination(folder.path(), writing(WriteMode::Mirror));
    assert_eq!(second.open(&log()).await.unwrap(), Some(standing(1)));
    let error = apply(&mut first, 1, 2, vec![created("s", ["id", "a"], &["id"], 2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), "another process has taken over destination `copy`");
    assert_eq!(rows(folder.path(), "SELECT id FROM s").len(), 1);
    apply(&mut second, 1, 2, vec![]).await.unwrap();
    let error = apply(&mut second, 1, 3, change()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(second.open(&log()).await.unwrap(), Some(standing(2)));
}

#[tokio::test]
async fn a_failed_unit_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let keyless = created("keyless", ["id", "a"], &[], 1);
    let error =
        apply(&mut copy, 0, 1, vec![created("s", ["id", "a"], &["id"], 1), keyless]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.stream().map(StreamName::as_str), Some("keyless"), "the others may go on");
    assert!(error.hint_text().unwrap().contains("write: append"));
    assert_eq!(copy.open(&log()).await.unwrap(), None);
    assert_eq!(rows(folder.path(), "SELECT name FROM sqlite_schema WHERE name = 's'").len(), 0);
}

#[tokio::test]
async fn names_that_meet_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Append).await;
    apply(&mut copy, 0, 1, vec![created("Orders", ["id", "a"], &[], 1)]).await.unwrap();
    let error = apply(&mut copy, 1, 2, vec![created("orders", ["id", "a"], &[], 1)]).await.unwrap_err();
    assert!(error.to_string().contains("`Orders`"), "{error}");
    copy.open(&log()).await.unwrap();
    let error = apply(&mut copy, 1, 2, vec![created("t", ["id", "ID"], &[], 1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    copy.open(&log()).await.unwrap();
    let error = apply(&mut copy, 1, 2, vec![created("sqlite_x", ["id", "a"], &[], 1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    copy.open(&log()).await.unwrap();
    let error = apply(&mut copy, 1, 2, vec![created("a\0b", ["id", "a"], &[], 1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    for mode in [WriteMode::Append, WriteMode::Mirror] {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = open(folder.path(), mode).await;
        let names = [
            "\"; DROP TABLE s; --",
            "rowid",
            "select",
            "a b",
            "'",
            "[x]",
            "?1",
            ":a",
            "名",
            "%",
            "{}",
            "_rowid_",
        ];
        for (name, at) in names.iter().zip(0..) {
            let stream = format!("t{name}");
            let schema = schema(&stream, &[(name, Kind::Int64), ("x", Kind::Text)], &[name]);
            let change = |op, old_key, values| Change { op, old_key, values };
            let changes = [
                change(Op::Create, None, vec![text(1), text("one")]),
                change(Op::Create, None, vec![text(2), text("two")]),
                change(Op::Update, Some(1), vec![text(2), Said::Unchanged]),
                change(Op::Update, Some(2), vec![text(1), Said::Unchanged]),
            ];
            apply(&mut copy, at, at + 1, vec![batch(&schema, &changes, 0)]).await.unwrap();
            let table = stream.replace('"', "\"\"");
            let expected = if mode == WriteMode::Append { 4 } else { 2 };
            assert_eq!(rows(folder.path(), &format!("SELECT * FROM \"{table}\"")).len(), expected);
        }
    }
}

#[tokio::test]
async fn a_stream_stays_in_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
    let mut renamed = writing(WriteMode::Mirror);
    renamed.table = TableName::parse("new_{stream}").unwrap();
    let mut copy = destination(folder.path(), renamed.clone());
    copy.open(&log()).await.unwrap();
    let error = apply(&mut copy, 1, 2, vec![created("s", ["id", "a"], &["id"], 2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "stream `s` of destination `copy` is kept in table `s`, not in `new_s`");
    assert_eq!(
        error.hint_text(),
        Some("set `table` so that it names `s` again, or give the destination a new name")
    );
    assert_eq!(rows(folder.path(), "SELECT name FROM sqlite_schema WHERE name = 'new_s'").len(), 0);
    // A destination of a new name starts from the beginning, so its table may be another.
    renamed.destination = "new".into();
    let mut copy = destination(folder.path(), renamed);
    assert_eq!(copy.open(&log()).await.unwrap(), None);
    apply(&mut copy, 0, 2, vec![created("s", ["id", "a"], &["id"], 2)]).await.unwrap();
}

#[tokio::test]
async fn another_key_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
    let error = apply(&mut copy, 1, 2, vec![created("s", ["id", "a"], &["a"], 1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), "table `s` has the key `id`, but its stream now asks for `a`");
}

#[tokio::test]
async fn a_table_that_is_gone_is_filled_anew_as_the_hint_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
    copy.close().await.unwrap();
    connect(folder.path()).execute_batch("DROP TABLE s").unwrap();
    copy.open(&log()).await.unwrap();
    let error = apply(&mut copy, 1, 2, vec![created("s", ["id", "a"], &["id"], 2)]).await.unwrap_err();
    assert_eq!(error.to_string(), "table `s` has been removed");
    assert_eq!(
        error.hint_text(),
        Some(
            "give the destination a new name and `table`; if only Tidemark writes to the database, you may remove its \
             file instead and run again: it is filled anew from the staging log"
        )
    );
    let mut renamed = writing(WriteMode::Mirror);
    (renamed.destination, renamed.table) = ("new".into(), TableName::parse("new_{stream}").unwrap());
    let mut new = destination(folder.path(), renamed);
    assert_eq!(new.open(&log()).await.unwrap(), None);
    apply(&mut new, 0, 2, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
    new.close().await.unwrap();
    std::fs::remove_file(folder.path().join("copy.db")).unwrap();
    assert_eq!(copy.open(&log()).await.unwrap(), None);
    apply(&mut copy, 0, 2, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
}

#[tokio::test]
async fn tables_of_others_are_adopted_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE s (id INTEGER, a VARCHAR(10), extra DEFAULT 7); INSERT INTO s (id) VALUES (5)";
    connect(folder.path()).execute_batch(sql).unwrap();
    let change = || vec![created("s", ["id", "a"], &["id"], 1)];
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let error = apply(&mut copy, 0, 1, change()).await.unwrap_err();
    assert_eq!(error.to_string(), "table `s` holds rows that Tidemark did not write");

    let mut adopting = writing(WriteMode::Mirror);
    adopting.adopt = true;
    let mut copy = destination(folder.path(), adopting);
    copy.open(&log()).await.unwrap();
    let error = apply(&mut copy, 0, 1, change()).await.unwrap_err();
    assert_eq!(error.to_string(), "table `s`, which Tidemark did not make, has no unique index on `id`");
    connect(folder.path()).execute_batch("CREATE UNIQUE INDEX i ON s (id)").unwrap();
    copy.open(&log()).await.unwrap();
    apply(&mut copy, 0, 1, change()).await.unwrap();
    let found = rows(folder.path(), "SELECT CAST(id AS TEXT), CAST(extra AS TEXT) FROM s ORDER BY id");
    assert_eq!(found, [[Some("1".into()), Some("7".into())], [Some("5".into()), Some("7".into())]]);

    let wider = schema("s", &[("id", Kind::Int64), ("a", Kind::Text), ("b", Kind::Json)], &["id"]);
    let change = Change { op: Op::Create, old_key: None, values: vec![text(9), Said::Null, text("{}")] };
    let error = apply(&mut copy, 1, 2, vec![batch(&wider, &[change], 0)]).await.unwrap_err();
    assert_eq!(error.hint_text(), Some("add them: \"b\" JSON TEXT"));
}

#[tokio::test]
async fn an_update_of_a_row_that_is_gone_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let update = |a: Said| Change { op: Op::Update, old_key: None, values: vec![text(1), a] };
    let error =
        apply(&mut copy, 0, 1, vec![batch(&schema, &[update(Said::Unchanged)], 0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    copy.open(&log()).await.unwrap();
    apply(&mut copy, 0, 1, vec![batch(&schema, &[update(text("whole"))], 0)]).await.unwrap();
}

/// They are older than the records the table has, and no replay for that.
#[tokio::test]
async fn changes_that_waited_for_an_initial_sync_are_news() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let update = |id| {
        let change = Change { op: Op::Update, old_key: None, values: vec![text(id), Said::Unchanged] };
        Delivery { played: 6, ..delivery(2, batch(&schema, &[change], 0)) }
    };
    apply(&mut copy, 0, 5, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
    let waited = |id| Unit::new(standing(5), standing(6), stream::iter([Ok(update(id))]));
    let error = copy.apply(&mut waited(7)).await.unwrap_err();
    assert_eq!((error.kind(), error.stream()), (ErrorKind::Data, Some(&StreamName::new("s"))), "{error}");
    copy.open(&log()).await.unwrap();
    copy.apply(&mut waited(1)).await.unwrap();
}

#[tokio::test]
async fn widening_keeps_the_indexes_and_views_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
    connect(folder.path())
        .execute_batch("CREATE INDEX mine ON s (a); CREATE VIEW v AS SELECT a FROM s")
        .unwrap();
    let wider = schema("s", &[("id", Kind::Number), ("a", Kind::Json)], &["id"]);
    let change = Change { op: Op::Create, old_key: None, values: vec![text("2.50"), text("[1]")] };
    apply(&mut copy, 1, 2, vec![batch(&wider, &[change], 0)]).await.unwrap();
    assert_eq!(rows(folder.path(), "SELECT name FROM sqlite_schema WHERE name IN ('mine', 'v')").len(), 2);
    let found = rows(folder.path(), "SELECT id, a FROM s ORDER BY id");
    assert_eq!(found, [[Some("1".into()), Some("\"x\"".into())], [Some("2.50".into()), Some("[1]".into())]]);
}

#[tokio::test]
async fn check_tells_without_touching() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |path: &str| {
        let config = DestinationConfig { path: path.into() };
        let errors = Destination::check(&config, folder.path(), &writing(WriteMode::Mirror)).await;
        errors.into_iter().map(|error| error.kind()).collect::<Vec<_>>()
    };
    assert_eq!(check("new/copy.db").await, []);
    assert!(!folder.path().join("new").exists());
    std::fs::write(folder.path().join("text.db"), "not a database, but long enough to look at").unwrap();
    assert_eq!(check("text.db").await, [ErrorKind::Conflict]);
    assert_eq!(check("text.db/copy.db").await.len(), 1);
    assert_eq!(check(".").await, [ErrorKind::Config]);
    let mut copy = open(folder.path(), WriteMode::Append).await;
    apply(&mut copy, 0, 1, vec![created("s", ["id", "a"], &["id"], 1)]).await.unwrap();
    assert_eq!(check("copy.db").await, [ErrorKind::Conflict]);
}

#[tokio::test]
async fn a_busy_database_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = open(folder.path(), WriteMode::Mirror).await;
    let other = connect(folder.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = apply(&mut copy, 0, 1, vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(copy.open(&log()).await.unwrap(), None);
}
