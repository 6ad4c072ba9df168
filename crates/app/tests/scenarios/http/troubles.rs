//! Servers that behave badly: nothing is taken for what it is not, and nothing is deleted for it.

use tidemark_test_servers::Response;

use super::{
    api::{Api, Asked, json, records},
    copied, pipeline,
};
use crate::{process::Outcome, workbench::Workbench};

const STREAM: &str =
    "    words: {path: /words, key: [id], records: $.words, paging: {type: link, next: $.next}}";

/// Thirty records on three pages that are linked.
fn page(asked: &Asked) -> Response {
    let at = asked.number("at").max(1);
    let next = if at < 3 { format!("\"/words?at={}\"", at + 1) } else { "null".to_owned() };
    json(format!("{{\"words\": [{}], \"next\": {next}}}", records(10 * at - 9..=10 * at)))
}

/// A copy of all thirty, and the API it came from.
fn copied_once() -> (Workbench, Api) {
    let api = Api::answering(page);
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), "  retry: {attempts: 2}", STREAM));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench, "SELECT count(*) FROM words"), ["30"]);
    (bench, api)
}

/// Fails, and leaves all thirty where they are.
fn is_refused(bench: &Workbench, words: &str) -> Outcome {
    let outcome = bench.tidemark("run pipeline.yaml --once");
    assert_ne!(outcome.code(), 0, "{words}");
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    assert_eq!(copied(bench, "SELECT count(*) FROM words"), ["30"], "{words}");
    outcome
}

/// Is tried again for as long as it lasts, and leaves all thirty where they are.
fn is_tried_again(bench: &Workbench, words: &str) {
    let running = bench.start("run pipeline.yaml --once");
    running.until_it_says(words);
    running.until_it_says("trying again");
    running.terminate();
    assert_eq!(copied(bench, "SELECT count(*) FROM words"), ["30"], "{words}");
}

#[test]
fn a_server_that_is_busy_in_mid_sweep_is_asked_again_when_it_says() {
    let mut busy = 2;
    let api = Api::answering(move |asked| match asked.number("at") {
        2 if busy > 0 => {
            busy -= 1;
            Response::new(429, &[("retry-after", "1")], b"slow down")
        }
        _ => page(asked),
    });
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), "", STREAM));
    let outcome = bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench, "SELECT count(*) FROM words"), ["30"], "{}", outcome.stderr);
    assert_eq!(api.asked()[..5], ["/words", "/words?at=2", "/words?at=2", "/words?at=2", "/words?at=3"]);
}

#[test]
fn a_page_to_log_in_is_no_empty_page() {
    let (bench, api) = copied_once();
    api.answers(|asked| match asked.number("at") {
        2 => Response::new(
            200,
            &[("content-type", "text/html")],
            b"<!DOCTYPE html><html>Log in, hunter2</html>",
        ),
        _ => page(asked),
    });
    let outcome = is_refused(&bench, "a web page, likely one to log in");
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
}

#[test]
fn a_page_that_ends_in_the_middle_is_no_short_page() {
    let (bench, api) = copied_once();
    // As a server does that is out of memory: a whole answer, as far as HTTP can tell.
    api.answers(|asked| match asked.number("at") {
        2 => json(format!("{{\"words\": [{}", records([4]))),
        _ => page(asked),
    });
    is_tried_again(&bench, "ends in the middle");
    // As a network does.
    api.answers(|asked| {
        let mut answer = page(asked);
        if asked.number("at") == 2 {
            answer.bytes.truncate(answer.bytes.len() - 20);
        }
        answer
    });
    is_tried_again(&bench, "words");
}

#[test]
fn pages_in_a_circle_end() {
    let (bench, api) = copied_once();
    api.answers(|asked| {
        let at = asked.number("at").max(1);
        json(format!("{{\"words\": [{}], \"next\": \"/words?at={}\"}}", records([at]), 2 + at % 4))
    });
    is_refused(&bench, "lead in a circle");
    api.answers(|asked| {
        json(format!("{{\"words\": [{}], \"next\": \"/words?at=2\"}}", records([asked.number("at")])))
    });
    is_refused(&bench, "is the same page");
}

#[test]
fn a_link_to_where_nobody_was_sent_is_not_followed() {
    let (bench, api) = copied_once();
    let inside = Api::answering(|_| json("{\"words\": []}"));
    for host in [format!("localhost:{}", inside.port()), "169.254.169.254".to_owned(), "10.0.0.1".to_owned()]
    {
        api.answers(move |_| json(format!("{{\"words\": [], \"next\": \"http://{host}/words?at=2\"}}")));
        is_refused(&bench, "allow_hosts");
    }
    assert_eq!(inside.asked(), [""; 0]);
}

#[test]
fn credentials_stay_with_their_server() {
    let other = Api::answering(|asked| {
        assert_eq!(asked.header("authorization"), "", "another server sees the token");
        json("{\"words\": []}")
    });
    let next = other.url();
    let api = Api::answering(move |asked| {
        assert_eq!(asked.header("authorization"), "Bearer abc");
        json(format!("{{\"words\": [{}], \"next\": \"{next}/words\"}}", records([1])))
    });
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), "  auth: {type: bearer, token: abc}", STREAM));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(!other.asked().is_empty());
}

#[test]
fn most_that_is_gone_at_once_is_a_mistake_until_a_person_says_otherwise() {
    let (bench, api) = copied_once();
    api.answers(|_| json("{\"words\": [], \"next\": null}"));
    is_refused(&bench, "max_deletes");
    let all = STREAM.replace("key: [id]", "key: [id], max_deletes: 100");
    bench.write("pipeline.yaml", &pipeline(&api.url(), "", &all));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench, "SELECT count(*) FROM words"), ["0"]);
}

#[test]
fn an_error_in_the_disguise_of_success_is_one() {
    let (bench, api) = copied_once();
    api.answers(|asked| match asked.number("at") {
        2 => json("{\"error\": {\"code\": \"quota\"}, \"words\": [], \"next\": null}"),
        _ => page(asked),
    });
    bench
        .write("pipeline.yaml", &pipeline(&api.url(), "  error_when: error\n  retry: {attempts: 1}", STREAM));
    is_tried_again(&bench, "`quota`");
    // What has no records where they should be is no answer without records.
    api.answers(|_| json("{\"message\": \"moved\"}"));
    is_refused(&bench, "has no `words`");
}

#[test]
fn a_look_says_what_there_is() {
    let (bench, api) = copied_once();
    bench.tidemark("check pipeline.yaml").succeeds();
    let sample = bench.tidemark("discover pipeline.yaml --sample").succeeds();
    assert!(sample.stdout.contains("words") && sample.stdout.contains("w2"), "{}", sample.stdout);
    api.answers(|_| json("{\"words\": [], \"next\": null}"));
    bench.tidemark("discover pipeline.yaml --sample").succeeds();
    let checked = bench.tidemark("check pipeline.yaml").succeeds();
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(said.contains("has no records now"), "{said}");
}

#[test]
fn an_answer_to_what_was_not_asked_is_none() {
    let (bench, api) = copied_once();
    // A cache in between says that nothing has changed.
    api.answers(|_| Response::new(304, &[], b""));
    is_refused(&bench, "is unchanged");
}
