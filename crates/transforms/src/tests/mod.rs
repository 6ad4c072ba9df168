//! What lists of steps make of changes.

mod filters;
mod laws;
mod verbs;

use serde_json::{Value as Json, json};
use tidemark_engine::{
    Result,
    change::{ChangeBatch, Op, Refused, Reshape},
    schema::StreamName,
    write::WriteMode,
};

use crate::{Example, Place, Shown, Step, Transforms};

const MIRROR: Place = Place::Destination { mode: WriteMode::Mirror, dead_letters: true };
const APPEND: Place = Place::Destination { mode: WriteMode::Append, dead_letters: true };

/// The steps in `steps`, at `place`.
fn transforms(steps: &Json, place: Place) -> Transforms {
    let steps: Vec<Step> = serde_json::from_value(steps.clone()).unwrap();
    Transforms::new(&steps, place).unwrap()
}

/// The first problem of the steps: where, and what.
fn problem(steps: &Json, place: Place) -> (String, String) {
    let steps: Vec<Step> = serde_json::from_value(steps.clone()).unwrap();
    let problems = Transforms::new(&steps, place).unwrap_err();
    (problems[0].path.join("."), problems[0].message.clone())
}

/// A change of stream `accounts`, whose key is `id`.
fn change(op: &str, before: Json, after: Json) -> ChangeBatch {
    let record = |json: Json| json.as_object().cloned();
    Example {
        stream: StreamName::new("accounts"),
        key: vec!["id".to_owned()],
        types: [("amount".to_owned(), "decimal(20,2)".to_owned())].into(),
        op: Op::from_letter(op.as_bytes()[0]).unwrap(),
        before: record(before),
        after: record(after),
    }
    .changes()
    .unwrap()
}

/// What comes of one change, as JSON: `[]`, or `[op, before, after]`.
fn through(transforms: &Transforms, changes: ChangeBatch) -> Result<Json, Refused> {
    let shown = Shown::all(&transforms.changes(changes)?)?;
    assert!(shown.len() <= 1);
    Ok(shown.into_iter().next().map_or(json!([]), |it| {
        let record = |record: Option<crate::Record>| record.map_or(Json::Null, Json::Object);
        json!([it.op.as_str(), record(it.before), record(it.after)])
    }))
}
