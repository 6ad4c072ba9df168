//! Against Azurite, and against a double that answers as the documentation says.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tidemark_engine::{
    ErrorKind, Result,
    contract::{samples, write},
    log::Ledger,
    world::World,
    write::{Courier, WriteMode},
};
use tidemark_test_servers::{Cloud, Front, Queues, Receiver, Response, Treatment};

use super::{Destination, DestinationConfig, post};
use crate::{
    config::{TableName, Writing},
    messages::{
        Messages, Wording,
        contract::{self, Received, numbered},
    },
};

/// A new queue.
fn queue() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("queue-{}", MADE.fetch_add(1, Ordering::Relaxed));
    Queues::shared().make(&name);
    name
}

fn config(queue: &str, keys: Value) -> DestinationConfig {
    behind(Queues::shared().port(), queue, keys)
}

/// The same, with something before the emulator.
fn behind(port: u16, queue: &str, keys: Value) -> DestinationConfig {
    let connection = Queues::connection_string(port, Cloud::Azure.shared().port());
    let mut all = json!({"connection_string": connection, "queue": queue, "allow_hosts": ["127.0.0.1"]});
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

async fn deliver(config: &DestinationConfig, text: &str) -> Result<()> {
    let wording = Wording { place: config.queue.clone(), envelope: config.envelope.clone() };
    let world = World::real();
    let mut messages = Messages::new(post::Queues::new(config, &world).unwrap(), wording, world);
    let changes = numbered(&samples::repeated("orders", text, 1), 0);
    messages.deliver(&mut write::unit(0, 1, vec![changes])).await
}

fn decoded(text: &str) -> Value {
    serde_json::from_slice(&BASE64_STANDARD.decode(text).unwrap()).unwrap()
}

fn received(queue: &str) -> Vec<Received> {
    let one = |text: &String| {
        let body = decoded(text);
        Received { id: body["id"].as_str().unwrap().to_owned(), body }
    };
    Queues::shared().take(queue).iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let queue = queue();
    let config = config(&queue, json!({"limits": {"concurrency": 8}}));
    let connect = |ledger: Ledger| Destination::strategy(&config, ledger).unwrap();
    contract::all(connect, async || received(&queue)).await;
    contract::too_large(connect(Ledger::new(&contract::log().await, "large")), 48 << 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_kept_in_a_blob_and_the_message_says_where() {
    let (queue, cloud) = (queue(), Cloud::Azure.shared());
    let container = cloud.bucket().url.trim_start_matches("az://").to_owned();
    let config = config(&queue, json!({"claim_check": {"container": container}}));
    assert!(Destination::check(&config).await.is_empty());
    let large = "x".repeat(100_000);
    deliver(&config, &large).await.unwrap();
    deliver(&config, &large).await.unwrap();
    deliver(&config, "small").await.unwrap();
    let received = received(&queue);
    assert_eq!(received.len(), 3);
    assert_eq!(received[2].body["values"]["text"], "small");
    assert_eq!(received[0].body, received[1].body, "sent again it is the same");
    let told = &received[0].body;
    assert_eq!((&told["op"], &told["stream"]), (&json!("c"), &json!("orders")));
    let url = told["claim_check"]["url"].as_str().unwrap();
    assert!(url.ends_with(&format!("/{container}/{}", received[0].id)), "{url}");
    let blob = cloud.blob(&container, &received[0].id);
    assert_eq!(told["claim_check"]["bytes"], blob.len());
    let body: Value = serde_json::from_slice(&blob).unwrap();
    assert_eq!((&body["values"]["text"], &body["id"]), (&json!(large), &told["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_text_and_times_are_those_asked_for() {
    let queue = queue();
    let plain = config(&queue, json!({"encoding": "text", "time_to_live": "1h"}));
    deliver(&plain, "a <b> & \"c\"").await.unwrap();
    let texts = Queues::shared().take(&queue);
    assert!(texts[0].contains("a &lt;b&gt; &amp; "), "{texts:?}");
    let later = config(&queue, json!({"visible_after": "1h"}));
    deliver(&later, "later").await.unwrap();
    assert!(Queues::shared().take(&queue).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_account_is_told() {
    let check = async |config: &DestinationConfig| Destination::check(config).await.pop();
    let missing = config("nobody-made-it", json!({}));
    let error = check(&missing).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint_text().unwrap().contains("az storage queue create --name nobody-made-it"), "{error}");
    let error = deliver(&missing, "a text").await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Config, None), "{error}");

    let queue = queue();
    assert!(check(&config(&queue, json!({}))).await.is_none());
    assert!(check(&config("{stream}", json!({}))).await.is_none());
    let error = check(&config(&queue, json!({"claim_check": {"container": "missing"}}))).await.unwrap();
    assert!(error.hint_text().unwrap().contains("az storage container create"), "{error}");
    let error = deliver(&config("q_{stream}", json!({})), "a text").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");

    let port = Queues::shared().port();
    let (account, _) = Queues::account();
    let wrong = json!({
        "url": format!("http://127.0.0.1:{port}/{account}"), "queue": queue, "allow_hosts": ["127.0.0.1"],
        "auth": {"type": "azure-shared-key", "account": account, "key": "d3Jvbmc="},
    });
    let error = check(&serde_json::from_value(wrong).unwrap()).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_and_a_busy_service_are_survived() {
    let queue = queue();
    let front = Front::before(Queues::shared().port());
    let asked = AtomicU32::new(0);
    front.treat(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Treatment::LoseAnswer,
        1 => Treatment::Answer(Response::new(
            503,
            &[("retry-after", "0"), ("x-ms-error-code", "ServerBusy")],
            b"",
        )),
        _ => Treatment::Pass,
    });
    deliver(&behind(front.port(), &queue, json!({})), "a text").await.unwrap();
    let received = received(&queue);
    assert_eq!(received.len(), 2, "it was put before its answer was lost");
    assert_eq!(received[0].id, received[1].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_entra_and_signatures_go_with_each_request() {
    let service = Receiver::start();
    service.answer(|request| {
        let token = br#"{"access_token": "abc", "expires_in": 3599, "token_type": "Bearer"}"#;
        let is_token = request.target == "/shop.example/oauth2/v2.0/token";
        let known =
            request.header("authorization") == Some("Bearer abc") || request.target.contains("sig=xyz");
        Treatment::Answer(match (is_token, known) {
            (true, _) => Response::new(200, &[("content-type", "application/json")], token),
            (false, true) => Response::new(201, &[], b""),
            (false, false) => Response::new(401, &[], b""),
        })
    });
    let config = |auth: Value| -> DestinationConfig {
        let all =
            json!({"url": service.url(), "queue": "orders", "allow_hosts": ["127.0.0.1"], "auth": auth});
        let config = serde_json::from_value(all).unwrap();
        assert_eq!(problems(&config), [""; 0]);
        config
    };
    let entra = json!({"type": "entra", "tenant": "shop.example", "client_id": "tidemark", "client_secret": "s", "authority": service.url()});
    deliver(&config(entra), "a text").await.unwrap();
    let taken = service.take();
    let form = String::from_utf8_lossy(&taken[0].body).into_owned();
    assert!(form.contains("client_id=tidemark") && form.contains("storage.azure.com"), "{form}");
    assert_eq!(taken[1].target, "/orders/messages?visibilitytimeout=0&messagettl=-1");
    assert_eq!(taken[1].header("x-ms-version"), Some("2021-08-06"));
    deliver(&config(json!({"type": "azure-sas", "token": "?sv=2021&sig=xyz"})), "a text").await.unwrap();
    // It may send, and no more.
    let denied = Response::new(403, &[("x-ms-error-code", "AuthorizationPermissionMismatch")], b"");
    service.answer(move |_| Treatment::Answer(denied.clone()));
    let sas = config(json!({"type": "azure-sas", "token": "?sv=2021&sig=xyz"}));
    assert!(Destination::check(&sas).await.is_empty());
    assert_eq!(deliver(&sas, "a text").await.unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn every_problem_is_found_at_once() {
    let found = |json: Value| problems(&serde_json::from_value(json).unwrap());
    let all = found(json!({
        "url": "https://shop.queue.core.windows.net", "queue": "Orders", "time_to_live": "1s", "visible_after": "8d",
        "auth": {"type": "entra", "tenant": "a/b", "client_id": "c", "client_secret": "hunter2"},
        "claim_check": {"container": "A"},
    }));
    for part in ["url: ", "queue: ", "claim_check.container: ", "visible_after: "] {
        assert!(all.iter().any(|problem| problem.starts_with(part)), "{part}: {all:#?}");
    }
    assert!(!all.iter().any(|problem| problem.contains("hunter2")));
    assert!(found(json!({"queue": "orders"}))[0].contains("which storage account"));
    let both = json!({"queue": "orders", "connection_string": "UseDevelopmentStorage=true", "url": "http://localhost:1"});
    assert!(found(both)[0].starts_with("connection_string: "));
    let short = json!({"queue": "orders", "connection_string": "AccountName=a;AccountKey=a2V5", "time_to_live": "5s", "visible_after": "5s"});
    assert!(found(short)[0].starts_with("time_to_live: "));
    let elsewhere = json!({"queue": "orders", "url": "https://queues.example", "auth": {"type": "azure-sas", "token": "sig=x"},
        "claim_check": {"container": "large"}});
    assert!(found(elsewhere)[0].contains("blobs"));
}
