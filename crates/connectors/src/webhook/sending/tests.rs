//! Against a server on this machine.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};
use tidemark_engine::{
    ErrorKind, Result,
    change::{ChangeBatch, Op},
    contract::{samples, write},
    log::Ledger,
    world::World,
    write::{Courier, WriteMode},
};
use tidemark_test_servers::{Receiver, Request, Response, Treatment};

use super::{Destination, DestinationConfig, post::Requests};
use crate::{
    config::{TableName, Writing},
    messages::{
        Messages, Wording,
        contract::{self, Received, numbered},
    },
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn config(receiver: &Receiver, path: &str, keys: Value) -> DestinationConfig {
    let mut all = json!({"url": format!("{}{path}", receiver.url()), "allow_hosts": ["127.0.0.1"]});
    all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let config: DestinationConfig = serde_json::from_value(all).unwrap();
    assert_eq!(problems(&config), [""; 0]);
    config
}

fn problems(config: &DestinationConfig) -> Vec<String> {
    let problems = config.validate(&Writing {
        destination: "hook".to_owned(),
        mode: WriteMode::Append,
        table: TableName::default(),
        adopt: false,
        shadow: false,
    });
    problems.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect()
}

fn messages(config: &DestinationConfig) -> Messages<Requests> {
    let wording = Wording { place: config.url.clone().in_url(), envelope: config.envelope.clone() };
    Messages::new(Requests::new(config, Path::new("."), World::real()).unwrap(), wording, World::real())
}

/// Two orders, each as what becomes of it.
fn orders(op: Op) -> ChangeBatch {
    let rows = samples::repeated("orders", "a/b?c", 2);
    numbered(&ChangeBatch::uniform(rows.schema().clone(), op, rows.columns().values.clone()).unwrap(), 0)
}

async fn deliver(config: &DestinationConfig, changes: ChangeBatch) -> Result<()> {
    messages(config).deliver(&mut write::unit(0, 1, vec![changes])).await
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn answer(status: u16) -> Treatment {
    Treatment::Answer(Response::new(status, &[], b"secret"))
}

fn received(receiver: &Receiver) -> Vec<Received> {
    let one = |request: &Request| Received {
        id: request.header("webhook-id").unwrap().to_owned(),
        body: body(request),
    };
    receiver.take().iter().filter(|request| request.method == "POST").map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let receiver = Receiver::start();
    let config = config(&receiver, "/hook", json!({"limits": {"concurrency": 8}}));
    let connect = |ledger: Ledger| Destination::strategy(&config, Path::new("."), ledger).unwrap();
    contract::all(connect, async || received(&receiver)).await;
    receiver.answer(|request| answer(if request.body.len() < 10_000 { 204 } else { 413 }));
    contract::too_large(connect(Ledger::new(&contract::log().await, "large")), 10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_arrays_and_whose_fault_it_is_is_found() {
    let receiver = Receiver::start();
    let batched = config(&receiver, "/hook", json!({"batch": 25}));
    let rows = numbered(&samples::numbered_rows("orders", 0, 100), 0);
    deliver(&batched, rows.clone()).await.unwrap();
    let taken = receiver.take();
    let ids: std::collections::BTreeSet<_> = taken
        .iter()
        .flat_map(|request| body(request).as_array().unwrap().clone())
        .map(|it| it["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 100);
    assert!(taken.len() < 12, "{}", taken.len());
    assert!(taken.iter().all(|request| request.header("webhook-id").unwrap().starts_with("batch-")));

    // It takes none of a request that has an odd one in it.
    receiver.answer(|request| {
        let is_odd = body(request).as_array().unwrap().iter().any(|it| it["key"]["id"] == 57);
        answer(if is_odd { 422 } else { 202 })
    });
    let error = deliver(&batched, rows.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, None));
    assert_eq!(error.stream().map(ToString::to_string).as_deref(), Some("orders"));
    let mut suspect = write::unit(0, 1, vec![rows]).as_suspect();
    let error = messages(&batched).deliver(&mut suspect).await.unwrap_err();
    assert_eq!(error.change(), Some((1, 57)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_addresses_headers_and_bodies_are_those_of_the_change() {
    let receiver = Receiver::start();
    let config = config(
        &receiver,
        "/{stream}/{value.text}/{key}?op={op}",
        json!({
            "method": "PUT", "methods": {"d": "DELETE"},
            "headers": {"x-stream": "{{ stream }}", "authorization": "Bearer abc", "content-type": "text/plain"},
            "body": "{{ key.id }} has {{ json.values }}",
        }),
    );
    deliver(&config, orders(Op::Update)).await.unwrap();
    deliver(&config, orders(Op::Delete)).await.unwrap();
    let taken = receiver.take();
    let lines: Vec<_> =
        taken.iter().map(|request| format!("{} {}", request.method, request.target)).collect();
    let first = "PUT /orders/a%2Fb%3Fc/0?op=u";
    assert!(lines.iter().any(|line| line == first), "{lines:?}");
    assert!(lines.iter().any(|line| line == "DELETE /orders/a%2Fb%3Fc/1?op=d"), "{lines:?}");
    for request in taken {
        assert_eq!(request.header("x-stream"), Some("orders"));
        assert_eq!(request.header("authorization"), Some("Bearer abc"));
        let text = String::from_utf8(request.body.clone()).unwrap();
        match request.method.as_str() {
            "PUT" => assert!(text.contains(" has {\"id\":") && text.contains("\"text\":\"a/b?c\""), "{text}"),
            _ => assert_eq!(text, ""),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_says_leads_nowhere_else() {
    let receiver = Receiver::start();
    let config = config(&receiver, "/orders/{value.text}", json!({}));
    for text in ["..", "."] {
        let error = deliver(&config, numbered(&samples::repeated("orders", text, 1), 0)).await.unwrap_err();
        assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 0))), "{error}");
    }
    assert!(receiver.take().is_empty());
    let header = json!({"headers": {"x-text": "{{ values.text }}"}});
    let header = self::config(&receiver, "/", header);
    let error = deliver(&header, numbered(&samples::repeated("orders", "a\nb", 1), 0)).await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 0))), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_has_its_meaning() {
    let receiver = Receiver::start();
    let one_try = json!({"retry": {"attempts": 1}, "done_on": [409, 410], "retry_on": [423]});
    let (fixed, named) =
        (config(&receiver, "/hook", one_try.clone()), config(&receiver, "/orders/{value.text}", one_try));
    let told = async |config: &DestinationConfig, status: u16| {
        receiver.answer_all(status, &[]);
        let delivered = deliver(config, numbered(&samples::repeated("orders", "unsaid", 1), 0)).await;
        delivered.err().map(|error| {
            assert!(!error.to_string().contains("unsaid"), "{error}");
            (error.kind(), error.change().is_some())
        })
    };
    for fine in [200, 201, 202, 204, 409, 410] {
        assert_eq!(told(&fixed, fine).await, None, "{fine}");
    }
    for (status, kind, is_the_message) in [
        (400, ErrorKind::Data, true),
        (413, ErrorKind::Data, true),
        (422, ErrorKind::Data, true),
        (401, ErrorKind::Denied, false),
        (403, ErrorKind::Denied, false),
        (404, ErrorKind::Config, false),
        (405, ErrorKind::Config, false),
        (415, ErrorKind::Config, false),
        (423, ErrorKind::Unavailable, false),
        (500, ErrorKind::Unavailable, false),
    ] {
        assert_eq!(told(&fixed, status).await, Some((kind, is_the_message)), "{status}");
    }
    assert_eq!(told(&named, 404).await, Some((ErrorKind::Data, true)));
    assert_eq!(told(&named, 401).await, Some((ErrorKind::Denied, false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_to_wait_is_waited_for() {
    let receiver = Receiver::start();
    let config = config(&receiver, "/hook", json!({"limits": {"concurrency": 2}}));
    let asked = AtomicU32::new(0);
    receiver.answer(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Treatment::Answer(Response::new(429, &[("retry-after-ms", "30")], b"")),
        1 => Treatment::Answer(Response::new(503, &[("retry-after", "0")], b"")),
        2 => Treatment::Cut,
        _ => answer(200),
    });
    deliver(&config, numbered(&samples::numbered_rows("orders", 0, 20), 0)).await.unwrap();
    let ids: std::collections::BTreeSet<_> = received(&receiver).into_iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_no_success() {
    let receiver = Receiver::start();
    let config = config(&receiver, "/hook", json!({}));
    receiver.answer(|request| match request.target.as_str() {
        "/hook" => Treatment::Answer(Response::new(302, &[("location", "/login")], b"")),
        _ => answer(200),
    });
    let error = deliver(&config, orders(Op::Create)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_events_are_headers_and_batches_of_them_have_a_type() {
    let receiver = Receiver::start();
    let events = json!({"envelope": {"type": "cloudevents", "mode": "binary", "source": "/café 1"}});
    deliver(&config(&receiver, "/", events), orders(Op::Create)).await.unwrap();
    let one = &receiver.take()[0];
    assert_eq!(
        (one.header("ce-source"), one.header("ce-type")),
        (Some("/caf%C3%A9%201"), Some("tidemark.create"))
    );
    assert_eq!(one.header("ce-id"), one.header("webhook-id"));
    let batch = json!({"envelope": "cloudevents", "batch": 10});
    deliver(&config(&receiver, "/", batch), orders(Op::Create)).await.unwrap();
    let taken = receiver.take();
    assert!(taken.iter().all(|it| it.header("content-type") == Some("application/cloudevents-batch+json")));
    assert_eq!(body(&taken[0])[0]["type"], "tidemark.create");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_and_tell_of_errors_inside() {
    let receiver = Receiver::start();
    let keys = json!({"signature": {"secret": [SECRET, "b3RoZXI="]}, "error_when": "error", "retry": {"attempts": 1}});
    let config = config(&receiver, "/hook", keys);
    receiver.answer(|_| Treatment::Answer(Response::new(200, &[], b"{\"error\": null}")));
    deliver(&config, orders(Op::Create)).await.unwrap();
    for request in receiver.take() {
        assert_eq!(request.header("webhook-signature").unwrap().split(' ').count(), 2);
        assert!(request.header("webhook-timestamp").unwrap().parse::<u64>().unwrap() > 1_700_000_000);
        assert_eq!(body(&request)["id"], request.header("webhook-id").unwrap());
    }
    receiver.answer(|_| Treatment::Answer(Response::new(200, &[], b"{\"error\": \"full\"}")));
    assert_eq!(deliver(&config, orders(Op::Create)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let printed = format!("{config:?} {:?}", config.client());
    assert!(!printed.contains("MfKQ9r8") && !printed.contains("b3Ro"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_server_is_told() {
    let receiver = Receiver::start();
    let check = async |config: &DestinationConfig| {
        let found = Destination::check(config, Path::new(".")).await;
        found.first().map(tidemark_engine::Error::kind)
    };
    let config = config(&receiver, "/hook", json!({}));
    assert_eq!(check(&config).await, None);
    assert_eq!(receiver.take()[0].method, "OPTIONS");
    for (status, kind) in
        [(405, None), (404, None), (401, Some(ErrorKind::Denied)), (503, Some(ErrorKind::Unavailable))]
    {
        receiver.answer_all(status, &[]);
        assert_eq!(check(&config).await, kind, "{status}");
    }
    drop(receiver);
    assert_eq!(check(&config).await, Some(ErrorKind::Unavailable));
}

#[test]
fn every_problem_is_found_at_once() {
    let found = |json: Value| problems(&serde_json::from_value(json).unwrap());
    assert_eq!(found(json!({"url": "https://hooks.example/{stream}"})), [""; 0]);
    for url in
        ["https://{value.host}/", "https://hooks.example{key}", "ftp://hooks.example/", "{stream}", "hooks"]
    {
        assert!(found(json!({"url": url}))[0].starts_with("url: "), "{url}");
    }
    let inside = found(json!({"url": "http://10.0.0.1/hook"}));
    assert!(inside[0].contains("private network"), "{inside:?}");
    let all = found(json!({
        "url": "https://hooks.example/", "methods": {"d": "DELETE"}, "headers": {"webhook-id": "x", "a b": "{{"},
        "done_on": [429, 409], "retry_on": [200, 409], "body": "{{", "signature": {"secret": "hunter2!"},
        "auth": {"type": "oauth2", "token_url": "https://login.example", "client_id": "c", "grant": "refresh_token",
            "refresh_token": "r"},
    }));
    for part in [
        "url: ",
        "headers.webhook-id",
        "headers.a b",
        "done_on: 429",
        "retry_on: 200",
        "retry_on: 409",
        "body: ",
        "signature.secret",
        "auth.grant",
    ] {
        assert!(all.iter().any(|problem| problem.starts_with(part)), "{part}: {all:#?}");
    }
    assert!(!all.iter().any(|problem| problem.contains("hunter2")), "{all:?}");
    let batch = found(
        json!({"url": "https://a.example/{key}", "method": "DELETE", "batch": 10, "headers": {"a": "{{ op }}"}}),
    );
    assert_eq!(batch.len(), 2, "{batch:?}");
    let events = json!({"url": "https://a.example/", "batch": 2, "envelope": {"type": "cloudevents", "mode": "binary"}});
    assert!(found(events)[0].starts_with("envelope.mode: "));
    let unknown = json!({"url": "https://a.example/", "urls": 1});
    assert!(serde_json::from_value::<DestinationConfig>(unknown).is_err());
}
