use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use tidemark_engine::ErrorKind;

use super::{server::answer, *};

fn pack(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// How the client takes an answer with `headers` and `body`.
async fn taken(
    config: Value,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
) -> Result<Answer, Failure> {
    let server = Server::start(move |_| answer(200, headers, body.clone())).await;
    client(&server, config, &Leaps::default()).send(&get(&server, "a")).await
}

async fn refused(
    config: Value,
    headers: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
) -> (ErrorKind, String) {
    let failure = taken(config, headers, body).await.unwrap_err();
    (failure.error.kind(), failure.to_string())
}

#[tokio::test]
async fn packed_answers_are_unpacked_and_bombs_are_not() {
    let gzip: &[_] = &[("content-encoding", "gzip")];
    let records = format!("[{}]", vec!["{\"id\": 1}"; 1000].join(","));
    let found = taken(json!({}), gzip, pack(records.as_bytes())).await.unwrap();
    assert_eq!(found.body, records);

    let bomb = pack(&vec![b' '; 40 << 20]);
    let (kind, text) = refused(json!({}), gzip, bomb).await;
    assert!(kind == ErrorKind::Data && text.contains("unpacks to far more"), "{text}");
    let (kind, text) =
        refused(json!({"limits": {"max_response": "4KiB"}}), gzip, pack(records.as_bytes())).await;
    assert!(kind == ErrorKind::Data && text.contains("longer than 4096 bytes"), "{text}");
    let (kind, text) =
        refused(json!({"limits": {"max_response": "4KiB"}}), &[], records.clone().into()).await;
    assert!(kind == ErrorKind::Data && text.contains("longer than 4096 bytes"), "{text}");
    let mut cut = pack(records.as_bytes());
    cut.truncate(cut.len() - 4);
    let (kind, text) = refused(json!({}), gzip, cut).await;
    assert!(kind == ErrorKind::Unavailable && text.contains("damaged or cut off"), "{text}");
    let (kind, text) = refused(json!({}), &[("content-encoding", "br")], b"{}".to_vec()).await;
    assert!(kind == ErrorKind::Data && text.contains("not asked for"), "{text}");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_asked_for_again() {
    for bytes in [
        // Shorter than was said.
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\": 1}",
        // The last chunk is missing.
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"a\": 1}\r\n",
        // Nothing was said, and the JSON ends within itself.
        "HTTP/1.1 200 OK\r\n\r\n{\"a\": [1, 2",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200",
    ] {
        let server = Server::of_bytes(bytes.into()).await;
        let leaps = Leaps::default();
        let failure = client(&server, json!({}), &leaps).send(&get(&server, "")).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Unavailable, "{bytes}: {failure}");
        assert_eq!(leaps.slept().len(), 4, "{bytes}");
    }
    let whole = Server::of_bytes("HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}".into()).await;
    client(&whole, json!({}), &Leaps::default()).send(&get(&whole, "")).await.unwrap();
}

#[tokio::test]
async fn a_login_page_is_no_data() {
    let page = b"<!DOCTYPE html><title>Sign in</title>".to_vec();
    for headers in [&[("content-type", "text/html")] as &[_], &[("content-type", "application/json")], &[]] {
        let (kind, text) = refused(json!({}), headers, page.clone()).await;
        assert!(kind == ErrorKind::Denied && text.contains("web page"), "{text}");
    }
}

#[tokio::test]
async fn success_outside_and_an_error_inside_is_an_error() {
    let config = || json!({"error_when": "error", "retry": {"attempts": 2}});
    let body = r#"{"data": [1], "error": {"code": "ratelimited", "message": "hunter2"}}"#;
    let (kind, text) = refused(config(), &[], body.into()).await;
    assert!(
        kind == ErrorKind::Unavailable && text.contains("`ratelimited`") && !text.contains("hunter2"),
        "{text}"
    );
    for fine in [r#"{"data": [1]}"#, r#"{"error": null}"#, r#"{"error": false}"#, r#"{"error": []}"#] {
        taken(config(), &[], fine.into()).await.unwrap();
    }
}

#[tokio::test]
async fn text_is_what_it_says_and_nests_no_deeper_than_may_be() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let (kind, text) = refused(json!({}), &[], deep.clone().into()).await;
    assert!(kind == ErrorKind::Data && text.contains("64 levels"), "{text}");
    taken(json!({"limits": {"max_nesting": 65}}), &[], deep.into()).await.unwrap();
    let latin = &[("content-type", "application/json; charset=iso-8859-1")];
    assert_eq!(refused(json!({}), latin, b"[]".to_vec()).await.0, ErrorKind::Data);
    assert_eq!(refused(json!({}), &[], b"[\"\xff\"]".to_vec()).await.0, ErrorKind::Data);
    assert_eq!(refused(json!({}), &[], b"OK".to_vec()).await.0, ErrorKind::Data);
    taken(json!({}), &[("content-type", "application/json; charset=\"UTF-8\"")], b"[]".to_vec())
        .await
        .unwrap();
}

#[tokio::test]
async fn nothing_to_tell_is_an_answer() {
    for status in [204, 304] {
        let server = Server::start(move |_| answer(status, &[], "")).await;
        let found = client(&server, json!({}), &Leaps::default()).send(&get(&server, "")).await.unwrap();
        assert_eq!((found.status.as_u16(), found.body.len()), (status, 0));
    }
    let server = Server::start(|_| answer(200, &[("content-type", "text/html")], "<html>")).await;
    let anything = Request { expect: Expect::Anything, ..get(&server, "") };
    client(&server, json!({}), &Leaps::default()).send(&anything).await.unwrap();
}
