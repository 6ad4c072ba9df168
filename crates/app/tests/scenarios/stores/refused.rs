//! Stores that no log can be kept in: `check` says why, and `run` does not begin.

use tidemark_test_servers::{Bucket, Cloud, Front, Response, Treatment};

use super::in_every_cloud;
use crate::workbench::Workbench;

in_every_cloud!(
    a_bucket_that_is_not_there_is_named,
    a_store_that_overwrites_is_refused,
    a_store_that_is_down_is_told_of_in_time
);

fn pipeline(bucket: &Bucket) -> Workbench {
    let bench = Workbench::with_pipeline(&format!(
        "name: shop
source: {{type: files, path: ./data}}
staging: {{url: \"{}/a\"}}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: append}}
",
        bucket.url
    ));
    bench.write("data/orders.csv", "id\n1\n");
    bench.in_environment(&bucket.variables)
}

/// `check` finds it beside all else that is wrong, and `run` ends with `code`; both say `words`.
fn is_refused(bucket: &Bucket, code: i32, words: &[&str]) {
    let bench = pipeline(bucket);
    let checked = bench.tidemark("check pipeline.yaml").exits_with(2);
    let ended = bench.tidemark("run pipeline.yaml --once").exits_with(code);
    for word in words {
        assert!(checked.stderr.contains(word), "check: {}", checked.stderr);
        assert!(ended.stderr.contains(word), "run: {}", ended.stderr);
    }
    assert!(checked.stderr.contains("staging:"), "it points at the key: {}", checked.stderr);
    assert!(!bench.path("copy.db").exists(), "nothing has begun");
}

fn a_bucket_that_is_not_there_is_named(cloud: Option<Cloud>) {
    let bucket = cloud.unwrap().shared().missing_bucket();
    is_refused(&bucket, 2, &["missing/a/shop", "make the bucket or container"]);
}

fn a_store_that_overwrites_is_refused(cloud: Option<Cloud>) {
    let emulator = cloud.unwrap().shared();
    let front = Front::before(emulator.port());
    // Azurite would notice that a header is gone which was signed: it is made to say yes instead.
    let said_yes =
        Response::new(201, &[("etag", "\"0\""), ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")], b"");
    front.treat(move |request| match request.method.as_str() {
        "PUT" if cloud == Some(Cloud::Azure) => Treatment::Answer(said_yes.clone()),
        _ => Treatment::Without(&["if-none-match", "x-goog-if-generation-match"]),
    });
    is_refused(&emulator.bucket_behind(&front), 2, &["cannot be relied on", "conditional writes"]);
}

fn a_store_that_is_down_is_told_of_in_time(cloud: Option<Cloud>) {
    let emulator = cloud.unwrap().shared();
    let front = Front::before(emulator.port());
    let bucket = emulator.bucket_behind(&front);
    front.treat_all(Treatment::Answer(Response::new(503, &[], b"")));
    is_refused(&bucket, 1, &["503"]);
}

#[test]
fn another_key_is_denied() {
    let Bucket { url, variables } = Cloud::Azure.shared().bucket();
    let variables =
        variables.into_iter().map(|(name, value)| (name, value.replace("AccountKey=E", "AccountKey=F")));
    let bucket = Bucket { url, variables: variables.collect() };
    is_refused(&bucket, 1, &["AuthorizationFailure", "grant this user the right"]);
}

#[test]
fn another_region_is_told_of() {
    let front = Front::before(Cloud::S3.shared().port());
    let bucket = Cloud::S3.shared().bucket_behind(&front);
    // As S3 redirects: without saying where to.
    let body = b"<Error><Code>PermanentRedirect</Code><Message>Use another endpoint.</Message></Error>";
    front.treat_all(Treatment::Answer(Response::new(301, &[], body)));
    is_refused(&bucket, 2, &["`AWS_REGION`"]);
}

#[test]
fn plain_http_beyond_this_machine_is_refused() {
    let url = "s3://bucket".to_owned();
    let bucket = Bucket { url, variables: vec![("AWS_ENDPOINT_URL", "http://10.0.0.1:9000".to_owned())] };
    is_refused(&bucket, 2, &["plain http", "AWS_ALLOW_HTTP"]);
}

#[test]
fn a_url_that_is_none_is_a_problem_of_its_key() {
    for (staging, word) in [
        ("ftp://host/a", "kind of store"),
        ("{url: \"s3://bucket?sig=hidden\"}", "environment"),
        ("{url: \"s3://bucket/a\", path: ./staging}", "former name"),
        ("{path: \"\"}", "is empty"),
    ] {
        let bench = Workbench::with_pipeline(&format!(
            "name: shop\nsource: {{type: files, path: ./data}}\nstaging: {staging}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: append}}}}\n"
        ));
        let checked = bench.tidemark("check --offline pipeline.yaml").exits_with(2);
        assert!(checked.stderr.contains(word), "{}", checked.stderr);
    }
}
