//! Tokens that end, and tokens that are replaced.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tidemark_test_servers::Response;

use super::{
    api::{Api, Asked, json, records},
    copied, pipeline, run_with_kills,
};
use crate::workbench::Workbench;

const STREAM: &str =
    "    words: {path: /words, key: [id], paging: {type: keyset, column: id, parameter: after}}";

fn denied() -> Response {
    Response::new(401, &[], b"")
}

/// Thirty records, three on a page.
fn page(asked: &Asked) -> Response {
    json(format!("[{}]", records((asked.number("after") + 1..=30).take(3))))
}

#[test]
fn a_token_that_ends_in_mid_sweep_is_asked_for_again() {
    let (mut given, mut left) = (0, 0);
    let api = Api::answering(move |asked| match asked.path.as_str() {
        "/token" => {
            assert!(asked.body.contains("client_secret=s%26t"), "{}", asked.body);
            (given, left) = (given + 1, 4);
            json(format!("{{\"access_token\": \"t{given}\", \"expires_in\": 3600}}"))
        }
        _ if left > 0 && asked.header("authorization") == format!("Bearer t{given}") => {
            left -= 1;
            page(asked)
        }
        _ => denied(),
    });
    let auth = format!(
        "  auth: {{type: oauth2, token_url: \"{}/token\", client_id: me, client_secret: s&t}}",
        api.url()
    );
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), &auth, STREAM));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench, "SELECT count(*), min(id), max(id) FROM words"), ["30 | 1 | 30"]);
    assert_eq!(api.asked().iter().filter(|target| *target == "/token").count(), 3);
}

#[test]
fn of_refresh_tokens_that_live_once_none_is_lost_whenever_we_are_killed() {
    let (current, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (token, counter) = (current.clone(), requests.clone());
    let api = Api::answering(move |asked| {
        let number = token.load(Ordering::SeqCst);
        match asked.path.as_str() {
            // It takes each once; what was lost on the way is lost.
            "/token" if asked.body.contains(&format!("refresh_token=r{number}&")) => {
                token.store(number + 1, Ordering::SeqCst);
                let next = number + 1;
                json(format!(
                    "{{\"access_token\": \"a{next}\", \"expires_in\": 3600, \"refresh_token\": \"r{next}\"}}"
                ))
            }
            "/token" => {
                Response::new(400, &[("content-type", "application/json")], b"{\"error\": \"invalid_grant\"}")
            }
            _ if asked.header("authorization") == format!("Bearer a{number}") => {
                counter.fetch_add(1, Ordering::SeqCst);
                page(asked)
            }
            _ => denied(),
        }
    });
    let auth = format!(
        "  auth: {{type: oauth2, grant: refresh_token, token_url: \"{}/token\", client_id: me, client_secret: s, refresh_token: r0}}",
        api.url()
    );
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), &auth, STREAM));
    run_with_kills(&bench, &|| requests.load(Ordering::SeqCst), &[1, 4, 2, 6]);
    assert_eq!(copied(&bench, "SELECT count(*), min(id), max(id) FROM words"), ["30 | 1 | 30"]);
    assert_eq!(current.load(Ordering::SeqCst), 5, "one for each process");
}
