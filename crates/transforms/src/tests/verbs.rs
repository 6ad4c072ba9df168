//! What each verb makes of a change.

use serde_json::json;
use tidemark_engine::ErrorKind;

use super::*;

const NONE: Json = Json::Null;

fn made(steps: Json, change: ChangeBatch) -> Json {
    through(&transforms(&steps, MIRROR), change).unwrap()
}

fn refused(steps: Json, place: Place, change: ChangeBatch) -> (ErrorKind, String) {
    let refused = through(&transforms(&steps, place), change).unwrap_err();
    (refused.error.kind(), refused.error.to_string())
}

fn record() -> ChangeBatch {
    change("c", NONE, json!({"id": 7, "name": "Ada", "amount": 12.5}))
}

#[test]
fn columns_are_chosen_left_out_and_renamed() {
    assert_eq!(made(json!([{"select": ["name", "id"]}]), record())[2], json!({"name": "Ada", "id": 7}));
    assert_eq!(made(json!([{"drop": ["amount", "ghost?"]}]), record())[2], json!({"id": 7, "name": "Ada"}));
    assert_eq!(
        made(json!([{"rename": {"id": "number", "name": "who"}}]), record())[2],
        json!({"number": 7, "who": "Ada", "amount": 12.5})
    );
    let swapped = made(json!([{"rename": {"id": "name", "name": "id"}}]), record());
    assert_eq!(swapped[2], json!({"name": 7, "id": "Ada", "amount": 12.5}));
}

#[test]
fn a_key_that_is_needed_is_kept() {
    for (steps, verb) in [(json!([{"drop": ["id"]}]), "drop"), (json!([{"select": ["name"]}]), "select")] {
        for place in [MIRROR, Place::Staging] {
            let (kind, message) = refused(steps.clone(), place, record());
            assert_eq!(kind, ErrorKind::Config);
            assert!(message.starts_with(&format!("`{verb}` takes away column `id`")), "{message}");
        }
        through(&transforms(&steps, APPEND), record()).unwrap();
    }
    let (kind, message) = refused(json!([{"mask": {"columns": ["id"]}}]), MIRROR, record());
    assert_eq!((kind, message.contains("tells apart")), (ErrorKind::Config, true));
    let hash = json!([{"hash": {"columns": ["id"], "key": "0123456789abcdef"}}]);
    assert_eq!(refused(hash.clone(), Place::Staging, record()).0, ErrorKind::Config);
    let schema = transforms(&hash, MIRROR).schema(record().schema()).unwrap();
    assert_eq!(schema.key_names(), ["id"]);
}

#[test]
fn a_misspelt_column_hides_nothing_and_is_told() {
    let (kind, message) = refused(json!([{"drop": ["pasword"]}]), MIRROR, record());
    assert_eq!(kind, ErrorKind::Config);
    assert_eq!(message, "`drop` names column `pasword`, which stream `accounts` does not have");
}

#[test]
fn values_are_hidden() {
    assert_eq!(made(json!([{"mask": {"columns": ["name"], "keep": 1}}]), record())[2]["name"], json!("**a"));
    // As short as what is kept: all of it is hidden.
    assert_eq!(
        made(json!([{"mask": {"columns": ["name"], "keep": 3, "with": "x"}}]), record())[2]["name"],
        json!("xxx")
    );
    let hash = json!([{"hash": {"columns": ["name", "id"], "key": "0123456789abcdef"}}]);
    // As `printf Ada | openssl dgst -sha256 -hmac 0123456789abcdef` has it.
    assert_eq!(made(hash.clone(), record())[2]["name"], json!(ADA));
    let update = change("u", json!({"id": 7, "name": "Ada"}), json!({"id": 8, "name": null}));
    let update = made(hash, update);
    assert_eq!((&update[1]["name"], &update[2]["name"]), (&json!(ADA), &NONE));
    assert_ne!(update[1]["id"], update[2]["id"]);
}

const ADA: &str = "9bc245ae8032d0b6c5fca2e91bbe82682c2e07656f8ebc09906bf20ee6825e25";

#[test]
fn kinds_change_and_values_do_not() {
    let cast = json!([{"cast": {"amount": "text", "id": "decimal(5,1)"}}]);
    assert_eq!(made(cast, record())[2], json!({"id": 7.0, "name": "Ada", "amount": "12.50"}));
    let (kind, message) = refused(json!([{"cast": {"amount": "int64"}}]), MIRROR, record());
    assert_eq!(kind, ErrorKind::Data);
    assert_eq!(message, "`cast` to int64 fails for column `amount`: a value would become another");
    assert!(
        refused(json!([{"cast": {"name": "date"}}]), MIRROR, record()).1.contains("does not fit exactly")
    );
    assert_eq!(problem(&json!([{"cast": {"id": "integer"}}]), MIRROR).0, "0.cast.id");
}

