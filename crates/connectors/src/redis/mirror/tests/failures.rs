//! What goes wrong, and what is told of it.

use std::path::Path;

use redis::cmd;
use serde_json::{Value as Json, json};
use tidemark_engine::{
    Error, ErrorKind,
    change::{ChangeBatch, Op},
    contract::{
        samples,
        write::{log, standing},
    },
    schema::Kind,
    write::WriteStrategy,
};
use tidemark_test_servers::Redis;

use super::{apply, config, link, mirror, open, records, writing};
use crate::{
    config::{Findings, Writing},
    redis::{Destination, DestinationConfig, mirror::Mirror},
    tables::stories::changes::{Change, Said, batch, schema, text},
};

fn keys(keys: Json) -> DestinationConfig {
    serde_json::from_value(keys).unwrap()
}

fn created(stream: &str, ids: &[i64]) -> ChangeBatch {
    let schema = schema(stream, &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let change = |id: &i64| Change { op: Op::Create, old_key: None, values: vec![text(id), text("x")] };
    batch(&schema, &ids.iter().map(change).collect::<Vec<_>>(), 0)
}

fn one(op: Op, values: Vec<Said>) -> ChangeBatch {
    let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let fine = Change { op: Op::Create, old_key: None, values: vec![text(1), text("x")] };
    batch(&schema, &[fine, Change { op, old_key: None, values }], 0)
}

async fn refused(config: &DestinationConfig, begin: u64, batches: Vec<ChangeBatch>) -> Error {
    let mut mirror = open(config).await;
    let error = apply(&mut mirror, begin, begin + 1, batches).await.unwrap_err();
    let expected = (begin > 0).then(|| standing(begin));
    assert_eq!(mirror.open(&log()).await.unwrap(), expected, "nothing has happened: {error}");
    error
}

#[tokio::test]
async fn a_change_that_cannot_be_made_is_named() {
    let server = Redis::start();
    let config = config(&server, "json");
    let large = "x".repeat(1 << 20);
    for (change, says) in [
        (one(Op::Create, vec![text(2), text(large)]), "larger than the 1048576 bytes"),
        (one(Op::Create, vec![Said::Null, text("x")]), "key column `id` of stream `s` is NULL"),
        (one(Op::Update, vec![text(2), Said::Unchanged]), "in a record that is not there"),
    ] {
        let error = refused(&config, 0, vec![change]).await;
        assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 1))), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let ours = keys(json!({"url": server.url(), "key": "{key}"}));
    let schema = schema("s", &[("id", Kind::Text)], &["id"]);
    let change = Change { op: Op::Create, old_key: None, values: vec![text("_tidemark:copy")] };
    let error = refused(&ours, 0, vec![batch(&schema, &[change], 0)]).await;
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, Some((1, 0))), "{error}");
    assert!(records(&mut link(&config).await).await.is_empty());
}

#[tokio::test]
async fn streams_whose_keys_may_meet_are_refused() {
    let server = Redis::start();
    let one_key = keys(json!({"url": server.url(), "key": "row:{key}"}));
    let mut mirror = open(&one_key).await;
    apply(&mut mirror, 0, 1, vec![created("s", &[1])]).await.unwrap();
    // Another stream, and another destination.
    let other = |destination: &str| {
        let writing = Writing { destination: destination.into(), ..writing() };
        Mirror::new(&one_key, Path::new("."), writing, tidemark_engine::world::World::real()).unwrap()
    };
    for (destination, stream, begin) in [("copy", "t", 1), ("other", "s", 0), ("other", "t", 0)] {
        let mut mirror = other(destination);
        mirror.open(&log()).await.unwrap();
        let error = apply(&mut mirror, begin, begin + 1, vec![created(stream, &[1])]).await.unwrap_err();
        assert_eq!((error.kind(), error.stream().is_some()), (ErrorKind::Config, true), "{error}");
        assert!(
            error.to_string().contains("may get keys that destination `copy` has for stream `s`"),
            "{error}"
        );
    }
    // The same in another form, or under other keys.
    for changed in
        [json!({"url": server.url(), "key": "row:{key}", "as": "json"}), json!({"url": server.url()})]
    {
        let error = refused(&keys(changed), 1, vec![created("s", &[2])]).await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("keeps stream `s` as a hash under `row:{key}`"), "{error}");
    }
    let keyless = batch(
        &schema("u", &[("id", Kind::Int64)], &[]),
        &[Change { op: Op::Create, old_key: None, values: vec![text(1)] }],
        0,
    );
    let error = refused(&one_key, 1, vec![keyless]).await;
    assert!(error.to_string().contains("stream `u` has no key"), "{error}");
}

