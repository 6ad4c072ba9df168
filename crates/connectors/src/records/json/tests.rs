use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::records::{Cell, Rows};

fn path(text: &str) -> RecordPath {
    text.parse().unwrap()
}

fn record(rows: &JsonRows, row: usize) -> BTreeMap<String, String> {
    let cells = rows.names().iter().enumerate().filter_map(|(column, name)| {
        let raw = match rows.cell(column, row) {
            Cell::Missing => return None,
            Cell::Null => "null",
            Cell::Value { raw, .. } => raw,
        };
        Some((name.clone(), raw.to_owned()))
    });
    cells.collect()
}

fn refusal(document: impl AsRef<[u8]>, at: &str) -> String {
    JsonCutter::default().records(document.as_ref(), &path(at), "page").unwrap_err().message().to_owned()
}

#[test]
fn records_stand_where_the_path_leads() {
    let count = |document: &str, at| {
        JsonCutter::default().records(document.as_bytes(), &path(at), "page").unwrap().len()
    };
    assert_eq!(count("{\"a\": 1}", "$"), 1);
    assert_eq!(count("[{\"a\": 1},\n {}]", "$"), 2);
    assert_eq!(count("[{\"a\": 1}, {}]", "$[*]"), 2);
    assert_eq!(count("{\"value\": []}", "$.value"), 0);
    assert_eq!(count("{\"value\": null, \"next\": 1}", "$.value"), 0);
    assert_eq!(count("{\"d\": [{\"items\": [{}]}, {\"items\": [{}, {}]}]}", "$.d[*].items"), 3);
    assert_eq!(count("\u{feff} {\"odd name\": {\"a\": 1}} ", "$['odd name']"), 1);
}

#[test]
fn lines_and_digits_are_kept() {
    let document = "{\n\"v\": [\n{\"a\": 12345678901234567890.10}, {\"a\": null},\n {\"b\": \"x\\ny\"}]}";
    let rows = JsonCutter::default().records(document.as_bytes(), &path("$.v"), "page").unwrap();
    assert_eq!((0..3).map(|row| rows.line(row)).collect::<Vec<_>>(), [3, 3, 4]);
    assert!(matches!(rows.cell(0, 0), Cell::Value { text: "12345678901234567890.10", .. }));
    assert_eq!((rows.cell(0, 1), rows.cell(0, 2)), (Cell::Null, Cell::Missing));
    assert!(matches!(rows.cell(1, 2), Cell::Value { text: "x\ny", .. }) && !rows.is_dense());
}

#[test]
fn what_is_not_sound_is_refused_and_leaves_nothing_behind() {
    assert_eq!(refusal(b"{\"a\": \"\xff\"}", "$"), "`page` is not UTF-8");
    assert_eq!(refusal("{\"a\": [1}", "$.a"), "`page` is not a JSON document (line 1, character 9)");
    assert_eq!(refusal("{\"a\": 1", "$"), "`page` is not a JSON document (line 1, character 7)");
    assert_eq!(refusal("{} {}", "$"), "`page` is not a JSON document (line 1, character 4)");
    assert_eq!(refusal("", "$"), "`page` is not a JSON document (line 1, character 0)");
    assert_eq!(
        refusal("{\"v\": [], \"v\": [{}]}", "$.v"),
        "`page` has a key twice in an object where `$['v']` leads"
    );
    assert_eq!(refusal("{\"a\": 1, \"a\": 2}", "$"), "the record on line 1 of `page` has the key `a` twice");
    assert_eq!(refusal("{\"error\": {}}", "$.v"), "`page` has no `v` where `$['v']` leads");
    assert_eq!(refusal("{\"v\": {}}", "$.v[*]"), "`page` has no array where `$['v'][*]` leads");
    assert_eq!(refusal("[]", "$.v"), "`page` has no object where `$['v']` leads");
    assert_eq!(refusal("[1]", "$"), "line 1 of `page` is not a JSON object (at character 1)");
    assert_eq!(refusal("5", "$"), "line 1 of `page` is not a JSON object (at character 1)");
    let deep = |depth| format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(JsonCutter::default().records(deep(63).as_bytes(), &path("$"), "page").unwrap().len(), 1);
    assert_eq!(refusal(deep(64), "$"), "`page` has values nested more than 64 deep");

    let mut cutter = JsonCutter::default();
    let mut rows = cutter.records(b"{\"a\": 1}", &path("$"), "page").unwrap();
    cutter.add(&mut rows, b"[{\"b\": 2, \"a\": 3}, {\"c\": 1, \"c\": 2}]", &path("$"), "page").unwrap_err();
    assert_eq!((rows.len(), rows.names(), rows.is_dense()), (1, &["a".to_owned()][..], true));
    assert_eq!(cutter.add(&mut rows, b"{\"a\": 3, \"d\": 4}", &path("$"), "page").unwrap(), 1);
    assert_eq!(record(&rows, 0), BTreeMap::from([("a".to_owned(), "1".to_owned())]));
    assert_eq!(record(&rows, 1).len(), 2);
}

#[test]
fn single_values_are_found_by_their_path() {
    let document = br#"{"@odata.nextLink": "a\/b?\u0026", "page": {"n": 17, "last": null}, "v": [1]}"#;
    let text = |at: &str| text_at(document, &path(at), "page").map_err(|error| error.message().to_owned());
    assert_eq!(text("$['@odata.nextLink']"), Ok(Some("a/b?&".to_owned())));
    assert_eq!(text("$.page.n"), Ok(Some("17".to_owned())));
    assert_eq!((text("$.page.last"), text("$.page.none"), text("$.none.n")), (Ok(None), Ok(None), Ok(None)));
    assert_eq!(text("$.v"), Err("`page` has no text or number at `$['v']`".to_owned()));
    assert_eq!(text("$.v[*]"), Err("`$['v'][*]` leads to many values, where one is meant".to_owned()));
    assert_eq!(value_at(document, &path("$.v"), "page", Passed::default()).unwrap(), Some("[1]"));
}

