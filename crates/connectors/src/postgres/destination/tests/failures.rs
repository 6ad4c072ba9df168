//! What must be refused, and must change nothing.

use tidemark_engine::{
    ErrorKind,
    change::ChangeBatch,
    contract::write::{log, standing},
    schema::{Kind, StreamName},
    write::{WriteMode, WriteStrategy},
};

use super::{
    apply,
    changes::{Change, Said, batch, plain, schema, text},
    config, database, destination, open, open_as, refused, value, writing,
};
use crate::config::TableName;

fn created(stream: &str, id: i64) -> ChangeBatch {
    batch(&plain(stream), &[Change::create([text(id), text("x"), Said::Null])], 0)
}

#[tokio::test]
async fn a_predecessor_changes_nothing_and_does_not_fight() {
    let database = database();
    let mut first = open(&database, WriteMode::Mirror).await;
    apply(&mut first, 0, 1, vec![created("s", 1)]).await.unwrap();
    let mut second = destination(&database, writing(WriteMode::Mirror));
    assert_eq!(second.open(&log()).await.unwrap(), Some(standing(1)));
    let error = apply(&mut first, 1, 2, vec![created("s", 2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(error.message(), "another process has taken over destination `copy`");
    apply(&mut second, 1, 2, vec![created("s", 3)]).await.unwrap();
    assert_eq!(value(&database, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM s"), "1 3");
}

/// Its successor ends its sessions where it may. Where it may not, the epoch alone is in the way.
#[tokio::test]
async fn a_predecessor_whose_session_goes_on_changes_nothing() {
    let database = database();
    let mut first = open(&database, WriteMode::Mirror).await;
    apply(&mut first, 0, 1, vec![created("s", 1)]).await.unwrap();
    database.execute("DELETE FROM _tidemark.sessions");
    let mut second = destination(&database, writing(WriteMode::Mirror));
    assert_eq!(second.open(&log()).await.unwrap(), Some(standing(1)));
    let error = apply(&mut first, 1, 2, vec![created("s", 2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(value(&database, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM s"), "1");
}

/// One that lost its connection finds out, when it comes back, that somebody else has come in between.
#[tokio::test]
async fn a_predecessor_that_comes_back_is_told() {
    let database = database();
    let mut first = open(&database, WriteMode::Mirror).await;
    let mut second = open(&database, WriteMode::Mirror).await;
    let error = first.open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    apply(&mut second, 0, 1, vec![created("s", 1)]).await.unwrap();
}

/// Whatever moment the connection breaks at, the position tells whether the unit is in.
#[tokio::test]
async fn a_broken_connection_leaves_the_outcome_to_the_position() {
    let database = database();
    let mut copy = open(&database, WriteMode::Append).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE '%writer'";
    let mut at = 0;
    for round in 0..10 {
        let (url, statement) = (database.url(), kill.to_owned());
        let killer = tokio::spawn(async move {
            let server = crate::postgres::connection::Server::parse(&url).unwrap();
            let session = server.connect("killer").await.unwrap();
            for _ in 0..round {
                session.simple_query("SELECT 1").await.unwrap();
            }
            session.simple_query(&statement).await.unwrap();
        });
        let rows = (0..200).map(|id| Change::create([text(id), text("x"), Said::Null])).collect::<Vec<_>>();
        let outcome = apply(&mut copy, at, at + 1, vec![batch(&plain("s"), &rows, 0)]).await;
        killer.await.unwrap();
        if let Err(error) = &outcome {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
        let standing = copy.open(&log()).await.unwrap();
        let stands_at = standing.map_or(0, |standing| standing.position.sequence);
        assert!(stands_at == at || stands_at == at + 1);
        assert!(outcome.is_err() || stands_at == at + 1, "what was said to be in is in");
        at = stands_at;
        let count = if at == 0 { "0".to_owned() } else { value(&database, "SELECT count(*) FROM s") };
        assert_eq!(count, (at * 200).to_string());
    }
}

#[tokio::test]
async fn a_failed_unit_leaves_nothing() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    let keyless = schema("keyless", &[("id", Kind::Int64)], &[]);
    let keyless = batch(&keyless, &[Change::create([text(1)])], 0);
    let error = apply(&mut copy, 0, 1, vec![created("s", 1), keyless]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.stream(), Some(&StreamName::new("keyless")));
    assert!(error.hint_text().unwrap().contains("write: append"));
    assert_eq!(copy.open(&log()).await.unwrap(), None);
    assert_eq!(value(&database, "SELECT to_regclass('s')"), "NULL");
}

#[tokio::test]
async fn values_that_do_not_fit_are_the_streams_own_fault() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    for rows in [1, 30] {
        let mut changes =
            (1..rows).map(|id| Change::create([text(id), text("x"), Said::Null])).collect::<Vec<_>>();
        changes.push(Change::create([text(rows), text("secret\0"), Said::Null]));
        let error = refused(&mut copy, 0, vec![batch(&plain("s"), &changes, 0)]).await;
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(error.stream(), Some(&StreamName::new("s")));
        assert!(error.to_string().contains("column `a` of stream `s`"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        changes.pop();
        changes.push(Change::create([Said::Null, text("x"), Said::Null]));
        let error = refused(&mut copy, 0, vec![batch(&plain("s"), &changes, 0)]).await;
        assert_eq!(error.message(), "key column `id` of stream `s` is NULL in a record");
    }
}

#[tokio::test]
async fn tables_of_others_are_adopted_only_when_asked() {
    let database = database();
    database.execute(
        "CREATE TABLE s (id bigint, a varchar(3), extra int DEFAULT 7); INSERT INTO s (id) VALUES (5)",
    );
    let mut copy = open(&database, WriteMode::Mirror).await;
    let error = refused(&mut copy, 0, vec![created("s", 1)]).await;
    assert_eq!(error.message(), "table `public.s` holds rows that Tidemark did not write");
    let mut adopting = writing(WriteMode::Mirror);
    adopting.adopt = true;
    let mut copy = open_as(&database, adopting).await;
    let error = refused(&mut copy, 0, vec![created("s", 1)]).await;
    assert_eq!(error.hint_text(), Some("run: ALTER TABLE \"public\".\"s\" ADD \"b\" text"));
    database.execute("ALTER TABLE s ADD b text");
    let error = refused(&mut copy, 0, vec![created("s", 1)]).await;
    assert_eq!(error.message(), "table `public.s`, which Tidemark did not make, has no unique index on `id`");
    database.execute("CREATE UNIQUE INDEX ON s (id)");
    let error = refused(&mut copy, 0, vec![created("s", 1)]).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.hint_text(), Some("change its type to `text`, or let Tidemark make the table"));
    database.execute("ALTER TABLE s ALTER a TYPE text, ADD CHECK (length(a) < 4)");
    apply(&mut copy, 0, 1, vec![created("s", 1)]).await.unwrap();
    assert_eq!(
        value(&database, "SELECT string_agg(id || ' ' || extra, ', ' ORDER BY id) FROM s"),
        "1 7, 5 7"
    );
    let long = batch(&plain("s"), &[Change::create([text(2), text("four"), Said::Null])], 0);
    let error = refused(&mut copy, 1, vec![long]).await;
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    database
        .execute("ALTER TABLE s ADD needed int NOT NULL DEFAULT 1; ALTER TABLE s ALTER needed DROP DEFAULT");
    let error = refused(&mut copy, 1, vec![created("s", 2)]).await;
    assert!(error.message().contains("`needed`"), "{error}");
}

/// The server names the table that refers. Where that is not ours, it is the other one's stream that is held.
#[tokio::test]
async fn a_row_that_others_refer_to_holds_its_stream() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created("s", 1)]).await.unwrap();
    database.execute(
        "CREATE TABLE mine (s bigint REFERENCES s DEFERRABLE INITIALLY DEFERRED); INSERT INTO mine VALUES (1)",
    );
    let delete = Change::delete([text(1), Said::Unchanged, Said::Unchanged]);
    let error = refused(&mut copy, 1, vec![batch(&plain("s"), &[delete], 0), created("t", 1)]).await;
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert_eq!(error.stream(), Some(&StreamName::new("s")));
}

#[tokio::test]
async fn what_is_no_table_is_refused() {
    let database = database();
    database.execute(
        "CREATE VIEW v AS SELECT 1 AS id; CREATE SEQUENCE q; CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;
         CREATE TABLE parts (id bigint PRIMARY KEY, a text, b text) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100)",
    );
    let mut copy = open(&database, WriteMode::Mirror).await;
    for (stream, what) in
        [("v", "a view"), ("q", "a sequence"), ("m", "a materialized view"), ("part", "a partition")]
    {
        let error = refused(&mut copy, 0, vec![created(stream, 1)]).await;
        assert!(error.message().contains(what), "{error}");
        assert_eq!(error.stream(), Some(&StreamName::new(stream)));
    }
    apply(&mut copy, 0, 1, vec![created("parts", 1)]).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM part"), "1");
}

#[tokio::test]
async fn tables_belong_to_one_stream_of_one_destination() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    let error = refused(&mut copy, 0, vec![created("s", 1), created("public.s", 1)]).await;
    assert!(error.message().contains("is written to by stream `s` of destination `copy`"), "{error}");
    assert_eq!(error.stream(), Some(&StreamName::new("public.s")));
    apply(&mut copy, 0, 1, vec![created("s", 1)]).await.unwrap();
    let mut other = writing(WriteMode::Mirror);
    other.destination = "other".into();
    let mut other = open_as(&database, other).await;
    let error = refused(&mut other, 0, vec![created("s", 1)]).await;
    assert!(error.message().contains("destination `copy`"), "{error}");
    let mut renamed = writing(WriteMode::Mirror);
    renamed.table = TableName::parse("new_{stream}").unwrap();
    let mut copy = open_as(&database, renamed).await;
    let error = refused(&mut copy, 1, vec![created("s", 1)]).await;
    assert!(error.message().ends_with("is kept in table `public.s`, not in `public.new_s`"), "{error}");
    let mut copy = open(&database, WriteMode::Append).await;
    let error = refused(&mut copy, 1, vec![created("s", 1)]).await;
    assert_eq!(error.message(), "table `public.s` was made for another write mode");
    let mut copy = open(&database, WriteMode::Mirror).await;
    let rekeyed = schema("s", &[("id", Kind::Int64), ("a", Kind::Text), ("b", Kind::Text)], &["a"]);
    let rekeyed = batch(&rekeyed, &[Change::create([text(1), text("x"), Said::Null])], 0);
    let error = refused(&mut copy, 1, vec![rekeyed]).await;
    assert_eq!(error.message(), "table `public.s` has the key `id`, but its stream now asks for `a`");
    database.execute("DROP TABLE s");
    let error = refused(&mut copy, 1, vec![created("s", 1)]).await;
    assert_eq!(error.message(), "table `public.s` has been removed");
}

#[tokio::test]
async fn a_schema_of_ones_own_takes_every_stream() {
    let database = database();
    let mut config = config(&database);
    config.schema = Some("mine".into());
    let mut copy = super::Destination::new(&config, writing(WriteMode::Mirror)).unwrap();
    copy.open(&log()).await.unwrap();
    apply(&mut copy, 0, 1, vec![created("sales.orders", 1), created("flat", 1)]).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM mine.orders, mine.flat"), "1");
}
