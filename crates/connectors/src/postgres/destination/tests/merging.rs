//! Changes that a merge must not get wrong, in batches large enough to be merged.

use tidemark_engine::{
    ErrorKind,
    change::Op,
    schema::Kind,
    write::{WriteMode, WriteStrategy},
};

use super::{
    apply,
    changes::{Change, Said, batch, plain, schema, text},
    database, open, open_as, refused, rewind, value, writing,
};

/// `rows` creates, counted from `first`.
fn filler(first: i64, rows: i64) -> Vec<Change> {
    (first..first + rows).map(|id| Change::create([text(id), text("filler"), Said::Null])).collect()
}

#[tokio::test]
async fn moves_keep_what_they_do_not_carry() {
    let database = database();
    let schema = plain("s");
    let mut copy = open(&database, WriteMode::Mirror).await;
    let rows = [1, 2, 3].map(|id| Change::create([text(id), text(format!("a{id}")), text(format!("b{id}"))]));
    apply(&mut copy, 0, 1, vec![batch(&schema, &rows, 0)]).await.unwrap();
    let kept = || Said::Unchanged;
    let mut changes = vec![
        // A chain: 1 ends as 12.
        Change::moved(1, [text(10), kept(), kept()]),
        Change::update([text(10), text("new"), kept()]),
        Change::moved(10, [text(11), kept(), kept()]),
        Change::moved(11, [text(12), kept(), kept()]),
        // A swap by way of a third key.
        Change::moved(2, [text(99), kept(), kept()]),
        Change::moved(3, [text(2), kept(), kept()]),
        Change::moved(99, [text(3), kept(), text("last")]),
        // Deleted and created anew; created, and moved on.
        Change::create([text(50), text("first"), Said::Null]),
        Change::delete([text(50), kept(), kept()]),
        Change::create([text(50), text("second"), Said::Null]),
        Change::create([text(60), text("sixty"), text("b")]),
        Change::moved(60, [text(61), kept(), text("c")]),
    ];
    changes.extend(filler(100, 20));
    apply(&mut copy, 1, 2, vec![batch(&schema, &changes, 0)]).await.unwrap();
    let rows = database.query("SELECT id, a, b FROM s WHERE id < 100 ORDER BY id");
    let row = |id: &str, a: &str, b: Option<&str>| {
        vec![Some(id.to_owned()), Some(a.to_owned()), b.map(str::to_owned)]
    };
    assert_eq!(
        rows,
        [
            row("2", "a3", Some("b3")),
            row("3", "a2", Some("last")),
            row("12", "new", Some("b1")),
            row("50", "second", None),
            row("61", "sixty", Some("c")),
        ]
    );
}

#[tokio::test]
async fn rows_out_of_line_stay_where_they_are() {
    let database = database();
    let schema = plain("s");
    let mut copy = open(&database, WriteMode::Mirror).await;
    let large = "x".repeat(20_000);
    apply(&mut copy, 0, 1, vec![batch(&schema, &filler(0, 20), 0)]).await.unwrap();
    database.execute(&format!("ALTER TABLE s ALTER b SET STORAGE EXTERNAL; UPDATE s SET b = '{large}'"));
    let toast = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 's'::regclass";
    let before = value(&database, toast);
    let changes =
        (0..20).map(|id| Change::update([text(id), text("new"), Said::Unchanged])).collect::<Vec<_>>();
    apply(&mut copy, 1, 2, vec![batch(&schema, &changes, 0)]).await.unwrap();
    assert_eq!(value(&database, toast), before, "no value was written again");
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'new' AND length(b) = 20000"), "20");
}

