//! What messages hold, and what becomes of those that hold something else.

use rusqlite::Connection;
use tidemark_test_servers::Mosquitto;

use crate::{rows::count_in_sqlite, workbench::Workbench};

fn pipeline(broker: &Mosquitto, invalid: &str) -> String {
    format!(
        "name: messages
source:
  type: mqtt
  url: {}
  streams:
    readings: {{topics: \"reading/{{device}}\"{invalid}}}
    logs: {{topics: \"log/{{device}}\", format: csv, columns: [level, text], metadata: [topic, content_type, user_properties]}}
    notes: {{topics: note/#, format: raw, metadata: [topic, retained, qos]}}
staging: {{path: ./staging}}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: append}}}}
",
        broker.url()
    )
}

fn begun(broker: &Mosquitto, invalid: &str) -> Workbench {
    let bench = Workbench::with_pipeline(&pipeline(broker, invalid));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench
}

/// The rows of a query, their cells as SQLite shows them.
fn rows(bench: &Workbench, query: &str) -> Vec<String> {
    let connection = Connection::open(bench.path("copy.db")).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let cell = |column| {
            Ok(match row.get_ref(column)? {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(value) => value.to_string(),
                rusqlite::types::ValueRef::Real(value) => value.to_string(),
                rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => {
                    String::from_utf8_lossy(text).into_owned()
                }
            })
        };
        Ok((0..columns).map(cell).collect::<rusqlite::Result<Vec<_>>>()?.join(" | "))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_format_arrives_with_what_was_asked_for_beside_it() {
    let broker = Mosquitto::start();
    let bench = begun(&broker, "");
    broker.publish("reading/7", b"[{\"v\": 12345678901234567890},\n {\"v\": 1}]", &[]);
    let properties =
        ["-D", "publish", "content-type", "text/csv", "-D", "publish", "user-property", "shift", "late"];
    broker.publish("log/a", b"warn,\"hot, very\"\ninfo,\n", &properties);
    broker.publish("note/x/y", "21,5 °C".as_bytes(), &["--qos", "0"]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(rows(&bench, "SELECT device, v FROM readings"), ["7 | 12345678901234567890", "7 | 1"]);
    assert_eq!(
        rows(
            &bench,
            "SELECT device, mqtt_topic, mqtt_content_type, mqtt_user_properties, level, text FROM logs"
        ),
        [
            "a | log/a | text/csv | [[\"shift\",\"late\"]] | warn | hot, very",
            "a | log/a | text/csv | [[\"shift\",\"late\"]] | info | NULL",
        ]
    );
    // By QoS 0 nothing waits for who is away.
    broker.publish("note/x/y", "22 °C".as_bytes(), &[]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(
        rows(&bench, "SELECT mqtt_topic, mqtt_retained, mqtt_qos, payload FROM notes"),
        ["note/x/y | 0 | 1 | 22 °C"]
    );
}

#[test]
fn the_example_runs() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mqtt/pipeline.yaml");
    let broker = Mosquitto::start();
    let pipeline = std::fs::read_to_string(example).unwrap().replace("mqtt://localhost:1883", &broker.url());
    let bench = Workbench::with_pipeline(&pipeline);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    broker.publish("site/north/device/7/reading", b"{\"value\": 21.5}", &[]);
    broker.publish("site/north/device/7/state", b"{\"on\": true}", &[]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for table in ["readings", "states"] {
        assert_eq!(count_in_sqlite(&bench.path("out/fleet.db"), table), 1);
    }
}

#[test]
fn what_is_retained_comes_once() {
    let broker = Mosquitto::start();
    broker.publish("note/kept", b"from before", &["--retain"]);
    let bench = begun(&broker, "");
    for _ in 0..2 {
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_eq!(rows(&bench, "SELECT mqtt_retained, payload FROM notes"), ["1 | from before"]);
    }
}

#[test]
fn a_message_that_is_not_valid_stops_the_pipeline_and_is_not_lost() {
    let broker = Mosquitto::start();
    let bench = begun(&broker, "");
    broker.publish("reading/1", b"{\"v\": 1}", &[]);
    broker.publish("reading/2", b"{\"secret\": 2", &[]);
    broker.publish("reading/3", b"{\"v\": 3}", &[]);
    for _ in 0..2 {
        let outcome = bench.tidemark("run pipeline.yaml --once").exits_with(1);
        assert!(
            outcome.stderr.contains("stream `readings`: `reading/2` is not a JSON document"),
            "{}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
    }
    // Whoever decides to keep such messages has all of them.
    bench.write("pipeline.yaml", &pipeline(&broker, ", invalid: readings_invalid"));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(rows(&bench, "SELECT device, v FROM readings ORDER BY v"), ["1 | 1", "3 | 3"]);
    assert_eq!(
        rows(&bench, "SELECT topic, payload, reason FROM readings_invalid"),
        ["reading/2 | {\"secret\": 2 | `reading/2` is not a JSON document (line 1, character 12)"]
    );
}