proptest! {
    /// However a document is written, and whatever stands beside its records.
    #[test]
    fn every_value_comes_back_to_the_letter(
        records in prop::collection::vec(
            prop::collection::btree_map(
                "[a-dé\"\\\\]{1,2}",
                "-?[1-9][0-9]{0,25}(\\.[0-9]{1,20})?|true|null|\"[a-z é\\[{]{0,5}(\\\\n|\\\\u00e9|\\\\\")?\"|\\[1, \\{\"a\" :1\\.0\\}\\]",
                0..5,
            ),
            0..12,
        ),
        space in "[ \n]{0,2}",
        key in "[a-z'\\\\ é.]{0,6}",
    ) {
        let object = |record: &BTreeMap<String, String>| {
            let pairs = record.iter().map(|(key, raw)| format!("{}{space}:{raw}{space}", serde_json::Value::from(key.as_str())));
            format!("{space}{{{}}}", pairs.collect::<Vec<_>>().join(","))
        };
        let items = records.iter().map(object).collect::<Vec<_>>().join(",");
        let quoted = serde_json::Value::from(key.as_str());
        let document = format!("{{\"beside-\": [{{}}], {quoted}:{space}[{items}{space}]}}");
        let at = path(&format!("$['{}']", key.replace('\\', "\\\\").replace('\'', "\\'")));
        let rows = JsonCutter::default().records(document.as_bytes(), &at, "page").unwrap();
        prop_assert_eq!(rows.len(), records.len());
        for (row, expected) in records.iter().enumerate() {
            prop_assert_eq!(&record(&rows, row), expected);
        }
        let raw = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&document).unwrap();
        prop_assert_eq!(value_at(document.as_bytes(), &at, "page", Passed::default()).unwrap(), raw.get(&key).map(|raw| raw.get()));
    }

    /// Of whatever is sent, nothing panics, and what is refused is refused whole.
    #[test]
    fn anything_is_read_or_refused(document in "[\\[\\]{}\",:a1\\\\ n]{0,40}", at in "\\$(\\.a|\\[\\*\\]){0,3}") {
        let outcome = JsonCutter::default().records(document.as_bytes(), &path(&at), "page");
        if serde_json::from_str::<&RawValue>(&document).is_err() {
            prop_assert!(outcome.is_err());
        }
    }

    /// What is read while it is gone over once is what a thorough reading finds, and most documents are read so.
    #[test]
    fn both_ways_of_reading_find_the_same(
        records in prop::collection::vec(
            prop::collection::btree_map(
                "[a-d]{1,2}|é|\"|\\\\",
                "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,3})?|true|null|\"[a-z é]{0,9}(\\\\n|\\\\ud800)?\"|\\[1, \\{\"a\" :\\[\\]\\}\\]",
                0..5,
            ),
            0..6,
        ),
        (before, behind) in ("(\"[a-c]\": [0-9n],){0,2}", "(,\n\"[a-c]\": (\"x\"|null|\\[\\]))?"),
        at in "\\$(\\.v|\\.v\\[\\*\\]|\\.none|\\[\\*\\])?",
        space in "[ \n]?",
    ) {
        let object = |record: &BTreeMap<String, String>| {
            let pairs = record.iter().map(|(key, raw)| format!("{}{space}:{raw}", serde_json::Value::from(key.as_str())));
            format!("{space}{{{}}}", pairs.collect::<Vec<_>>().join(","))
        };
        let items = records.iter().map(object).collect::<Vec<_>>().join(",");
        let text = format!("{{{before}\"v\":{space}[{items}{space}]{behind}}}");
        let at = path(&at);
        let document = Document::new(text.as_bytes(), "page").unwrap();
        let (mut once, mut thorough) = (JsonRows::default(), JsonRows::default());
        for rows in [&mut once, &mut thorough] {
            rows.add_text("text before");
            rows.add_text(&text);
        }
        let (mut once_cutter, mut cutter) = (JsonCutter::default(), JsonCutter::default());
        let is_read = once_cutter.read_at_once(&mut once, (&text, 11), &at).is_ok();
        let is_sound = cutter.read_thoroughly(&mut thorough, (document, 11), &at).is_ok();
        let is_plain = !text.contains('\\') && at.to_string() != "$";
        prop_assert!(is_sound || !is_read, "{}", text);
        prop_assert!(is_read || !is_sound || !is_plain, "{}", text);
        if is_read {
            once.name(&once_cutter.keys);
            thorough.name(&cutter.keys);
            prop_assert_eq!((once.names(), once.len()), (thorough.names(), thorough.len()));
            prop_assert_eq!(once.is_dense(), thorough.is_dense());
            for row in 0..once.len() {
                prop_assert_eq!(once.line(row), thorough.line(row));
                for column in 0..once.names().len() {
                    prop_assert_eq!(once.cell(column, row), thorough.cell(column, row));
                }
            }
        }
        for at in [at, path("$"), path("$.a"), path("$.v"), path("$.v.a"), path("$.none.b")] {
            for passed in [Passed::default(), once_cutter.passed].into_iter().take(1 + usize::from(is_read)) {
                let mut scan = Scan::past(&text, passed);
                if let Ok(found) = scan.find(at.steps()).and_then(|found| scan.end().map(|()| found)) {
                    prop_assert_eq!(document.value(&at).ok(), Some(found), "{} {}", text, at);
                }
            }
        }
    }
}
