//! What is staged, read by programs that nobody here wrote: each format is what it says, and holds the source row by row.

mod layout;
mod schema;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tidemark_test_servers::{Database, Postgres};

use crate::{
    rows::files_below,
    samples::{nycflights13, readers},
    workbench::Workbench,
};

/// Columns of the table, with how `state.py` and [`expected`] show them.
const COLUMNS: &str = "id:int n:int amount:decimal wide:decimal ratio:float day:date at:moment raw:bytes uid:uuid doc:text \
                       tags:list note:text";
const TABLE: &str = "CREATE TABLE things (id int PRIMARY KEY, n bigint, amount numeric(12,2), wide numeric(38,10),
    ratio float8, day date, at timestamptz, raw bytea, uid uuid, doc json, tags text[], note text);
ALTER TABLE things ALTER note SET STORAGE EXTERNAL;
INSERT INTO things SELECT i, 9007199254740993 + i, i * 1.01, i / 7.0, i / 10.0::float8, date '2013-01-01' + i,
    timestamptz '2013-01-01 05:00:00Z' + i * interval '1 hour 1 microsecond', decode(md5(i::text), 'hex'),
    md5(i::text)::uuid, ('{\"i\": ' || i || '.0}')::json, ARRAY['x' || i, NULL, ''], repeat(md5(i::text), 4)
    FROM generate_series(1, 6000) i;
INSERT INTO things (id) VALUES (-1);
INSERT INTO things VALUES
    (-2, -9223372036854775808, -0.05, -1234567890123456789012345678.0123456789, '-0', 'infinity', '9999-12-31 23:59:59.999999Z', '\\x', NULL,
     '{\"b\": 1.0, \"a\" :[null]}', '{}', E' a\\u0001\\r\\n\\t\"\\\\_x0041_<&>]]>\u{1F30A}\\uFFFE '),
    (-3, 0, 'NaN', 'NaN', 'NaN', '0001-01-01', '-infinity', '\\x00ff', NULL, '\"\"', ARRAY['<&>\"', E'\\r'], repeat('long', 2000)),
    (-4, 0, 0, 0, '-infinity', '-infinity', '0001-01-01 00:00:00Z', NULL, NULL, 'null', NULL, ''),
    (-5, 9223372036854775806, 1, 1, 1e300, '0044-03-15 BC', '1969-12-31 23:59:59.999999Z', NULL, NULL, '1e1', ARRAY[''], '_x005F_');";
/// One large transaction. The note of -3 is stored apart, and an update that does not change it does not carry it.
const CHANGES: &str = "BEGIN; UPDATE things SET n = n + 1; DELETE FROM things WHERE id % 10 = 0;
    UPDATE things SET note = NULL WHERE id % 10 = 1; COMMIT";

/// The rows of the table, as PostgreSQL has them.
fn expected(source: &Database<'_>) -> Vec<Value> {
    let rows = source.query(
        r#"SET TimeZone = 'UTC'; SELECT id, n, amount, wide, ratio,
            replace(day::text, '0044-03-15 BC', '-0043-03-15'),
            CASE WHEN isfinite(at) THEN regexp_replace(to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\.000000$', '') || 'Z' ELSE at::text END,
            encode(raw, 'hex'), uid, doc, to_json(tags), note FROM things ORDER BY id"#,
    );
    let columns: Vec<_> = COLUMNS.split(' ').map(|column| column.split_once(':').unwrap().1).collect();
    let cell = |(kind, value): (&&str, Option<String>)| match (*kind, value) {
        (_, None) => Value::Null,
        ("int", Some(text)) => json!(text.parse::<i64>().unwrap()),
        ("float", Some(text)) => json!(format!("{:016x}", text.parse::<f64>().unwrap().to_bits())),
        ("list", Some(text)) => serde_json::from_str(&text).unwrap(),
        (_, Some(text)) => json!(text),
    };
    rows.into_iter().map(|row| columns.iter().zip(row).map(cell).collect()).collect()
}

/// A table that has something of everything, staged in `format`: read whole, then changed.
fn is_read_by_others(format: &str, extension: &str) {
    let source = Postgres::shared().database();
    source.execute(TABLE);
    let bench = Workbench::with_pipeline(&format!(
        "name: {}
source: {{type: postgres, url: \"{}\", streams: [public.things]}}
staging: {{path: ./staging, format: {format}}}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: mirror}}}}
",
        source.name(),
        source.url()
    ));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let segments = || files_below(&bench.path("staging"), extension);
    compare(&state(format, &segments()), &expected(&source));
    let after_the_sync = segments().len();

    source.execute(CHANGES);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(segments().len() > after_the_sync, "so many changes stand in a segment");
    compare(&state(format, &segments()), &expected(&source));
    if format == "xml" {
        segments().iter().for_each(|segment| schema::validate(segment));
    }
}

