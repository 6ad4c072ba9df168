//! Against moto, and through a front that answers as the documentation says.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};
use tidemark_engine::{
    ErrorKind, Result,
    contract::{samples, write},
    log::Ledger,
    world::World,
    write::{Courier, WriteMode},
};
use tidemark_test_servers::{Front, Receiver, Response, Sqs, Treatment};

use super::{Destination, DestinationConfig, post};
use crate::{
    config::{TableName, Writing},
    messages::{
        Messages, Wording,
        contract::{self, Received, numbered},
    },
};

fn config(url: &str, keys: Value) -> DestinationConfig {
    let mut all = json!({
        "url": url, "region": "us-east-1", "access_key_id": "testing", "secret_access_key": "testing",
        "allow_hosts": ["127.0.0.1"],
    });
    all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let config: DestinationConfig = serde_json::from_value(all).unwrap();
    assert_eq!(problems(&config), [""; 0]);
    config
}

fn problems(config: &DestinationConfig) -> Vec<String> {
    let problems = config.validate(&Writing {
        destination: "queue".to_owned(),
        mode: WriteMode::Append,
        table: TableName::default(),
        adopt: false,
        shadow: false,
    });
    problems.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect()
}

async fn deliver(config: &DestinationConfig, rows: usize, text: &str) -> Result<()> {
    let wording = Wording { place: config.url.clone().in_url(), envelope: config.envelope.clone() };
    let mut messages = Messages::new(post::Sqs::new(config, World::real()).unwrap(), wording, World::real());
    let changes = numbered(&samples::repeated("orders", text, rows), 0);
    messages.deliver(&mut write::unit(0, 1, vec![changes])).await
}

