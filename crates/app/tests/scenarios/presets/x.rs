//! Posts of X that match a query.

use serde_json::Value;
use tidemark_test_servers::{Double, X};

use super::{COPY, kill_often, rows};
use crate::workbench::Workbench;

fn posts(count: u64) -> Double<X> {
    let double = Double::of(X::new());
    double.with(|x| (0..count).for_each(|n| x.post(&format!("Post {n}"))));
    double
}

fn bench(double: &Double<X>) -> Workbench {
    Workbench::with_pipeline(&format!(
        "name: posts
source:
  type: http
  preset: x
  url: {}/2
  allow_private_addresses: true
  poll: 100ms
  auth: {{type: bearer, token: {}}}
  with: {{query: \"from:schiphol -is:retweet\"}}
  streams: {{posts: {{}}}}
{COPY}",
        double.url(),
        double.trouble(|trouble| trouble.token())
    ))
}

/// What the service shows now.
fn shown(double: &Double<X>) -> Vec<Value> {
    double.with(|x| x.records())
}

/// Moments are compared as their texts without fractions of nothing.
fn is_equal(bench: &Workbench, posts: &[Value]) {
    let mut posts = posts.to_vec();
    for post in &mut posts {
        post["created_at"] = post["created_at"].as_str().unwrap().replace(".000Z", "Z").into();
    }
    rows::equal(bench, "posts", "id", &posts, &[]);
}

#[test]
fn posts_are_read_once_and_stay_when_they_are_shown_no_longer() {
    let double = posts(0);
    let bench = bench(&double);
    // Nothing matches: the answer has no `data`.
    bench.tidemark("run pipeline.yaml --once").succeeds();
    double.with(|x| (0..730).for_each(|n| x.post(&format!("Post {n}"))));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &shown(&double));
    let before = double.trouble(|trouble| trouble.asked());
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(double.trouble(|trouble| trouble.asked()) - before, 1, "nothing is new");
    double.with(|x| x.post("New"));
    let all = shown(&double);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    double.with(|x| x.delete(3));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &all);

    // After a week without a run, its mark is refused, and it says so.
    double.with(|x| (0..30).for_each(|_| x.post("Later")));
    double.with(|x| x.pass_a_week());
    let outcome = bench.tidemark("run pipeline.yaml --once");
    assert_ne!(outcome.code(), 0);
    assert!(outcome.stderr.contains("400"), "{}", outcome.stderr);
}

#[test]
fn posts_are_read_within_the_limit_whoever_is_killed() {
    let double = posts(2_000);
    double.trouble(|trouble| trouble.throttle_every = 11);
    let bench = bench(&double);
    kill_often(&bench, &double, (6, 30), |_| double.with(|x| (0..130).for_each(|_| x.post("New"))));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &shown(&double));
    assert!(double.trouble(|trouble| trouble.throttled() > 1));
}
