use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use tidemark_engine::{Error, ErrorKind};
use tokio::sync::Notify;

use super::{server::answer, *};

/// A log with room for a token.
#[derive(Default)]
struct Log {
    kept: Mutex<Option<Bytes>>,
    /// How many of the next saves fail.
    failing: AtomicUsize,
    /// Whether a save that is durable never comes back: the process dies in it.
    dies: bool,
    died: Notify,
}

#[async_trait]
impl TokenStore for Log {
    async fn load(&self) -> Result<Option<Bytes>> {
        Ok(self.kept.lock().unwrap().clone())
    }

    async fn save(&self, sealed: Bytes) -> Result<()> {
        if self.failing.load(Ordering::SeqCst) > 0 {
            self.failing.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::unavailable("the log is full"));
        }
        *self.kept.lock().unwrap() = Some(sealed);
        if self.dies {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// A server that takes each refresh token once: `r0`, then whatever it gave last.
async fn rotating() -> Server {
    let current = Arc::new(AtomicUsize::new(0));
    Server::start(move |seen| match seen.path.as_str() {
        "/token" => {
            let number = current.load(Ordering::SeqCst);
            if !seen.body.contains(&format!("refresh_token=r{number}&")) {
                return answer(400, &[], r#"{"error": "invalid_grant"}"#);
            }
            current.store(number + 1, Ordering::SeqCst);
            let next = number + 1;
            server::json(&format!(
                r#"{{"access_token": "a{next}", "expires_in": 60, "refresh_token": "r{next}"}}"#
            ))
        }
        _ => server::json("[]"),
    })
    .await
}

fn config(server: &Server, first: &str) -> Value {
    json!({"auth": {"type": "oauth2", "token_url": url(server, "token").as_str(), "client_id": "me", "client_secret": "s",
        "grant": "refresh_token", "refresh_token": first}})
}

fn used(server: &Server) -> Vec<String> {
    server
        .seen()
        .iter()
        .filter(|seen| seen.path != "/token")
        .map(|seen| seen.header("authorization").to_owned())
        .collect()
}

#[tokio::test]
async fn a_replaced_refresh_token_is_kept_and_taken_up_by_the_next_process() {
    let (server, log, leaps) = (rotating().await, Arc::new(Log::default()), Leaps::default());
    for round in 1..=3 {
        let client = client_with(&server, config(&server, "r0"), &leaps, Some(log.clone())).unwrap();
        client.send(&get(&server, "a")).await.unwrap();
        assert_eq!(used(&server).len(), round);
        let kept = log.kept.lock().unwrap().clone().unwrap();
        assert!(!kept.windows(2).any(|pair| pair == format!("r{round}").as_bytes()), "in the clear");
    }
    assert_eq!(used(&server), ["Bearer a1", "Bearer a2", "Bearer a3"]);
    // A person made a new one, which the server would not have taken before: it counts from now on.
    let fresh = client_with(&server, config(&server, "r3"), &leaps, Some(log.clone())).unwrap();
    fresh.send(&get(&server, "a")).await.unwrap();
    assert_eq!(used(&server).last().unwrap(), "Bearer a4");
}

#[tokio::test]
async fn a_crash_between_renewal_and_use_loses_nothing() {
    let (server, leaps) = (rotating().await, Leaps::default());
    let dying = Arc::new(Log { dies: true, ..Log::default() });
    let client = client_with(&server, config(&server, "r0"), &leaps, Some(dying.clone())).unwrap();
    let request = get(&server, "a");
    tokio::select! {
        _ = client.send(&request) => panic!("it uses what is not durable"),
        () = dying.died.notified() => {}
    }
    drop(client);
    assert_eq!(used(&server), [""; 0]);
    let log = Arc::new(Log { kept: Mutex::new(dying.kept.lock().unwrap().clone()), ..Log::default() });
    let client = client_with(&server, config(&server, "r0"), &leaps, Some(log)).unwrap();
    client.send(&get(&server, "a")).await.unwrap();
    assert_eq!(used(&server), ["Bearer a2"]);
}

#[tokio::test]
async fn a_token_that_cannot_be_kept_is_neither_used_nor_lost() {
    let (server, leaps) = (rotating().await, Leaps::default());
    let log = Arc::new(Log { failing: AtomicUsize::new(3), ..Log::default() });
    let mut two = config(&server, "r0");
    two["retry"] = json!({"attempts": 2});
    let client = client_with(&server, two, &leaps, Some(log.clone())).unwrap();
    let failure = client.send(&get(&server, "a")).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Unavailable);
    assert_eq!((server.seen().len(), used(&server).len()), (1, 0));
    client.send(&get(&server, "a")).await.unwrap();
    assert_eq!((used(&server), server.seen().len()), (vec!["Bearer a1".to_owned()], 2));
}

#[tokio::test]
async fn without_a_place_to_keep_it_no_refresh_token_is_used() {
    let server = rotating().await;
    let error = client_with(&server, config(&server, "r0"), &Leaps::default(), None).unwrap_err();
    assert_eq!((error.kind(), server.seen().len()), (ErrorKind::Config, 0));
    let log = Arc::new(Log::default());
    let spent = client_with(&server, config(&server, "spent"), &Leaps::default(), Some(log)).unwrap();
    let failure = spent.send(&get(&server, "a")).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Denied);
    assert!(failure.error.hint_text().unwrap().contains("make a new one"), "{failure:?}");
}