#[test]
fn columns_are_made_of_others() {
    let add = json!([{"add": {"total": {"expr": "amount * 2.0", "type": "decimal(12,2)"}, "label": "name + '!' + string(id)"}}]);
    assert_eq!(
        made(add.clone(), record())[2],
        json!({"id": 7, "name": "Ada", "amount": 12.5, "total": 25.0, "label": "Ada!7"})
    );
    // What is made of unchanged columns is unchanged, and before a change it is what it was.
    let update = change(
        "u",
        json!({"id": 7, "name": "Ada", "amount": 1}),
        json!({"id": 7, "amount": 2, "name": "Bob"}),
    );
    assert_eq!(
        made(add.clone(), update)[1],
        json!({"id": 7, "name": "Ada", "amount": 1.0, "total": 2.0, "label": "Ada!7"})
    );
    let delete = change("d", json!({"id": 7, "name": "Ada"}), NONE);
    assert_eq!(made(add, delete)[1], json!({"id": 7, "name": "Ada", "label": "Ada!7"}));
    let (kind, message) = refused(json!([{"add": {"name": "'x'"}}]), MIRROR, record());
    assert_eq!((kind, message.contains("which stream `accounts` has")), (ErrorKind::Config, true));
    assert!(
        refused(json!([{"add": {"n": {"expr": "name", "type": "int64"}}}]), MIRROR, record())
            .1
            .contains("does not fit int64")
    );
}

#[test]
fn members_of_objects_become_columns() {
    let object = r#"{"city": "Zürich", "zip": 8001, "geo": {"lat": 47.40}, "none": null}"#;
    let change = change("c", NONE, json!({"id": 1, "address": object}));
    let flatten = json!([{"flatten": {"address": {"city": "text", "zip": "int32", "geo": "json", "none": "text", "ghost": "text"}}}, {"drop": ["address"]}]);
    let shown = made(flatten.clone(), change);
    assert_eq!(
        shown[2],
        json!({
            "id": 1, "amount": null, "address_city": "Zürich", "address_zip": 8001, "address_geo": {"lat": 47.40},
            "address_none": null, "address_ghost": null
        })
        .as_object()
        .map(|object| {
            let mut object = object.clone();
            object.shift_remove("amount");
            Json::Object(object)
        })
        .unwrap()
    );
    let (kind, message) =
        refused(flatten, MIRROR, super::change("c", NONE, json!({"id": 1, "address": "nowhere"})));
    assert_eq!((kind, message.contains("is no JSON object")), (ErrorKind::Data, true));
}

#[test]
fn rules_warn_refuse_and_fail() {
    let rule = |on_fail: &str| json!([{"quality": [{"name": "named", "expr": "name != 'Ada'", "on_fail": on_fail}]}]);
    assert_eq!(made(rule("warn"), record())[0], json!("c"));
    let refuse = |on_fail: &str| through(&transforms(&rule(on_fail), MIRROR), record()).unwrap_err();
    let letter = refuse("dead-letter");
    assert_eq!(
        (letter.row, letter.error.message()),
        (Some(0), "a record of stream `accounts` breaks rule `named`")
    );
    let fail = refuse("fail");
    assert_eq!((fail.row, fail.error.stream().is_some()), (None, true));
    assert_eq!(problem(&rule("dead-letter"), Place::Staging).0, "0.quality.0.on_fail");
    let mute = Place::Destination { mode: WriteMode::Mirror, dead_letters: false };
    assert_eq!(problem(&rule("dead-letter"), mute).1, "the destination keeps no dead letters");
    // A record that is gone breaks no rule.
    assert_eq!(made(rule("fail"), change("d", json!({"id": 1, "name": "Ada"}), NONE))[0], json!("d"));
}

#[test]
fn a_step_has_one_verb() {
    assert_eq!(problem(&json!([{}]), MIRROR).1, "a step has no verb");
    assert_eq!(
        problem(&json!([{"drop": ["a"], "filter": "true"}]), MIRROR).1,
        "a step has more than one verb"
    );
    assert_eq!(problem(&json!([{"filter": "a +"}]), MIRROR).0, "0.filter");
    assert_eq!(problem(&json!([{"hash": {"columns": ["a"], "key": "short"}}]), MIRROR).0, "0.hash.key");
    assert_eq!(problem(&json!([{"encrypt": {"columns": ["a"], "key": "short"}}]), MIRROR).0, "0.encrypt.key");
}
