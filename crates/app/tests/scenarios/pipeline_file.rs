//! What `tidemark check --offline` says of pipeline files, sound and broken.

use std::{fs, path::Path};

use crate::workbench::Workbench;

/// Checks `yaml` and returns what is printed for people.
fn problems(yaml: &str) -> String {
    let bench = Workbench::new();
    bench.write("pipeline.yaml", yaml);
    let ended = bench.tidemark_with(&[("REGION", "s3cret-region")], "check --offline pipeline.yaml");
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    ended.stderr
}

const SOUND: &str = "\
name: orders
source: {type: files, path: ./data}
trigger: {every: 15m}
destinations:
  copy: {type: sqlite, path: copy.db, write: append}
  archive: {type: files, path: \"${ARCHIVE:-archive}\", write: append, live: \"${LIVE}\"}
";

#[test]
fn a_sound_file() {
    let bench = Workbench::new();
    bench.write("conf/pipeline.yaml", &SOUND.replace("\"${LIVE}\"", "false"));
    let ended = bench.tidemark("check --offline conf/pipeline.yaml");
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ended.stdout);
    assert_eq!(bench.tidemark("check --offline --json conf/pipeline.yaml").stdout, "[]\n");
    assert_eq!(bench.tidemark("check --offline --quiet conf/pipeline.yaml").stdout, "");
}

#[test]
fn a_variable_may_stand_for_a_truth_value() {
    let bench = Workbench::new();
    let yaml = SOUND.replace(
        "  archive: {type: files, path: \"${ARCHIVE:-archive}\", write: append, live: \"${LIVE}\"}\n",
        "  archive:\n    type: files\n    path: ${ARCHIVE:-archive}\n    write: append\n    live: ${LIVE}\n",
    );
    bench.write("p.yaml", &yaml);
    let check = |live| bench.tidemark_with(&[("LIVE", live)], "check --offline p.yaml");
    assert!(check("false").stdout.contains("in replays alone"));
    let ended = check("s3cret");
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("must be `true` or `false`, not `${LIVE}`"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("s3cret"));
}

#[test]
fn every_problem_is_reported_at_once() {
    insta::assert_snapshot!(problems(BROKEN));
}

#[test]
fn problems_for_programs() {
    let bench = Workbench::new();
    bench.write("pipeline.yaml", BROKEN);
    let ended = bench.tidemark("check --offline --json pipeline.yaml");
    assert_eq!((ended.code(), ended.stderr.as_str()), (2, ""));
    insta::assert_snapshot!(ended.stdout);
}

const BROKEN: &str = r#"name: 2024/orders
source:
  type: files
  path: ./data
  poll: 5 seconds
  null_values: none
  streams:
    orders:
      fomat: csv
      format: xls
      delimiter: ab
      key: [id, 5]
staging: {path: "${NOT_SET}", memory: 1}
trigger:
  every: 15
triger: {every: 15m}
destinations:
  ware house:
    type: sqlit
    url: "postgres://app:hunter2@db/shop"
    wirte: mirror
    table: {stream}
  copy: {type: sqlite, path: copy.db, password: hunter2, write: mirorr}
  copy: {}
  archive:
    type: files
    path:
    live: "yes"
"#;

#[test]
fn problems_of_meaning() {
    insta::assert_snapshot!(problems(
        r#"name: orders
source: {type: files, path: ./data}
staging: {path: "s3://bucket/${REGION}", memory: 1KiB}
trigger: {every: 0s}
destinations:
  copy: {type: sqlite, path: "${REGION}.db", write: mirror}
  Copy: {type: sqlite, path: "./x/../${REGION}.db", write: append}
  loop: {type: files, path: data/, write: append, table: "{table}"}
  past: {type: sqlite, path: past.db, write: history}
  whole: {type: sqlite, path: whole.db, write: replace}
  kept: {type: files, path: kept, write: soft-delete}
"#
    ));
}

#[test]
fn problems_of_a_trigger() {
    let one = |trigger: &str| problems(&format!("{TRIGGERED}trigger: {trigger}\n"));
    insta::assert_snapshot!(
        [
            one("hourly"),
            one("{}"),
            one("{timezone: UTC}"),
            one(r#"{cron: "61 * * * *", timezone: Berlin}"#),
            one(r#"{cron: "0 0 30 2 *", timezone: Mars/Olympus}"#),
            one(r#"{cron: every hour}"#),
            one(r#"{webhook: {listen: 8091, path: trigger}}"#),
            one(r#"{webhook: {listen: "0.0.0.0:8091"}}"#),
            one(r#"{webhook: {listen: "127.0.0.1:8091", secret: ""}}"#),
        ]
        .join("----\n")
    );
}

const TRIGGERED: &str = "\
name: orders
source: {type: files, path: ./data}
destinations:
  past: {type: files, path: past, write: append}
";

#[test]
fn nothing_is_missed_in_an_empty_or_odd_file() {
    let one = |yaml| problems(yaml);
    insta::assert_snapshot!(
        [
            one(""),
            one("# only a comment\n"),
            one("- a list\n"),
            one("name: a\ndestinations: {}\n"),
            one("name: a\nsource:\ndestinations: [x]\n"),
        ]
        .join("----\n")
    );
}

#[test]
fn yaml_that_cannot_be_read() {
    let one = |yaml| problems(yaml);
    insta::assert_snapshot!(
        [
            one("name: [a\n"),
            one("name: orders\nsource: {path: ${REGION}, type: files}\n"),
            one("source:\n\ttype: files\n"),
            one("name: \"open\n"),
            one("name: a\n---\nname: b\n"),
            one("name: !secret a\n"),
            one("a: &a [x]\nb: [*a, *c]\n"),
        ]
        .join("----\n")
    );
}

#[test]
fn a_missing_file() {
    let ended = Workbench::new().tidemark("check --offline nothing.yaml");
    assert_eq!(ended.code(), 2);
    insta::assert_snapshot!(ended.stderr);
    let ended = Workbench::new().tidemark("check --offline --log-format json nothing.yaml");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_source_that_cannot_be_read() {
    let bench = Workbench::new();
    bench.write("p.yaml", &SOUND.replace("./data", "\"${DATA}\"").replace(", live: \"${LIVE}\"", ""));
    let check = |flags: &str| bench.tidemark_with(&[("DATA", "s3cret")], &format!("check {flags} p.yaml"));
    assert_eq!(check("--offline").code(), 0);
    let ended = check("");
    assert_eq!(ended.code(), 2);
    insta::assert_snapshot!(ended.stderr);
    bench.write("s3cret/orders.csv", "id\n1\n");
    assert_eq!(check("").code(), 0);
}

#[test]
fn the_schema_in_docs_is_what_the_program_prints() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pipeline.schema.json");
    let printed = Workbench::new().tidemark("schema").stdout;
    assert!(
        fs::read_to_string(docs).unwrap_or_default() == printed,
        "docs/pipeline.schema.json is stale; run: cargo run -q -p tidemark -- schema > docs/pipeline.schema.json"
    );
}
