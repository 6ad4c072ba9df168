//! What a filter makes of updates, deletes and truncates.

use serde_json::json;
use tidemark_engine::ErrorKind;

use super::*;

const NONE: Json = Json::Null;

fn large() -> Transforms {
    transforms(&json!([{"filter": "amount > 100"}]), MIRROR)
}

#[test]
fn records_that_match_stay_and_others_never_come() {
    for op in ["r", "c"] {
        let small = change(op, NONE, json!({"id": 1, "amount": 5}));
        assert_eq!(through(&large(), small).unwrap(), json!([]));
        let rich = change(op, NONE, json!({"id": 1, "amount": 500}));
        assert_eq!(through(&large(), rich).unwrap()[0], json!(op));
    }
}

#[test]
fn an_update_that_leaves_is_a_delete_and_one_that_comes_in_a_create() {
    let update = |was: i64, is: i64| {
        change("u", json!({"id": 1, "amount": was, "note": "x"}), json!({"id": 1, "amount": is}))
    };
    assert_eq!(
        through(&large(), update(500, 5)).unwrap(),
        json!(["d", {"id": 1, "amount": 500.0, "note": "x"}, null])
    );
    // What the update leaves as it is comes from what was.
    assert_eq!(
        through(&large(), update(5, 500)).unwrap(),
        json!(["c", null, {"id": 1, "amount": 500.0, "note": "x"}])
    );
    assert_eq!(through(&large(), update(5, 6)).unwrap(), json!([]));
    assert_eq!(through(&large(), update(500, 600)).unwrap()[0], json!("u"));
}

#[test]
fn where_nothing_is_known_of_before_a_mirror_still_comes_out_right() {
    let whole = |is: i64| change("u", NONE, json!({"id": 1, "amount": is}));
    assert_eq!(through(&large(), whole(5)).unwrap(), json!(["d", {"id": 1}, null]));
    assert_eq!(through(&large(), whole(500)).unwrap(), json!(["u", null, {"id": 1, "amount": 500.0}]));
    // It may be new there, and then nobody knows its note.
    let keyless = json!({"id": 1, "amount": 500});
    let part = change("u", json!({"id": 1, "note": "x"}), keyless.clone());
    assert_eq!(through(&large(), part).unwrap()[0], json!("u"), "the note is known from before");
    let mut example = example_without_note();
    example.after = keyless.as_object().cloned();
    let refused = through(&large(), example.changes().unwrap()).unwrap_err();
    assert_eq!((refused.row, refused.error.kind()), (Some(0), ErrorKind::Data));
    assert!(refused.error.message().contains("does not carry column `note`"), "{}", refused.error);
}

fn example_without_note() -> Example {
    Example {
        stream: StreamName::new("accounts"),
        key: vec!["id".to_owned()],
        types: [("note".to_owned(), "text".to_owned()), ("amount".to_owned(), "int64".to_owned())].into(),
        op: Op::Update,
        before: None,
        after: None,
    }
}

#[test]
fn deletes_go_where_the_record_may_be() {
    let delete = |was: Json| change("d", was, NONE);
    assert_eq!(through(&large(), delete(json!({"id": 1, "amount": 5}))).unwrap(), json!([]));
    assert_eq!(through(&large(), delete(json!({"id": 1, "amount": 500}))).unwrap()[0], json!("d"));
    assert_eq!(through(&large(), delete(json!({"id": 1}))).unwrap(), json!(["d", {"id": 1}, null]));
    assert_eq!(through(&large(), change("t", NONE, NONE)).unwrap(), json!(["t", null, null]));
}

#[test]
fn a_record_whose_key_moves_out_is_deleted_at_its_old_key() {
    let moved = change("u", json!({"id": 1, "amount": 500}), json!({"id": 2, "amount": 5}));
    assert_eq!(through(&large(), moved).unwrap(), json!(["d", {"id": 1, "amount": 500.0}, null]));
    let by_key = transforms(&json!([{"filter": "id < 10"}]), MIRROR);
    // The old key is known, and so it is known that the record was there.
    let moved = change("u", json!({"id": 1}), json!({"id": 20, "amount": 5}));
    assert_eq!(through(&by_key, moved).unwrap(), json!(["d", {"id": 1}, null]));
    let stays = change("u", NONE, json!({"id": 1}));
    assert_eq!(through(&by_key, stays).unwrap()[0], json!("u"));
}

