//! A fleet of devices, each message of which arrives once, whoever is killed meanwhile.

use std::{fmt::Write, time::Duration};

use tidemark_test_servers::Mosquitto;

use crate::{process::pause, rows::Csv, workbench::Workbench};

const DEVICES: usize = 50;
const MESSAGES: usize = 200;

fn pipeline(broker: &Mosquitto, version: &str) -> String {
    format!(
        "name: fleet
source:
  type: mqtt
  url: {}
  version: {version}
  streams:
    readings: {{topics: \"site/{{site}}/device/{{device}}/reading\"}}
staging: {{path: ./staging}}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: append}}
  archive: {{type: files, path: ./archive, write: append}}
",
        broker.url()
    )
}

/// What device `device` publishes, and the rows that should come of it.
fn readings(device: usize, rows: &mut String) -> (String, Vec<String>) {
    let (site, name) = (format!("s{}", device % 3), format!("d{device}"));
    let mut messages = Vec::new();
    for number in 0..MESSAGES {
        let (id, value) = (device * MESSAGES + number, (number % 7) as f64 / 4.0);
        let at = format!("2024-05-01T10:{:02}:{:02}Z", number / 60, number % 60);
        messages.push(format!(
            "{{\"id\": {id}, \"value\": {value:?}, \"at\": \"{at}\", \"word\": \"w{}\"}}",
            id % 11
        ));
        writeln!(rows, "{site},{name},{id},{value:?},{at},w{}", id % 11).unwrap();
    }
    (format!("site/{site}/device/{name}/reading"), messages)
}

fn each_message_arrives_once(version: &str) {
    let mut broker = Mosquitto::start();
    let bench = Workbench::with_pipeline(&pipeline(&broker, version));
    // The session begins with the first connection; what is published before is for nobody.
    bench.tidemark("run pipeline.yaml --once").succeeds();

    let mut rows = "site,device,id,value,at,word\n".to_owned();
    for round in 0..10 {
        let running = bench.start("run pipeline.yaml");
        for device in (0..DEVICES).filter(|device| device % 10 == round) {
            let (topic, messages) = readings(device, &mut rows);
            broker.publish_lines(&topic, &messages);
        }
        if round % 3 == 1 {
            broker.stop();
            broker.start_again();
        }
        pause(Duration::from_millis(40 * round as u64));
        running.kill().was_killed();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();

    bench.write("expected/readings.csv", &rows);
    let expected = Csv::read(&bench.path("expected"), "readings");
    assert_eq!(expected.len(), DEVICES * MESSAGES);
    expected.equals_sqlite(&bench.path("copy.db"), "readings");
    expected.equals_parquet(&bench.path("archive/readings"));
}

#[test]
fn each_message_of_version_5_arrives_once_whoever_is_killed() {
    each_message_arrives_once("5");
}

#[test]
fn each_message_of_version_3_1_1_arrives_once_whoever_is_killed() {
    each_message_arrives_once("3.1.1");
}
