use std::time::Duration;

use serde_json::json;
use tidemark_engine::ErrorKind;

use super::{server::answer, *};

#[tokio::test]
async fn an_answer_arrives_as_it_was_sent() {
    let server = Server::start(|_| answer(200, &[("etag", "x")], "\u{feff}{\"a\": [1.10]}")).await;
    let client = client(
        &server,
        json!({"auth": {"type": "api-key", "name": "X-Key", "value": "k"}}),
        &Leaps::default(),
    );
    let found = client.send(&get(&server, "v1/orders?page=2")).await.unwrap();
    assert_eq!((found.status.as_u16(), &found.body[..]), (200, b"{\"a\": [1.10]}".as_slice()));
    assert_eq!((found.headers["etag"].as_bytes(), found.url.path()), (b"x".as_slice(), "/v1/orders"));
    let seen = &server.seen()[0];
    assert_eq!((seen.header("x-key"), seen.path.as_str()), ("k", "/v1/orders?page=2"));
    assert_eq!(seen.header("accept-encoding"), "gzip");
}

#[tokio::test]
async fn a_key_may_stand_in_the_query_and_in_no_message() {
    let server = Server::start(|_| answer(404, &[], "hunter2")).await;
    let auth = json!({"auth": {"type": "api-key", "in": "query", "name": "key", "value": "hunter2&"}});
    let failure = client(&server, auth, &Leaps::default()).send(&get(&server, "a?b=c")).await.unwrap_err();
    assert_eq!(server.seen()[0].path, "/a?b=c&key=hunter2%26");
    assert!(!format!("{failure:?} {failure}").contains("hunter2"), "{failure:?}");
}

#[tokio::test]
async fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    // Half a minute after the time at which every test begins.
    for (header, value, wait) in [
        ("retry-after", "7", 7),
        ("retry-after", "Wed, 01 May 2024 00:00:30 GMT", 30),
        ("retry-after-ms", "9000", 9),
        ("x-ratelimit-reset", "1714521620", 20),
    ] {
        let date = "Wed, 01 May 2024 00:00:00 GMT";
        let server = Server::start(move |seen| match seen.before {
            0 => answer(429, &[(header, value), ("date", date)], "slow down"),
            _ => server::json("{}"),
        });
        let (server, leaps) = (server.await, Leaps::default());
        client(&server, json!({}), &leaps).send(&get(&server, "")).await.unwrap();
        let slept: Duration = leaps.slept().iter().sum();
        let bounds = Duration::from_secs(wait)..=Duration::from_millis(wait * 1100);
        assert!(bounds.contains(&slept), "{header}: {value}: {slept:?}");
    }
}

#[tokio::test]
async fn one_who_is_told_to_wait_makes_all_wait_and_no_longer_than_may_be() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/busy" => answer(429, &[("retry-after", "3600")], ""),
        _ => server::json("{}"),
    });
    let (server, leaps) = (server.await, Leaps::default());
    let config = json!({"retry": {"attempts": 1, "longest_wait": "1m"}});
    let first = client(&server, config, &leaps);
    let failure = first.send(&get(&server, "busy")).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Unavailable);
    assert!(leaps.slept().is_empty());
    first.send(&get(&server, "other")).await.unwrap();
    assert_eq!(leaps.slept(), [Duration::from_secs(60)]);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_told_at_once() {
    for status in [408, 425, 500, 502, 503, 504] {
        let server = Server::start(move |seen| match seen.before {
            0 | 1 => answer(status, &[], ""),
            _ => server::json("[]"),
        });
        let (server, leaps) = (server.await, Leaps::default());
        client(&server, json!({}), &leaps).send(&get(&server, "")).await.unwrap();
        assert_eq!((server.seen().len(), leaps.slept().len()), (3, 2), "{status}");
        assert!(leaps.slept()[1] > leaps.slept()[0] / 2, "{status}");
    }
    for (status, kind) in [
        (400, ErrorKind::Data),
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (404, ErrorKind::Config),
        (405, ErrorKind::Config),
        (410, ErrorKind::Conflict),
        (422, ErrorKind::Data),
    ] {
        let body = r#"{"error": {"code": "someCode", "message": "hunter2"}}"#;
        let server = Server::start(move |_| answer(status, &[("location", "/again")], body)).await;
        let leaps = Leaps::default();
        let failure = client(&server, json!({}), &leaps).send(&get(&server, "a")).await.unwrap_err();
        assert_eq!((failure.error.kind(), server.seen().len()), (kind, 1), "{status}");
        assert!(failure.error.message().contains("`someCode`"), "{failure}");
        assert_eq!(failure.is_gone(), status == 410);
        let text = failure.to_string();
        assert!(text.contains("`someCode`") && !text.contains("hunter2"), "{text}");
        assert!(failure.error.hint_text().is_some(), "{status}");
    }
}

#[tokio::test]
async fn too_many_requests_may_be_called_forbidden() {
    let server = Server::start(|_| answer(403, &[("x-ratelimit-remaining", "0")], "")).await;
    let config = json!({"retry": {"attempts": 2}});
    let failure = client(&server, config, &Leaps::default()).send(&get(&server, "")).await.unwrap_err();
    assert_eq!((failure.error.kind(), server.seen().len()), (ErrorKind::Unavailable, 2));
}

#[tokio::test]
async fn a_server_that_stays_away_is_unavailable_after_all_attempts() {
    let server = Server::start(|_| answer(503, &[], "")).await;
    let leaps = Leaps::default();
    let config = json!({"retry": {"attempts": 3}});
    let failure = client(&server, config.clone(), &leaps).send(&get(&server, "")).await.unwrap_err();
    assert_eq!((failure.error.kind(), server.seen().len()), (ErrorKind::Unavailable, 3));
    assert!(failure.to_string().starts_with("after 3 attempts"), "{failure}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut nobody = server.url.clone();
    nobody.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    drop(listener);
    let failure = client(&server, config, &leaps).send(&Request::get(nobody)).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Unavailable);
    assert!(failure.to_string().contains("did not reach the server"), "{failure}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let server = Server::of_bytes(Vec::new()).await;
    let config = json!({"limits": {"timeout": "50ms"}, "retry": {"attempts": 2}});
    let failure = client(&server, config, &Leaps::default()).send(&Request::get(url)).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Unavailable);
    assert!(failure.to_string().contains("took too long"), "{failure}");
}