/// What a queue has, with the body that says who it is.
fn received(url: &str) -> Vec<Received> {
    let one = |message: &Value| Received {
        id: message["MessageAttributes"]["id"]["StringValue"].as_str().unwrap().to_owned(),
        body: serde_json::from_str(message["Body"].as_str().unwrap()).unwrap(),
    };
    Sqs::shared().take(url).iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    // moto hands out a standard queue's messages in their order; with a FIFO queue it takes minutes.
    let url = Sqs::shared().make("", &[]);
    let config = config(&url, json!({"limits": {"concurrency": 8}}));
    let connect = |ledger: Ledger| Destination::strategy(&config, ledger).unwrap();
    contract::all(connect, async || received(&url)).await;
    contract::too_large(connect(Ledger::new(&contract::log().await, "large")), 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_say_who_they_are_and_a_record_is_a_group() {
    let url = Sqs::shared().make(".fifo", &[]);
    deliver(&config(&url, json!({})), 3, "a text").await.unwrap();
    let messages = Sqs::shared().take(&url);
    let groups: BTreeSet<_> =
        messages.iter().map(|it| it["Attributes"]["MessageGroupId"].to_string()).collect();
    assert_eq!((messages.len(), groups.len()), (3, 3));
    for message in messages {
        let attribute = |name: &str| message["MessageAttributes"][name]["StringValue"].clone();
        assert_eq!((attribute("op"), attribute("stream")), (json!("c"), json!("orders")));
        assert_eq!(attribute("content-type"), "application/json");
        assert_eq!(message["Attributes"]["MessageDeduplicationId"], attribute("id"));
    }
    let standard = Sqs::shared().make("", &[]);
    deliver(&config(&standard, json!({"delay": "0s"})), 25, "a text").await.unwrap();
    let ids: BTreeSet<_> = received(&standard).into_iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_failed_of_a_batch_is_sent_again() {
    let url = Sqs::shared().make("", &[]);
    let service = Receiver::start();
    let asked = std::sync::Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    // The second message of the first request fails once; of the next, the third is at fault.
    service.answer(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let ids: Vec<_> =
            body["Entries"].as_array().unwrap().iter().map(|entry| entry["Id"].clone()).collect();
        let round = count.fetch_add(1, Ordering::Relaxed);
        let fails = |id: &Value| (round == 0 && id == "1") || (round >= 2 && id == "2");
        let answer = json!({
            "Successful": ids.iter().filter(|id| !fails(id)).map(|id| json!({"Id": id})).collect::<Vec<_>>(),
            "Failed": ids.iter().filter(|id| fails(id)).map(|id| json!({
                "Id": id, "SenderFault": round >= 2, "Code": "InternalError", "Message": "secret",
            })).collect::<Vec<_>>(),
        });
        assert!(round != 1 || ids == [json!("1")], "{ids:?}");
        Treatment::Answer(Response::new(
            200,
            &[("content-type", "application/x-amz-json-1.0")],
            answer.to_string().as_bytes(),
        ))
    });
    let (_, name) = url.rsplit_once('/').unwrap();
    let config = config(&format!("{}/123/{name}", service.url()), json!({"limits": {"concurrency": 1}}));
    deliver(&config, 5, "a text").await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let error = deliver(&config, 5, "a text").await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 2))), "{error}");
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_service_is_told() {
    let sqs = Sqs::shared();
    let check = async |config: &DestinationConfig| Destination::check(config).await.pop();
    let base = format!("http://127.0.0.1:{}/123456789012", sqs.port());
    let missing = config(&format!("{base}/nobody.fifo"), json!({}));
    let error = check(&missing).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.hint_text().unwrap().contains("create-queue --queue-name nobody.fifo"), "{error}");
    assert_eq!(deliver(&missing, 1, "a text").await.unwrap_err().kind(), ErrorKind::Config);
    assert!(check(&config(&sqs.make("", &[]), json!({}))).await.is_none());
    assert!(check(&config(&format!("{base}/{{stream}}"), json!({}))).await.is_none());

    // A queue of before, which takes less.
    let small = sqs.make("", &[("MaximumMessageSize", "1024")]);
    let error = deliver(&config(&small, json!({})), 1, &"x".repeat(2_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");

    let service = Receiver::start();
    let told = async |code: &str| {
        let body = format!("{{\"__type\": \"com.amazonaws.sqs#{code}\", \"message\": \"secret\"}}");
        service.answer(move |_| {
            Treatment::Answer(Response::new(
                400,
                &[("content-type", "application/x-amz-json-1.0")],
                body.as_bytes(),
            ))
        });
        let config = config(&format!("{}/1/orders", service.url()), json!({}));
        let error = deliver(&config, 1, "a text").await.unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        (error.kind(), error.change().is_some())
    };
    for (code, kind, is_the_message) in [
        ("ThrottlingException", ErrorKind::Unavailable, false),
        ("RequestThrottled", ErrorKind::Unavailable, false),
        ("AccessDeniedException", ErrorKind::Denied, false),
        ("SignatureDoesNotMatch", ErrorKind::Denied, false),
        ("QueueDoesNotExist", ErrorKind::Config, false),
        ("InvalidMessageContents", ErrorKind::Data, true),
    ] {
        assert_eq!(told(code).await, (kind, is_the_message), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_makes_no_second_message_in_a_fifo_queue() {
    let url = Sqs::shared().make(".fifo", &[]);
    let front = Front::before(Sqs::shared().port());
    let asked = AtomicU32::new(0);
    front.treat(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Treatment::LoseAnswer,
        _ => Treatment::Pass,
    });
    let (_, path) = url.split_once("://").unwrap().1.split_once('/').unwrap();
    let through =
        config(&format!("http://127.0.0.1:{}/{path}", front.port()), json!({"limits": {"concurrency": 1}}));
    deliver(&through, 7, "a text").await.unwrap();
    assert_eq!(received(&url).len(), 7);
}

#[test]
fn every_problem_is_found_at_once() {
    let found = |json: Value| problems(&serde_json::from_value(json).unwrap());
    let keys = |url: &str, more: Value| {
        let mut all = json!({"url": url, "access_key_id": "AKIA", "secret_access_key": "hunter2"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let fine = "https://sqs.eu-north-1.amazonaws.com/123456789012/orders.fifo";
    assert_eq!(found(keys(fine, json!({}))), [""; 0]);
    assert_eq!(
        found(keys("https://sqs.eu-north-1.amazonaws.com/1/{stream}", json!({"delay": "15m"}))),
        [""; 0]
    );
    assert!(found(keys("orders", json!({})))[0].starts_with("url: "));
    assert!(found(keys("https://{stream}/1/orders", json!({})))[0].starts_with("url: "));
    assert!(found(keys("https://queues.example/1/orders", json!({})))[0].starts_with("region: "));
    let all = found(keys(fine, json!({"delay": "16m"})));
    assert_eq!(all.len(), 2, "{all:?}");
}
