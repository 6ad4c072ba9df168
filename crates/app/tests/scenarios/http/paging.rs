//! Ways to find the next page, and forms of answers.

use tidemark_test_servers::Response;

use super::{
    api::{Api, Asked, json, json_with, records},
    copied, pipeline,
};
use crate::workbench::Workbench;

/// How many records there are, and on a page.
const ALL: usize = 23;
const PAGE: usize = 5;

/// The numbers of the records behind so many, as many as a page has.
fn behind(skipped: usize) -> impl Iterator<Item = usize> {
    skipped + 1..=(skipped + PAGE).min(ALL)
}

/// Reads a stream with these `keys` from an API, into a bench.
fn read(keys: &str, answer: impl FnMut(&Asked) -> Response + Send + 'static) -> (Workbench, Api) {
    let api = Api::answering(answer);
    let stream = format!("    words: {{path: /words, key: [id], {keys}}}");
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), "", &stream));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    (bench, api)
}

fn assert_all(bench: &Workbench, way: &str) {
    let expected: Vec<_> = (1..=ALL).map(|n| format!("{n} | w{n}")).collect();
    assert_eq!(copied(bench, "SELECT id, word FROM words ORDER BY id"), expected, "{way}");
}

#[test]
fn pages_with_numbers_end_where_the_answer_says_so() {
    let page = |asked: &Asked| behind((asked.number("page") - 1) * PAGE);
    let (bench, api) = read("paging: {type: page}", move |asked| json(format!("[{}]", records(page(asked)))));
    assert_all(&bench, "an empty page");
    assert!(api.asked().contains(&"/words?page=6".to_owned()), "{:?}", api.asked());
    for (more, at_end) in [("more", "false"), ("pages", "5")] {
        let keys = format!("records: $.words, paging: {{type: page, more: $.{more}}}");
        let (bench, api) = read(&keys, move |asked| {
            let last = asked.number("page") == 5;
            let said = if more == "more" && !last { "true" } else { at_end };
            json(format!("{{\"words\": [{}], \"{more}\": {said}}}", records(page(asked))))
        });
        assert_all(&bench, more);
        assert!(!api.asked().contains(&"/words?page=6".to_owned()), "{:?}", api.asked());
    }
}

#[test]
fn records_are_skipped_as_many_as_have_come() {
    let keys = "records: $.words, paging: {type: offset, parameter: skip, more: $.total}";
    let (bench, api) = read(keys, |asked| {
        json(format!("{{\"words\": [{}], \"total\": {ALL}}}", records(behind(asked.number("skip")))))
    });
    assert_all(&bench, "an offset");
    assert_eq!(api.asked()[..3], ["/words", "/words?skip=5", "/words?skip=10"]);
}

#[test]
fn a_column_tells_where_the_next_page_begins() {
    let (bench, api) =
        read("query: {sort: id}, paging: {type: keyset, column: id, parameter: after}", |asked| {
            json(format!("[{}]", records(behind(asked.number("after")))))
        });
    assert_all(&bench, "a keyset");
    assert_eq!(api.asked()[1], "/words?sort=id&after=5");
    // Each is on its page whatever comes and goes, so one sweep is enough to see what is gone: the first, and the empty page behind it.
    let before = api.asked().len();
    api.answers(|asked| json(format!("[{}]", records(behind(asked.number("after")).filter(|n| *n != 7)))));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench, "SELECT count(*) FROM words WHERE id = 7"), ["0"]);
    assert_eq!(api.asked().len() - before, 6);
}

#[test]
fn tokens_come_in_answers_and_in_headers() {
    let next = |token: usize| (token + PAGE < ALL).then_some(token + PAGE);
    let (bench, api) =
        read("records: $.words, paging: {type: token, next: $.meta.next, parameter: cursor}", move |asked| {
            let at = asked.number("cursor");
            let meta = next(at).map_or_else(|| "{}".to_owned(), |next| format!("{{\"next\": \"{next}\"}}"));
            json(format!("{{\"words\": [{}], \"meta\": {meta}}}", records(behind(at))))
        });
    assert_all(&bench, "a token in the answer");
    assert_eq!(api.asked().last().unwrap(), "/words?cursor=20");

    // As tables of Azure have it: an empty page may have a next one.
    let keys = "paging: {type: header-token, headers: {NextRow: x-ms-continuation-NextRow, Part: x-ms-continuation-Part}}";
    let (bench, _) = read(keys, move |asked| match asked.number("NextRow") {
        0 => json_with(&[("x-ms-continuation-NextRow", "1"), ("x-ms-continuation-Part", "a b&c")], "[]"),
        row => {
            assert_eq!(asked.parameter("Part"), "a b&c");
            let after = next(row - 1).map(|next| (next + 1).to_string());
            let headers = after
                .as_deref()
                .map(|next| [("x-ms-continuation-NextRow", next), ("x-ms-continuation-Part", "a b&c")]);
            json_with(
                headers.as_ref().map_or(&[], |headers| &headers[..]),
                format!("[{}]", records(behind(row - 1))),
            )
        }
    });
    assert_all(&bench, "tokens in headers");
}

#[test]
fn a_body_asks_for_the_next_page() {
    let keys = "method: POST, records: $.words, paging: {type: token, next: $.next}, headers: {Content-Type: application/json}, \
                body: '{\"find\": {{ stream | json }}, \"after\": {{ token | json }}}'";
    let (bench, api) = read(keys, |asked| {
        assert_eq!((asked.method.as_str(), asked.header("content-type")), ("POST", "application/json"));
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(body["find"], "words");
        let after: usize = body["after"].as_str().unwrap().parse().unwrap_or(0);
        let next = if after + PAGE < ALL { format!("\"{}\"", after + PAGE) } else { "null".to_owned() };
        json(format!("{{\"words\": [{}], \"next\": {next}}}", records(behind(after))))
    });
    assert_all(&bench, "a body");
    assert!(api.asked().iter().all(|target| target == "/words"), "{:?}", api.asked());
}

#[test]
fn answers_are_lines_tables_and_elements_too() {
    let typed =
        |kind: &'static str, body: String| Response::new(200, &[("content-type", kind)], body.as_bytes());
    let (bench, _) = read("format: jsonl", move |_| {
        typed("application/x-ndjson", (1..=ALL).map(|n| records([n]) + "\n").collect())
    });
    assert_all(&bench, "JSON Lines");
    let (bench, _) = read("format: csv", move |_| {
        typed("text/csv", (1..=ALL).fold("id,word".to_owned(), |text, n| format!("{text}\n{n},\"w{n}\"")))
    });
    assert_all(&bench, "CSV without a last line break");
    let (bench, _) = read("format: xml, records: /feed/entry", move |_| {
        let entry = |n| format!("<entry><id>{n}</id><word>w{n}</word></entry>");
        typed("application/xml", format!("<feed>{}</feed>", (1..=ALL).map(entry).collect::<String>()))
    });
    assert_all(&bench, "XML");
}
