//! What holds for any batch.

use proptest::{prelude::*, sample::subsequence};
use serde_json::json;
use tidemark_engine::{
    change::{Cell, ChangeBatch},
    contract::samples,
};

use super::*;

/// Every cell of `batch`, with what was before.
fn cells(batch: &ChangeBatch) -> Vec<String> {
    let mut cells = Vec::new();
    for row in 0..batch.rows() {
        for (index, field) in batch.schema().fields().iter().enumerate() {
            let before = batch.column_before(index).map_or(Cell::Unchanged, |column| column.cell(row));
            cells.push(format!("{} {:?} {before:?}", field.name, batch.column(index).cell(row)));
        }
    }
    cells
}

fn names() -> Vec<String> {
    samples::everything().schema().fields().iter().map(|field| field.name.clone()).collect()
}

fn key() -> Vec<String> {
    samples::everything().schema().key_names().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_selected_is_what_was_there(chosen in subsequence(names(), 0..=names().len()).prop_shuffle()) {
        let batch = samples::everything();
        let mut chosen = chosen;
        chosen.extend(key().into_iter().filter(|name| !names().is_empty() && !name.is_empty()));
        let mut seen = std::collections::HashSet::new();
        chosen.retain(|name| seen.insert(name.clone()));
        let selected = transforms(&json!([{"select": chosen}]), MIRROR).changes(batch.clone()).unwrap();
        prop_assert_eq!(selected.ordinals(), batch.ordinals());
        let dropped: Vec<_> = names().into_iter().filter(|name| !chosen.contains(name)).collect();
        let mut expected = cells(&batch);
        expected.retain(|cell| chosen.iter().any(|name| cell.starts_with(&format!("{name} "))));
        let mut found = cells(&selected);
        expected.sort();
        found.sort();
        prop_assert_eq!(&found, &expected);
        if !dropped.is_empty() {
            let left = transforms(&json!([{"drop": dropped}]), MIRROR).changes(batch).unwrap();
            let mut left = cells(&left);
            left.sort();
            prop_assert_eq!(left, expected);
        }
    }

    #[test]
    fn names_that_come_and_go_leave_nothing_behind(some in subsequence(names(), 1..=names().len())) {
        let batch = samples::everything();
        let there: serde_json::Map<_, _> = some.iter().map(|name| (name.clone(), json!(format!("new {name}")))).collect();
        let back: serde_json::Map<_, _> = some.iter().map(|name| (format!("new {name}"), json!(name))).collect();
        let renamed = transforms(&json!([{"rename": there}, {"rename": back}]), MIRROR).changes(batch.clone()).unwrap();
        prop_assert_eq!(cells(&renamed), cells(&batch));
        prop_assert_eq!(renamed.schema().digest(), batch.schema().digest());
    }

    #[test]
    fn ordinals_stay_with_their_changes(divisor in 1i64..9, first in 0u64..1000) {
        let rows = samples::numbered_rows("a", 0, 100);
        let ordinals = (0..100).map(|row| first + 3 * row).collect::<Vec<u64>>();
        let rows = rows.with_ordinals(ordinals.clone().into());
        let steps = json!([{"filter": format!("id % {divisor} == 0")}, {"add": {"double": {"expr": "id * 2", "type": "int64"}}}]);
        let made = transforms(&steps, MIRROR).changes(rows).unwrap();
        let expected: Vec<u64> = (0..100).filter(|row| row % divisor == 0).map(|row| ordinals[row as usize]).collect();
        prop_assert_eq!(made.ordinals().unwrap().values().to_vec(), expected);
    }

    #[test]
    fn halves_come_to_the_same_as_the_whole(cut in 0usize..=4) {
        let steps = json!([{"hash": {"columns": ["text"], "key": "0123456789abcdef"}}, {"filter": "true"}]);
        let (steps, batch) = (transforms(&steps, MIRROR), samples::everything());
        let whole = steps.changes(batch.clone()).unwrap();
        let mut halves = cells(&steps.changes(batch.slice(0, cut)).unwrap());
        halves.extend(cells(&steps.changes(batch.slice(cut, 4 - cut)).unwrap()));
        prop_assert_eq!(halves, cells(&whole));
    }
}

#[test]
fn no_steps_are_no_change() {
    let batch = samples::everything();
    let same = transforms(&json!([{"streams": ["no such stream"], "drop": ["x"]}]), MIRROR)
        .changes(batch.clone())
        .unwrap();
    assert_eq!(cells(&same), cells(&batch));
}

#[test]
fn every_kind_is_hashed_and_cast_to_text() {
    let batch = samples::everything();
    let key = key();
    let names: Vec<_> = names().into_iter().filter(|name| !key.contains(name)).collect();
    let casts: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), json!("text"))).collect();
    let texts = transforms(&json!([{"cast": casts}]), MIRROR).changes(batch.clone()).unwrap();
    for row in 0..batch.rows() {
        for index in 0..batch.schema().fields().len() {
            let text = |cell: Cell<'_>| match cell {
                Cell::Unchanged => "unchanged".to_owned(),
                Cell::Null => "null".to_owned(),
                Cell::Value(value) => value.to_string(),
                Cell::Exception(text) => text.to_owned(),
            };
            assert_eq!(text(texts.column(index).cell(row)), text(batch.column(index).cell(row)));
        }
    }
    transforms(&json!([{"hash": {"columns": names, "key": "0123456789abcdef"}}]), MIRROR)
        .changes(batch)
        .unwrap();
}