#[test]
fn an_alert_is_about_changes() {
    let alert = transforms(
        &json!([{"filter": "op == 'd' || (op == 'u' && after.amount > before.amount * 2.0)"}]),
        APPEND,
    );
    let update = |is: i64| change("u", json!({"id": 1, "amount": 100}), json!({"id": 1, "amount": is}));
    assert_eq!(through(&alert, update(150)).unwrap(), json!([]));
    assert_eq!(through(&alert, update(250)).unwrap()[0], json!("u"));
    assert_eq!(through(&alert, change("c", NONE, json!({"id": 1, "amount": 100}))).unwrap(), json!([]));
    assert_eq!(through(&alert, change("d", json!({"id": 1, "amount": 100}), NONE)).unwrap()[0], json!("d"));
    // An update that does not match is not told: what was told before stays told.
    let rich = transforms(&json!([{"filter": "amount > 100"}]), APPEND);
    assert_eq!(through(&rich, update(50)).unwrap(), json!([]));
    let refused = through(&rich, change("d", json!({"id": 1}), NONE)).unwrap_err();
    assert!(refused.error.message().contains("needs column `amount`"), "{}", refused.error);
    let careful = transforms(&json!([{"filter": "has(row.amount) && row.amount > 100"}]), APPEND);
    assert_eq!(through(&careful, change("d", json!({"id": 1}), NONE)).unwrap(), json!([]));
}

#[test]
fn a_filter_of_records_asks_nothing_of_the_change() {
    for place in [MIRROR, Place::Staging] {
        let (path, message) = problem(&json!([{"filter": "op == 'd'"}]), place);
        assert_eq!(
            (path.as_str(), message.as_str()),
            ("0.filter", "`op` is about a change, and this `filter` is about records")
        );
    }
    transforms(&json!([{"filter": "op == 'd'"}]), APPEND);
}

#[test]
fn what_has_no_answer_is_an_error_without_values() {
    let message = |filter: &str, record: Json| {
        let refused = through(&transforms(&json!([{"filter": filter}]), MIRROR), change("c", NONE, record))
            .unwrap_err();
        assert_eq!((refused.row, refused.error.kind()), (Some(0), ErrorKind::Data));
        refused.error.to_string()
    };
    let null = message("amount > 1", json!({"id": 7351, "amount": null}));
    assert!(null.contains("null"), "{null}");
    assert!(message("amount", json!({"id": 7351, "amount": 1})).contains("not to true or false"));
    assert!(message("id / 0 > 1", json!({"id": 7351})).contains("divides by zero"));
    assert!(message("id * 9223372036854775807 > 1", json!({"id": 7351})).contains("too large"));
    let long = message("amount > 1", json!({"id": 7351, "amount": "12345678901234567.12"}));
    assert!(!long.contains("7351") && long.contains("15 digits") && !long.contains("1234"), "{long}");
    let text =
        transforms(&json!([{"cast": {"amount": "text"}}, {"filter": "amount == '9999999999.99'"}]), MIRROR);
    let record = json!({"id": 1, "amount": "9999999999.99"});
    assert_eq!(through(&text, change("c", NONE, record)).unwrap()[0], json!("c"));
}

#[test]
fn a_column_that_no_record_has_holds_the_stream() {
    let steps = transforms(&json!([{"filter": "amuont > 1"}]), MIRROR);
    let refused = through(&steps, change("c", NONE, json!({"id": 1}))).unwrap_err();
    assert_eq!(
        (refused.row, refused.error.kind(), refused.error.stream().is_some()),
        (None, ErrorKind::Config, true)
    );
    let elsewhere = transforms(&json!([{"streams": ["orders*"], "filter": "amuont > 1"}]), MIRROR);
    assert_eq!(through(&elsewhere, change("c", NONE, json!({"id": 1}))).unwrap()[0], json!("c"));
}
