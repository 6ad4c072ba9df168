//! The servers do what their tests rely on.

use tidemark_test_servers::Postgres;

#[test]
fn a_server_keeps_its_data_over_restarts() {
    let server = Postgres::start();
    let database = server.database();
    database.execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)");
    server.restart();
    database.execute("INSERT INTO t VALUES (3, 'z')");
    server.kill();
    server.restart();
    let rows = database.query("SELECT 1; SELECT a, b FROM t ORDER BY a");
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(rows, [[text("1"), text("x")], [text("2"), None], [text("3"), text("z")]]);
    assert_eq!(database.query("SHOW wal_level"), [[text("logical")]]);
}

#[test]
fn databases_are_apart_and_leave_no_slot() {
    let (first, second) = (Postgres::shared().database(), Postgres::shared().database());
    first.execute("CREATE TABLE t (a int)");
    first.execute("SELECT pg_create_logical_replication_slot('tidy', 'pgoutput')");
    assert!(second.query("SELECT 1 FROM pg_tables WHERE tablename = 't'").is_empty());
    drop(first);
    assert!(second.query("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'tidy'").is_empty());
}

#[tokio::test]
async fn a_tls_server_is_usable_from_an_asynchronous_test() {
    let server = Postgres::with_tls(&["localhost"]);
    assert!(server.ca_certificate().is_file());
    assert_eq!(server.database().query("SHOW ssl"), [[Some("on".to_owned())]]);
}
