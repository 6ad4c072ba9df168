//! Every format in and out: what one pipeline writes, the next reads, and in the end all is as it was.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{rows::files_below, workbench::Workbench};

/// Text that is hard on a format, numbers beyond a float, nested JSON with its own spacing, NULL and absence.
const RECORDS: [&str; 4] = [
    r#"{"id":1,"text":"plain","amount":12345678901234567890.10,"tags":[1, 2,{"a":null}],"seen":true}"#,
    r#"{"id":2,"text":"comma, \"quote\" and\nline","amount":0.5,"tags":[],"seen":false}"#,
    r#"{"id":3,"text":"","amount":null,"tags":{"k":"v"},"seen":null}"#,
    r#"{"id":4,"text":"grüße \u0001 \u2028","amount":-1,"tags":null,"seen":true}"#,
];

#[test]
fn json_lines_become_every_format_and_come_back() {
    for format in ["parquet", "jsonl", "csv"] {
        let bench = Workbench::with_pipeline(&format!(
            r#"
name: out
source: {{type: files, path: ./in, streams: {{records: {{files: records.jsonl}}}}}}
destinations:
  archive: {{type: files, path: ./archive, format: {format}, write: append}}
  again: {{type: files, path: ./again, format: {format}, write: append, live: false}}
"#
        ));
        bench.write("in/records.jsonl", &(RECORDS.join("\n") + "\n"));
        bench.tidemark("run pipeline.yaml --once").succeeds();
        bench.tidemark("replay pipeline.yaml --to again").succeeds();

        // Read back what was written, by a second pipeline that knows the kinds which CSV cannot tell.
        let types =
            if format == "csv" { "\n      types: {amount: number, tags: json, text: text}" } else { "" };
        bench.write(
            "back.yaml",
            &format!(
                r#"
name: back
source:
  type: files
  path: ./archive
  streams:
    records:
      files: records/*.{format}
      exclude: [_tidemark_position, _tidemark_op, _tidemark_source_time, _tidemark_unchanged, _tidemark_exceptions]{types}
destinations:
  lines: {{type: files, path: ./back, format: jsonl, write: append}}
"#
            ),
        );
        bench.tidemark("run back.yaml --once").succeeds();
        let (back, expected) = (records(&bench, "back/records"), records(&bench, "in"));
        assert_eq!(back.len(), 4, "{format}");
        for (id, record) in &expected {
            for key in ["id", "text", "amount", "tags", "seen"] {
                assert_eq!(back[id][key], record[key], "{format}: {key} of record {id}");
            }
        }
    }
}

/// The records of all JSON Lines files below the folder, by `id`; values to the letter, texts without their quotes, for
/// Parquet has no other type for numbers of any size and for JSON.
fn records(bench: &Workbench, folder: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut records = BTreeMap::new();
    for file in files_below(&bench.path(folder), "jsonl") {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let values: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            let values = values.into_iter().map(|(key, value)| (key, plain(&value)));
            let values: BTreeMap<_, _> = values.collect();
            records.insert(values["id"].clone(), values);
        }
    }
    records
}

fn plain(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// Two texts are two keys, whatever they look like; a column of the key widens without merging or doubling a record.
#[test]
fn keys_that_look_alike_stay_apart() {
    let bench = Workbench::with_pipeline(
        r#"
name: keys
source: {type: files, path: ./in, streams: {prices: {key: [version]}, days: {key: [at]}}}
destinations: {copy: {type: sqlite, path: ./copy.db, write: mirror}}
"#,
    );
    bench.write("in/prices.csv", "version,name\n1,one\n1.1,two\n1.10,three\n");
    bench.write("in/days.csv", "at,name\n2013-01-01,one\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.append("in/days.csv", "2013-01-02 12:00:00,two\n2013-01-01,three\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();

    let copy = rusqlite::Connection::open(bench.path("copy.db")).unwrap();
    let rows = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let prices =
        rows("SELECT group_concat(version || '=' || name, ' ') FROM (SELECT * FROM prices ORDER BY name)");
    assert_eq!(prices, "1=one 1.10=three 1.1=two");
    let days = rows("SELECT group_concat(at || '=' || name, ' ') FROM (SELECT * FROM days ORDER BY name)");
    assert_eq!(days, "2013-01-01=three 2013-01-02 12:00:00=two");
}
