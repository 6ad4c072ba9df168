//! Real servers: the right one, the wrong one, one without TLS.

use tidemark_engine::{Error, ErrorKind, Result};
use tidemark_test_servers::Postgres;

use super::{Server, Session};
use crate::postgres::types::SESSION;

async fn connect(url: &str) -> Result<Session> {
    Server::parse(url)?.connect("test").await
}

async fn refusal(url: &str) -> Error {
    match connect(url).await {
        Ok(_) => panic!("let in"),
        Err(error) => error,
    }
}

async fn text(session: &Session, sql: &str) -> String {
    session.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_session_runs_statements_under_its_name() {
    let database = Postgres::shared().database();
    let session = connect(&database.url()).await.unwrap();
    assert_eq!(text(&session, "SELECT current_database()::text").await, database.name());
    assert_eq!(text(&session, "SHOW application_name").await, "tidemark test");
    for (name, value) in SESSION {
        assert_eq!(text(&session, &format!("SHOW \"{name}\"")).await, *value);
    }
    let url = format!("{}?options=-c%20work_mem%3D5MB", database.url());
    assert_eq!(text(&connect(&url).await.unwrap(), "SHOW work_mem").await, "5MB");
}

#[tokio::test]
async fn a_dropped_session_ends_at_the_server() {
    let database = Postgres::shared().database();
    drop(connect(&database.url()).await.unwrap());
    let count = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'tidemark test'",
        database.name()
    );
    for _ in 0..500 {
        if database.query(&count) == [[Some("0".to_owned())]] {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the session is still there");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let database = Postgres::shared().database();
    let wrong = refusal(&database.url_as("postgres", "secret")).await;
    assert_eq!(wrong.kind(), ErrorKind::Denied);
    assert!(!format!("{wrong:?}").contains("secret"), "{wrong:?}");
    assert_eq!(wrong.hint_text(), Some("check the user and the password"));

    let without = database.url_as("postgres", "x").replace(":x@", "@");
    let without = refusal(&without).await;
    assert_eq!((without.kind(), without.to_string().contains("password missing")), (ErrorKind::Denied, true));

    let absent = refusal(&database.url().replace(database.name(), "absent")).await;
    assert_eq!(absent.kind(), ErrorKind::Config, "{absent}");

    let nobody = refusal("postgres://me@127.0.0.1:9").await;
    assert_eq!(nobody.kind(), ErrorKind::Unavailable);
    assert!(nobody.to_string().starts_with("cannot reach `postgres://127.0.0.1:9/me`"), "{nobody}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = refusal(&format!("postgres://me@127.0.0.1:{port}?connect_timeout=1")).await;
    assert_eq!(silent.kind(), ErrorKind::Unavailable);
    assert!(silent.to_string().contains("did not answer within 1 s"), "{silent}");
}

#[tokio::test]
async fn a_certificate_is_verified() {
    let server = Postgres::with_tls(&["localhost"]);
    let other = Postgres::with_tls(&["localhost"]);
    let database = server.database();
    let ours = server.ca_certificate().display().to_string();
    let others = other.ca_certificate().display().to_string();
    let at =
        |host: &str, parameters: &str| format!("{}?{parameters}", database.url().replace("127.0.0.1", host));

    let session = connect(&at("localhost", &format!("sslrootcert={ours}"))).await.unwrap();
    assert_eq!(
        text(&session, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await,
        "true"
    );

    let wrong_name = refusal(&at("127.0.0.1", &format!("sslrootcert={ours}"))).await;
    assert_eq!(wrong_name.kind(), ErrorKind::Config);
    assert!(wrong_name.hint_text().unwrap().contains("verify-ca"), "{wrong_name}");
    connect(&at("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={ours}"))).await.unwrap();

    for mode in ["verify-full", "verify-ca"] {
        let unknown = refusal(&at("localhost", &format!("sslmode={mode}&sslrootcert={others}"))).await;
        assert_eq!(unknown.kind(), ErrorKind::Config);
        assert!(unknown.hint_text().unwrap().contains("sslrootcert"), "{unknown}");
    }

    let in_the_clear = refusal(&at("127.0.0.1", "sslmode=disable")).await;
    assert_eq!(in_the_clear.kind(), ErrorKind::Denied, "{in_the_clear}");

    let absent = refusal(&at("localhost", "sslrootcert=/absent.pem")).await;
    assert!(absent.to_string().contains("`sslrootcert=/absent.pem`"), "{absent}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_must_prove_itself() {
    let database = Postgres::shared().database();
    let plain = refusal(&format!("{}?sslmode=verify-full", database.url())).await;
    assert_eq!(plain.kind(), ErrorKind::Config);
    assert!(plain.to_string().contains("offers no TLS"), "{plain}");
}
