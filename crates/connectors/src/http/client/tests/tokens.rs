use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tidemark_engine::ErrorKind;

use super::{server::answer, *};

/// A server that gives tokens `t1`, `t2`, … at `/token`, each good for an hour, and takes only the one numbered `valid`.
async fn with_tokens(valid: Arc<AtomicUsize>) -> Server {
    let given = Arc::new(AtomicUsize::new(0));
    Server::start(move |seen| match seen.path.as_str() {
        "/token" => {
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            valid.store(number, Ordering::SeqCst);
            server::json(&format!(
                r#"{{"access_token": "t{number}", "token_type": "Bearer", "expires_in": "3600"}}"#
            ))
        }
        _ if seen.header("authorization") == format!("Bearer t{}", valid.load(Ordering::SeqCst)) => {
            server::json("[]")
        }
        _ => answer(401, &[], ""),
    })
    .await
}

fn oauth(server: &Server) -> Value {
    json!({"auth": {"type": "oauth2", "token_url": url(server, "token").as_str(), "client_id": "me", "client_secret": "s&t",
        "scope": "read", "params": {"resource": "r"}}})
}

fn asked(server: &Server) -> usize {
    server.seen().iter().filter(|seen| seen.path == "/token").count()
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_renewed_ahead_of_its_end() {
    let server = with_tokens(Arc::default()).await;
    let leaps = Leaps::default();
    let client = client(&server, oauth(&server), &leaps);
    let requests = (0..8).map(|_| async { client.send(&get(&server, "a")).await.map(drop) });
    futures::future::try_join_all(requests).await.unwrap();
    assert_eq!(asked(&server), 1);
    let form = &server.seen()[0].body;
    let wanted = "grant_type=client_credentials&scope=read&resource=r&client_id=me&client_secret=s%26t";
    assert_eq!(form, wanted);
    leaps.pass(Duration::from_secs(3600 - 121));
    client.send(&get(&server, "a")).await.unwrap();
    assert_eq!(asked(&server), 1);
    leaps.pass(Duration::from_secs(2));
    client.send(&get(&server, "a")).await.unwrap();
    assert_eq!(asked(&server), 2);
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.path == "/token" || seen.header("authorization").starts_with("Bearer t"))
    );
}

#[tokio::test]
async fn a_token_that_ends_in_mid_sweep_repeats_the_page() {
    let valid = Arc::new(AtomicUsize::new(0));
    let server = with_tokens(valid.clone()).await;
    let client = client(&server, oauth(&server), &Leaps::default());
    client.send(&get(&server, "page1")).await.unwrap();
    valid.store(usize::MAX, Ordering::SeqCst);
    let pages = (0..4).map(|_| async { client.send(&get(&server, "page2")).await.map(drop) });
    futures::future::try_join_all(pages).await.unwrap();
    assert_eq!(asked(&server), 2);
}

#[tokio::test]
async fn credentials_that_stay_refused_are_denied() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/token" => server::json(r#"{"access_token": "t"}"#),
        _ => answer(401, &[], ""),
    });
    let server = server.await;
    let failure =
        client(&server, oauth(&server), &Leaps::default()).send(&get(&server, "a")).await.unwrap_err();
    assert_eq!((failure.error.kind(), server.seen().len()), (ErrorKind::Denied, 4));

    for (status, body) in [(401, r#"{"error": "invalid_client"}"#), (200, r#"{"error": "invalid_client"}"#)] {
        let server = Server::start(move |_| answer(status, &[], body)).await;
        let failure =
            client(&server, oauth(&server), &Leaps::default()).send(&get(&server, "a")).await.unwrap_err();
        assert_eq!((failure.error.kind(), server.seen().len()), (ErrorKind::Denied, 1));
        assert!(failure.to_string().contains("`invalid_client`"), "{failure}");
        assert!(!failure.to_string().contains("s&t"), "{failure}");
    }
}

#[tokio::test]
async fn a_busy_authorization_server_is_asked_again() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.before) {
        ("/token", 0) => answer(429, &[("retry-after", "5")], ""),
        ("/token", 1) => answer(500, &[], ""),
        ("/token", _) => server::json(r#"{"access_token": "t"}"#),
        _ => server::json("[]"),
    });
    let (server, leaps) = (server.await, Leaps::default());
    client(&server, oauth(&server), &leaps).send(&get(&server, "a")).await.unwrap();
    assert!(leaps.slept()[0] >= Duration::from_secs(5));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn the_client_may_show_itself_in_a_header() {
    let server = with_tokens(Arc::default()).await;
    let mut config = oauth(&server);
    config["auth"]["credentials_in"] = json!("header");
    client(&server, config, &Leaps::default()).send(&get(&server, "a")).await.unwrap();
    let seen = &server.seen()[0];
    // `me:s%26t`
    assert_eq!(seen.header("authorization"), "Basic bWU6cyUyNnQ=");
    assert!(!seen.body.contains("client_secret"), "{}", seen.body);
}

#[tokio::test]
async fn a_login_gives_a_token_in_its_json() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/login" => {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            assert_eq!((&body["user"], &body["password"]), (&json!("me"), &json!("a\"b")));
            server::json(&format!(r#"{{"data": {{"token": "s{}"}}}}"#, seen.before))
        }
        _ if seen.header("x-session") == "Token s2" => server::json("[]"),
        _ => answer(401, &[], ""),
    });
    let server = server.await;
    let auth = json!({"auth": {"type": "session",
        "login": {"url": url(&server, "login").as_str(), "values": {"user": "me", "password": "a\"b"},
            "body": "{\"user\": {{ user | json }}, \"password\": {{ password | json }}}"},
        "token": {"json": "data.token"}, "header": {"name": "X-Session", "value": "Token {{ token }}"}}});
    client(&server, auth, &Leaps::default()).send(&get(&server, "a")).await.unwrap();
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/login", "/a", "/login", "/a"]);
}

#[tokio::test]
async fn a_login_may_give_a_cookie_and_lead_elsewhere() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/login" => answer(302, &[("set-cookie", "sid=abc; Path=/; HttpOnly"), ("location", "/home")], ""),
        _ if seen.header("cookie") == "sid=abc" => server::json("[]"),
        _ => answer(401, &[], ""),
    });
    let (server, leaps) = (server.await, Leaps::default());
    let auth = json!({"auth": {"type": "session", "login": {"url": url(&server, "login").as_str(), "body": "{}"},
        "token": {"cookie": "sid"}, "lifetime": "10m"}});
    let client = client(&server, auth, &leaps);
    client.send(&get(&server, "a")).await.unwrap();
    leaps.pass(Duration::from_secs(601));
    client.send(&get(&server, "a")).await.unwrap();
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/login", "/a", "/login", "/a"]);
}