#[tokio::test]
async fn two_that_begin_at_once_both_go_on() {
    let server = Redis::start();
    let config = config(&server, "hash");
    let named = |destination: &str| {
        let writing = Writing { destination: destination.into(), ..writing() };
        Mirror::new(&config, Path::new("."), writing, tidemark_engine::world::World::real()).unwrap()
    };
    let (mut one, mut other) = (named("one"), named("other"));
    one.open(&log()).await.unwrap();
    other.open(&log()).await.unwrap();
    apply(&mut one, 0, 1, vec![created("s", &[1])]).await.unwrap();
    // Whose keys are whose it asks again.
    let error = apply(&mut other, 0, 1, vec![created("t", &[1])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    other.open(&log()).await.unwrap();
    apply(&mut other, 0, 1, vec![created("t", &[1])]).await.unwrap();
    apply(&mut one, 1, 2, vec![created("s", &[2])]).await.unwrap();
    assert_eq!(records(&mut link(&config).await).await.len(), 3);
}

#[tokio::test]
async fn what_somebody_else_put_there_is_not_taken_for_a_record() {
    let server = Redis::start();
    for (form, foreign) in [
        ("hash", &["SET", "s:2", "text"][..]),
        ("json", &["HSET", "s:2", "a", "b"]),
        ("json", &["SET", "s:2", "text"]),
    ] {
        let config = config(&server, form);
        let mut link = link(&config).await;
        let () = link.ask(cmd("FLUSHALL")).await.unwrap();
        server.ask(foreign);
        let error = refused(&config, 0, vec![one(Op::Update, vec![text(2), Said::Unchanged])]).await;
        assert_eq!((error.kind(), error.stream().is_some()), (ErrorKind::Config, true), "{error}");
        // A record that is whole takes its place.
        apply(&mut open(&config).await, 0, 1, vec![created("s", &[2])]).await.unwrap();
        assert_eq!(records(&mut link).await["s:2"]["a"].as_deref(), Some("x"));
    }
}

#[tokio::test]
async fn a_server_that_dies_or_forgets_is_asked_again() {
    let mut server = Redis::start();
    let config = config(&server, "hash");
    let mut mirror = open(&config).await;
    apply(&mut mirror, 0, 1, vec![created("s", &[1])]).await.unwrap();
    server.kill();
    let error = apply(&mut mirror, 1, 2, vec![created("s", &[2])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(mirror.open(&log()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.start_again();
    assert_eq!(mirror.open(&log()).await.unwrap(), Some(standing(1)));
    apply(&mut mirror, 1, 2, vec![created("s", &[2])]).await.unwrap();
    assert_eq!(records(&mut link(&config).await).await.len(), 2);
    // Everything is gone, and with it the position: it is filled anew.
    server.ask(&["FLUSHALL"]);
    let error = apply(&mut mirror, 2, 3, vec![created("s", &[3])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(mirror.open(&log()).await.unwrap(), None);
    apply(&mut mirror, 0, 3, vec![created("s", &[1, 2, 3])]).await.unwrap();
    assert_eq!(records(&mut link(&config).await).await.len(), 3);
}

#[tokio::test]
async fn what_the_server_does_not_take_is_told() {
    let server = Redis::start();
    server.ask(&["CONFIG", "SET", "client-query-buffer-limit", "1mb"]);
    let config = config(&server, "hash");
    let error = refused(
        &config,
        0,
        vec![samples::repeated("s", &"x".repeat(1_000), 2_000).with_ordinals((0..2_000).collect())],
    )
    .await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("more than the 1048576 bytes"), "{error}");
    server.ask(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">secret",
        "~*",
        "+@read",
        "+@connection",
        "+watch",
        "+config",
    ]);
    let reader = keys(json!({"url": server.url(), "username": "reader", "password": "secret"}));
    let error = mirror(&reader).open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = mirror(&config).open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("its memory is full"), "{error}");
}

async fn check(config: &DestinationConfig) -> Findings {
    Destination::check(config, Path::new("."), &writing()).await
}

#[tokio::test]
async fn a_check_says_what_may_cost_data() {
    let mut server = Redis::start();
    let config = config(&server, "hash");
    let found = check(&config).await;
    assert!(found.problems.is_empty() && found.warnings.is_empty(), "{found:?}");
    server.ask(&["CONFIG", "SET", "appendonly", "no"]);
    server.ask(&["CONFIG", "SET", "maxmemory", "1gb"]);
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let found = check(&config).await;
    assert!(found.problems.is_empty(), "{found:?}");
    let warnings = found.warnings.iter().map(Error::message).collect::<Vec<_>>();
    assert!(warnings[0].contains("keeps no append-only file"), "{warnings:?}");
    assert!(warnings[1].contains("forgets records"), "{warnings:?}");
    assert!(super::keys(&mut link(&config).await).await.is_empty(), "it writes nothing");
    let guessed = keys(json!({"url": server.url(), "username": "nobody", "password": "guessed"}));
    assert_eq!(check(&guessed).await.problems[0].kind(), ErrorKind::Denied);
    server.kill();
    assert_eq!(check(&config).await.problems[0].kind(), ErrorKind::Unavailable);
    let node = Redis::node_of_a_cluster();
    let found = check(&keys(json!({"url": node.url()}))).await;
    assert_eq!((found.problems.len(), found.problems[0].kind()), (1, ErrorKind::Config));
    assert!(found.problems[0].message().contains("is a node of a cluster"), "{found:?}");
}

/// As docs/destinations/redis.md has it.
const GRANTED: &str = "+multi +exec +watch +hgetall +hset +hdel +get +set +unlink +copy +sadd +srem +smembers +sscan +scard +smismember +config|get";

#[tokio::test]
async fn the_commands_that_are_named_are_enough() {
    let server = Redis::start();
    let who = ["ACL", "SETUSER", "writer", "on", ">secret", "~s:*", "~_tidemark*"];
    server.ask(&[&who[..], &GRANTED.split(' ').collect::<Vec<_>>()].concat());
    for form in super::FORMS {
        server.ask(&["FLUSHALL"]);
        let config =
            keys(json!({"url": server.url(), "as": form, "username": "writer", "password": "secret"}));
        let mut mirror = super::patient(&config, 0);
        mirror.open(&log()).await.unwrap();
        apply(&mut mirror, 0, 1, vec![created("s", &[1, 2])]).await.unwrap();
        apply(&mut mirror, 1, 2, vec![one(Op::Update, vec![text(2), Said::Unchanged])]).await.unwrap();
        apply(&mut mirror, 2, 3, vec![one(Op::Delete, vec![text(2), Said::Unchanged])]).await.unwrap();
        apply(&mut mirror, 3, 4, vec![one(Op::Truncate, vec![Said::Null, Said::Null])]).await.unwrap();
        super::generations::read_anew(&mut mirror, 4).await;
        let found = super::keys(&mut link(&super::config(&server, form)).await).await;
        assert!(found.contains(&"s:7".to_owned()), "{form}: {found:?}");
    }
}
