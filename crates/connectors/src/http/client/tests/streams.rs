use axum::body::Body;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tidemark_engine::ErrorKind;

use super::{server::answer, *};

#[tokio::test]
async fn a_long_lived_answer_arrives_in_parts_and_its_end_is_told_from_a_break() {
    let server = Server::start(|seen| match seen.before {
        0 => answer(503, &[], ""),
        _ => {
            let lines =
                stream::iter(0..1000).map(|line| Ok::<_, std::io::Error>(format!("{{\"line\": {line}}}\n")));
            answer(200, &[("content-type", "application/x-ndjson")], Body::from_stream(lines))
        }
    });
    let server = server.await;
    let client = client(&server, json!({"limits": {"concurrency": 1}}), &Leaps::default());
    let streamed = client.stream(&get(&server, "events")).await.unwrap();
    let parts: Vec<_> = streamed.bytes().try_collect().await.unwrap();
    assert_eq!(parts.concat().iter().filter(|byte| **byte == b'\n').count(), 1000);
    assert_eq!(server.seen()[1].header("accept-encoding"), "identity");

    let broken =
        Server::of_bytes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{}\n\r\n".to_vec())
            .await;
    let streamed =
        super::client(&broken, json!({}), &Leaps::default()).stream(&get(&broken, "")).await.unwrap();
    let parts: Vec<Result<_>> = streamed.bytes().collect().await;
    assert_eq!(parts[0].as_ref().unwrap(), "{}\n");
    assert_eq!(parts.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn silence_ends_a_stream() {
    let server = Server::start(|_| {
        let silent = stream::iter([Ok::<_, std::io::Error>("{}\n")]).chain(stream::pending());
        answer(200, &[], Body::from_stream(silent))
    });
    let server = server.await;
    let config = json!({"limits": {"timeout": "50ms", "idle_timeout": "50ms"}});
    let streamed = client(&server, config, &Leaps::default()).stream(&get(&server, "")).await.unwrap();
    let parts: Vec<Result<_>> = streamed.bytes().collect().await;
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[1].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_web_page_is_no_stream() {
    let server = Server::start(|_| answer(200, &[("content-type", "text/html")], "<html>")).await;
    let failure = client(&server, json!({}), &Leaps::default()).stream(&get(&server, "")).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Denied);
}