#[tokio::test]
async fn unique_values_may_be_handed_on() {
    let database = database();
    database.execute("CREATE TABLE s (id bigint PRIMARY KEY, a text UNIQUE, b text)");
    let schema = plain("s");
    let mut copy = open(&database, WriteMode::Mirror).await;
    let mut changes = filler(100, 1);
    changes.extend((1..20).map(|id| Change::create([text(id), text(id), Said::Null])));
    apply(&mut copy, 0, 1, vec![batch(&schema, &changes, 0)]).await.unwrap();
    // Each row takes the value of the next, which has let go of it before.
    let mut changes = vec![Change::update([text(1), text("free"), Said::Null])];
    changes.extend((2..20).map(|id| Change::update([text(id), text(id - 1), Said::Null])));
    changes.push(Change::update([text(1), text(19), Said::Null]));
    apply(&mut copy, 1, 2, vec![batch(&schema, &changes, 0)]).await.unwrap();
    assert_eq!(value(&database, "SELECT a FROM s WHERE id = 1"), "19");
    assert_eq!(value(&database, "SELECT a FROM s WHERE id = 19"), "18");
    // Two rows with one value are the stream's own fault.
    let mut changes = filler(200, 1);
    changes.extend((1..20).map(|id| Change::update([text(id), text("same"), Said::Null])));
    let error = refused(&mut copy, 2, vec![batch(&schema, &changes, 0)]).await;
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert_eq!(error.stream(), Some(schema.stream()));
    assert!(!error.to_string().contains("same"), "no value of a row is shown: {error}");
}

#[tokio::test]
async fn keys_may_be_shifted_at_once() {
    let database = database();
    let schema = plain("s");
    let mut copy = open(&database, WriteMode::Mirror).await;
    let rows = (0..30).map(|id| Change::create([text(id), text(id), text("b")])).collect::<Vec<_>>();
    apply(&mut copy, 0, 1, vec![batch(&schema, &rows, 0)]).await.unwrap();
    let moves = (0..30).map(|id| Change::moved(id, [text(id + 1), Said::Unchanged, Said::Unchanged]));
    apply(&mut copy, 1, 2, vec![batch(&schema, &moves.collect::<Vec<_>>(), 0)]).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE id = a::bigint + 1"), "30");
}

#[tokio::test]
async fn keys_are_equal_where_postgresql_says_so() {
    let database = database();
    let schema = schema("s", &[("id", Kind::Number), ("a", Kind::Text)], &["id"]);
    let mut copy = open(&database, WriteMode::Mirror).await;
    let mut changes = vec![
        Change::create([text("1.0"), text("first")]),
        Change::delete([text("1.00"), Said::Unchanged]),
        Change::create([text("2.0"), text("first")]),
        Change::update([text("2"), text("second")]),
    ];
    changes.extend((10..30).map(|id| Change::create([text(id), Said::Null])));
    apply(&mut copy, 0, 1, vec![batch(&schema, &changes, 0)]).await.unwrap();
    assert_eq!(database.query("SELECT a FROM s WHERE id < 10"), [[Some("second".to_owned())]]);
}

/// A move between two spellings of one key finds under the new key the row that it moves.
#[tokio::test]
async fn a_row_may_move_to_another_spelling_of_its_key() {
    let database = database();
    let schema = schema("s", &[("id", Kind::Number), ("a", Kind::Text)], &["id"]);
    let mut copy = open(&database, WriteMode::Mirror).await;
    let rows = ["1.0", "2", "3"].map(|id| Change::create([text(id), text("x")]));
    apply(&mut copy, 0, 1, vec![batch(&schema, &rows, 0)]).await.unwrap();
    for replayed in [false, true] {
        let mut copy = open(&database, WriteMode::Mirror).await;
        // And a swap, which parks a row, between spellings that the table does not have.
        let changes = [
            Change::moved("1.0", [text("1.00"), text("y")]),
            Change::moved("2.0", [text("3.0"), Said::Unchanged]),
            Change::moved("3.00", [text("2.00"), Said::Unchanged]),
        ];
        let changes = if replayed { &changes[..1] } else { &changes[..] };
        apply(&mut copy, 1, 2, vec![batch(&schema, changes, 0)]).await.unwrap();
        let rows = "SELECT string_agg(id || a, ' ' ORDER BY id) FROM s";
        assert_eq!(value(&database, rows), "1.00y 2.00x 3.0x", "{replayed}");
        rewind(&database, 1);
    }
}

