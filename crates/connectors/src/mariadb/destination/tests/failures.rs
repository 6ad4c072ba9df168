//! What goes wrong, and what is told of it.

use tidemark_engine::{
    ErrorKind,
    change::{ChangeBatch, Op},
    contract::write::{log, standing, unit},
    schema::Kind,
    write::{WriteMode, WriteStrategy},
};
use tidemark_test_servers::Mariadb;

use super::{Writing, apply, destination, open, rows, writing};
use crate::{
    config::{Secret, TableName},
    mariadb::{Destination, DestinationConfig},
    tables::stories::changes::{Change, batch, schema, text},
};

fn created(values: &[(i64, &str)]) -> ChangeBatch {
    let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let change =
        |(id, a): &(i64, &str)| Change { op: Op::Create, old_key: None, values: vec![text(id), text(a)] };
    batch(&schema, &values.iter().map(change).collect::<Vec<_>>(), 0)
}

#[tokio::test]
async fn tables_of_others_are_left_alone_or_adopted() {
    let database = Mariadb::shared().database();
    database.execute("CREATE TABLE s (id BIGINT PRIMARY KEY, a LONGTEXT, extra INT DEFAULT 7) CHARACTER SET utf8mb4; INSERT INTO s (id) VALUES (1)");
    let mut copy = open(&database, WriteMode::Mirror).await;
    let error = apply(&mut copy, 0, 1, vec![created(&[(1, "x")])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.stream().is_some() && error.to_string().contains("did not write"), "{error}");

    let mut copy = destination(&database, Writing { adopt: true, ..writing(WriteMode::Mirror) });
    copy.open(&log()).await.unwrap();
    apply(&mut copy, 0, 1, vec![created(&[(1, "x"), (2, "y")])]).await.unwrap();
    let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    database.execute("UPDATE s SET extra = 8 WHERE id = 1");
    let moved = Change { op: Op::Update, old_key: Some(1), values: vec![text(3), text("z")] };
    apply(&mut copy, 1, 2, vec![batch(&schema, &[moved], 0)]).await.unwrap();
    // What a column of somebody else's holds goes with its row.
    assert_eq!(database.rows("SELECT id, a, extra FROM s ORDER BY id"), ["2\ty\t7", "3\tz\t8"]);
}

#[tokio::test]
async fn tables_that_cannot_keep_what_is_promised_are_refused() {
    for (made, says) in [
        ("id BIGINT PRIMARY KEY, a LONGTEXT) ENGINE = MyISAM", "knows no transactions"),
        ("id BIGINT, a LONGTEXT)", "has no unique index on `id`"),
        ("id INT PRIMARY KEY, a LONGTEXT)", "would alter values of kind `int64`"),
        ("id BIGINT PRIMARY KEY)", "lacks columns"),
        ("id BIGINT PRIMARY KEY, a LONGTEXT CHARACTER SET latin1)", "would alter values of kind `text`"),
    ] {
        let database = Mariadb::shared().database();
        database.execute(&format!("CREATE TABLE s ({made}"));
        let mut copy = open(&database, WriteMode::Mirror).await;
        let error = apply(&mut copy, 0, 1, vec![created(&[(1, "x")])]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn the_change_that_a_constraint_refuses_is_found() {
    let database = Mariadb::shared().database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created(&[(1, "x")])]).await.unwrap();
    database.execute("ALTER TABLE s ADD CONSTRAINT short CHECK (char_length(a) < 5)");
    let changes =
        || vec![created(&(2..40).map(|id| (id, if id == 23 { "secret" } else { "ok" })).collect::<Vec<_>>())];
    let error = apply(&mut copy, 1, 2, changes()).await.unwrap_err();
    assert_eq!((error.kind(), error.stream().is_some()), (ErrorKind::Data, true), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    copy.open(&log()).await.unwrap();
    let error = copy.apply(&mut unit(1, 2, changes()).as_suspect()).await.unwrap_err();
    assert_eq!(error.change(), Some((2, 21)), "{error}");
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(1)), "nothing has happened");
    assert_eq!(database.rows("SELECT id FROM s"), ["1"]);
}

#[tokio::test]
async fn a_unique_index_of_somebody_elses_overwrites_no_other_row() {
    let database = Mariadb::shared().database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created(&[(1, "x"), (2, "y")])]).await.unwrap();
    database.execute("CREATE UNIQUE INDEX u ON s (a(20))");
    let error = apply(&mut copy, 1, 2, vec![created(&[(3, "x")])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert_eq!(database.rows("SELECT id, a FROM s ORDER BY id"), ["1\tx", "2\ty"]);
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let database = Mariadb::shared().database();
    let hostile = "s`; DROP TABLE _tidemark_positions; -- '\"";
    let schema = schema(hostile, &[("select", Kind::Int64), ("a`b", Kind::Text)], &["select"]);
    for (mode, name) in [(WriteMode::Mirror, "m"), (WriteMode::History, "h"), (WriteMode::Append, "a")] {
        let table = TableName::parse(&format!("{{stream}}{name}")).unwrap();
        let mut copy = destination(&database, Writing { destination: name.into(), table, ..writing(mode) });
        copy.open(&log()).await.unwrap();
        let change = |op, a: &str| Change { op, old_key: None, values: vec![text(1), text(a)] };
        let changes = [change(Op::Create, "x"), change(Op::Update, "y")];
        apply(&mut copy, 0, 1, vec![batch(&schema, &changes, 0)]).await.unwrap();
    }
    let quoted = format!("`{}m`", hostile.replace('`', "``"));
    assert_eq!(database.rows(&format!("SELECT `select`, `a``b` FROM {quoted}")), ["1\ty"]);
    let long = "x".repeat(65);
    let long = crate::tables::stories::changes::schema(&long, &[("id", Kind::Int64)], &["id"]);
    let mut copy = open(&database, WriteMode::Mirror).await;
    let change = Change { op: Op::Create, old_key: None, values: vec![text(1)] };
    let error = apply(&mut copy, 0, 1, vec![batch(&long, &[change], 0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// Where it stops in the middle of making a table, the next one goes on.
#[tokio::test]
async fn a_table_that_was_being_made_is_made() {
    let database = Mariadb::shared().database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    database.execute("INSERT INTO _tidemark_tables (name, stream, destination, state, mode) VALUES ('s', 's', 'copy', 'making', 'mirror')");
    apply(&mut copy, 0, 1, vec![created(&[(1, "x")])]).await.unwrap();
    assert_eq!(database.rows("SELECT state FROM _tidemark_tables"), ["made"]);
    // And where the table was made, but not noted, nothing else happens.
    database.execute("UPDATE _tidemark_tables SET state = 'making'");
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 1, 2, vec![created(&[(2, "y")])]).await.unwrap();
    assert_eq!(database.rows("SELECT id FROM s ORDER BY id"), ["1", "2"]);
}

#[tokio::test]
async fn a_server_that_dies_is_asked_again() {
    let server = Mariadb::start();
    let database = server.database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![created(&[(1, "x")])]).await.unwrap();
    server.kill();
    let error = apply(&mut copy, 1, 2, vec![created(&[(2, "y")])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = copy.open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.start_again();
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(1)));
    apply(&mut copy, 1, 2, vec![created(&[(2, "y")])]).await.unwrap();
    assert_eq!(rows(&database, "SELECT id FROM s ORDER BY id").len(), 2);
}

#[tokio::test]
async fn servers_prove_who_they_are_and_settings_are_checked() {
    let server = Mariadb::with_options(&["--local-infile=0"]);
    let database = server.database();
    let check = async |url: String, ca| {
        let config = DestinationConfig { url: Secret::new(url), ca };
        let problems = Destination::check(&config, "".as_ref(), &writing(WriteMode::Mirror)).await;
        problems.into_iter().map(|problem| (problem.kind(), problem.to_string())).collect::<Vec<_>>()
    };
    let found = check(database.url(), Some(server.ca_certificate())).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("LOAD DATA LOCAL"), "the connection was encrypted: {found:?}");
    let other = Mariadb::shared();
    let found = check(other.database().url(), Some(server.ca_certificate())).await;
    assert_eq!(found[0].0, ErrorKind::Denied, "another authority: {found:?}");
    let wrong = other.database().url().replace("tide:", "tide:not");
    let found = check(wrong, None).await;
    assert_eq!(found[0].0, ErrorKind::Denied, "{found:?}");
    assert!(check(other.database().url(), None).await.is_empty());
}