fn compare(found: &[Value], expected: &[Value]) {
    found.iter().zip(expected).for_each(|(found, expected)| assert_eq!(found, expected));
    assert_eq!(found.len(), expected.len());
}

fn state(format: &str, segments: &[PathBuf]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/outside/state.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(format).args(COLUMNS.split(' ')).arg("--").args(segments);
    let printed = output(python.env("PYTHONPATH", readers()));
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a program prints that must succeed.
fn output(command: &mut Command) -> String {
    let run = command.stdin(Stdio::null()).output();
    let run = run.unwrap_or_else(|error| panic!("{command:?}: {error}: run `cargo xtask test --install`"));
    assert!(run.status.success(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn parquet_is_read_by_pyarrow() {
    is_read_by_others("parquet", "parquet");
}

#[test]
fn json_lines_are_read_by_zstd_and_jq() {
    is_read_by_others("jsonl", "zst");
}

#[test]
fn xml_is_read_by_a_stock_parser_and_valid() {
    is_read_by_others("xml", "zst");
}

#[test]
fn arrow_is_read_by_pyarrow() {
    is_read_by_others("arrow", "arrow");
}

/// DuckDB finds in the segments what it finds in the CSV file they were read from.
#[test]
fn parquet_and_json_lines_are_tables_to_duckdb() {
    let weather = nycflights13().join("weather.csv");
    for (format, segments) in [("parquet", "*.parquet"), ("jsonl", "*.jsonl.zst")] {
        let bench = Workbench::with_pipeline(&format!(
            "name: weather
source: {{type: files, path: {}, null_values: [NA, ''], streams: {{weather: {{files: weather.csv}}}}}}
staging: {{path: ./staging, format: {format}}}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: append}}}}
",
            weather.parent().unwrap().display()
        ));
        bench.tidemark("run pipeline.yaml --once").succeeds();
        let segments = bench.path("staging/weather/data/weather").join("*").join(segments);
        let script = format!(
            "import duckdb
columns = '''origin, year::int, month::int, day::int, hour::int, temp::double, dewp::double, humid::double, wind_dir::double,
    wind_speed::double, wind_gust::double, precip::double, pressure::double, visib::double, time_hour::timestamptz'''
csv = f\"SELECT {{columns}} FROM read_csv('{}', nullstr=['NA', ''])\"
staged = f\"SELECT {{columns}} FROM '{}'\"
for sql in [staged, f'{{csv}} EXCEPT ALL {{staged}}', f'{{staged}} EXCEPT ALL {{csv}}']:
    print(duckdb.sql(f'SELECT count(*) FROM ({{sql}})').fetchall()[0][0])
",
            weather.display(),
            segments.display()
        );
        let printed = output(Command::new("python3").args(["-c", &script]).env("PYTHONPATH", readers()));
        assert_eq!(printed, "26115\n0\n0\n", "{format}: rows, missing, unexpected");
    }
}