#[tokio::test]
async fn an_update_of_a_row_that_is_gone_is_an_error() {
    let database = database();
    let schema = plain("s");
    let mut copy = open(&database, WriteMode::Mirror).await;
    for fill in [0, 20] {
        let mut changes = filler(100, fill);
        changes.push(Change::update([text(1), text("a"), Said::Unchanged]));
        let error = refused(&mut copy, 0, vec![batch(&schema, &changes, 0)]).await;
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(error.stream(), Some(schema.stream()));
        assert!(error.to_string().contains("leaves columns as they are"), "{error}");
    }
    let create = Change::create([text(1), text("a"), text("b")]);
    apply(&mut copy, 0, 1, vec![batch(&schema, &[create], 0)]).await.unwrap();
    let update = batch(&schema, &[Change::update([text(1), text("c"), Said::Unchanged])], 0);
    apply(&mut copy, 1, 2, vec![update.clone()]).await.unwrap();
    let delete = Change { op: Op::Delete, ..Change::update([text(1), Said::Null, Said::Null]) };
    apply(&mut copy, 2, 3, vec![batch(&schema, &[delete], 0)]).await.unwrap();
    // In a replay the row is gone because a later change has removed it.
    rewind(&database, 1);
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 1, 2, vec![update]).await.unwrap();
    copy.close().await.unwrap();
}

/// A row is more than its fields where the table has columns of others.
#[tokio::test]
async fn columns_of_others_stay_with_their_row() {
    let database = database();
    database.execute("CREATE TABLE s (id bigint PRIMARY KEY, a text, b text, mine text DEFAULT 'new')");
    let mut adopting = writing(WriteMode::Mirror);
    adopting.adopt = true;
    let mut copy = open_as(&database, adopting).await;
    let schema = plain("s");
    apply(&mut copy, 0, 1, vec![batch(&schema, &filler(1, 20), 0)]).await.unwrap();
    database.execute("UPDATE s SET mine = 'row ' || id");
    let full = |id: i64| [text(id), text("full"), text("full")];
    let mut changes = vec![
        Change::moved(1, full(101)),
        Change::update(full(101)),
        Change::update(full(2)),
        Change::delete(full(3)),
        Change::create(full(3)),
    ];
    changes.extend(filler(200, 20));
    apply(&mut copy, 1, 2, vec![batch(&schema, &changes, 0)]).await.unwrap();
    let rows = database.query("SELECT mine FROM s WHERE a = 'full' ORDER BY id").concat();
    assert_eq!(rows, ["row 2", "new", "row 1"].map(|mine| Some(mine.to_owned())));
}

/// A few changes of a wider schema go one by one and leave the work table as it was.
#[tokio::test]
async fn a_work_table_follows_its_table() {
    let database = database();
    let of = |kind| schema("s", &[("id", Kind::Int64), ("a", kind)], &["id"]);
    let (narrow, wide) = (of(Kind::Int64), of(Kind::Number));
    let rows = |first: i64, rows: i64| {
        (first..first + rows).map(|id| Change::create([text(id), text(id)])).collect::<Vec<_>>()
    };
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![batch(&narrow, &rows(0, 20), 0)]).await.unwrap();
    apply(&mut copy, 1, 2, vec![batch(&wide, &rows(20, 1), 0)]).await.unwrap();
    apply(&mut copy, 2, 3, vec![batch(&narrow, &rows(21, 20), 0)]).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = id"), "41");
}

#[tokio::test]
async fn a_record_that_comes_to_be_takes_the_place_of_one_that_should_not_be_there() {
    let database = database();
    let schema = plain("s");
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![batch(&schema, &filler(0, 20), 0)]).await.unwrap();
    let created = |ids: std::ops::Range<i64>, said: &'static str| {
        ids.map(|id| Change::create([text(id), text(said), Said::Null])).collect::<Vec<_>>()
    };
    // Half of them are there; the others are new, and so are all of the next.
    apply(&mut copy, 1, 2, vec![batch(&schema, &created(10..30, "second"), 0)]).await.unwrap();
    apply(&mut copy, 2, 3, vec![batch(&schema, &created(30..50, "third"), 0)]).await.unwrap();
    let counted = database.query("SELECT a, count(*) FROM s GROUP BY a ORDER BY a");
    let counted: Vec<_> = counted.into_iter().flatten().flatten().collect();
    assert_eq!(counted, ["filler", "10", "second", "20", "third", "20"]);
}
