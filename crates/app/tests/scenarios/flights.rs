//! Files to SQLite and Parquet, on real flights: caught up, kept in step, killed, replayed.

use std::{fs, time::Duration};

use crate::{
    growth::{Chance, Growth},
    process::pause,
    rows::{Csv, count_in_sqlite, files_below},
    samples::nycflights13,
    workbench::Workbench,
};

/// The next flight after those of the example, as it left on 11 January 2013.
const NEXT_FLIGHT: &str =
    "2013,1,11,453,500,-7,643,648,-5,US,1117,N177US,EWR,CLT,93,529,5,0,2013-01-11T10:00:00Z\n";
/// The first weather of February 2013.
const NEXT_WEATHER: &str =
    "EWR,2013,2,1,0,28.94,10.94,46.41,250,19.56326,23.0156,0,1009.6,10,2013-02-01T05:00:00Z\n";
const LAST_FILE: &str = "data/flights-2013-01-10.csv";

#[test]
fn the_example_arrives_whole_and_then_only_what_is_new() {
    let bench = Workbench::of_the_flights_example();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    all_destinations_equal_the_files(&bench);
    let flights = count_in_sqlite(&bench.path("out/flights.db"), "flights");
    assert_eq!((flights, staged(&bench, "flights")), (8_832, 8_832));

    let archive = files_below(&bench.path("out/archive"), "parquet");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(staged(&bench, "flights"), flights, "a second run found something new");
    assert_eq!(files_below(&bench.path("out/archive"), "parquet"), archive, "a second run wrote a file");

    bench.append(LAST_FILE, NEXT_FLIGHT);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(staged(&bench, "flights"), flights + 1);
    all_destinations_equal_the_files(&bench);
}

#[test]
fn a_whole_year_arrives_row_by_row_in_bounded_memory() {
    let year = nycflights13();
    let bench = Workbench::with_pipeline(&format!(
        r#"
name: year
source:
  type: files
  path: {}
  null_values: [NA, ""]
  streams:
    flights: {{files: flights.csv, key: [time_hour, carrier, flight], types: {{time_hour: timestamptz}}}}
    weather: {{files: weather.csv, key: [origin, time_hour], types: {{time_hour: timestamptz}}}}
    planes: {{files: planes.csv, key: [tailnum]}}
    airports: {{files: airports.csv, key: [faa]}}
staging: ./staging
destinations:
  database: {{type: sqlite, path: ./out/year.db, write: mirror}}
  archive: {{type: files, path: ./out/archive, format: parquet, write: append}}
"#,
        year.display()
    ));

    bench.tidemark("run pipeline.yaml --once").succeeds().stays_within(128 << 20);

    for (stream, rows) in [("flights", 336_776), ("weather", 26_115), ("planes", 3_322), ("airports", 1_458)]
    {
        let csv = Csv::read(&year, &format!("{stream}.csv"));
        assert_eq!(csv.len(), rows, "{stream}");
        csv.equals_sqlite(&bench.path("out/year.db"), stream);
        csv.equals_parquet(&bench.path("out/archive").join(stream));
    }
}

#[test]
fn it_stays_up_and_a_new_line_flows_until_it_is_asked_to_stop() {
    let bench = Workbench::of_the_flights_example();
    let database = bench.path("out/flights.db");
    let mut running = bench.start("run pipeline.yaml");
    running.until("all flights have arrived", || count_in_sqlite(&database, "flights") == 8_832);

    // A line without its end is not a line yet; the weather behind it shows that the source was read meanwhile.
    let (half, rest) = NEXT_FLIGHT.split_at(40);
    bench.append(LAST_FILE, half);
    bench.append("data/weather-2013-01.csv", NEXT_WEATHER);
    running.until("the next weather has arrived", || count_in_sqlite(&database, "weather") == 2_227);
    assert_eq!(count_in_sqlite(&database, "flights"), 8_832, "half a line arrived");
    bench.append(LAST_FILE, rest);
    running.until("the next flight has arrived", || count_in_sqlite(&database, "flights") == 8_833);

    running.terminate().succeeds();
    // Who is slower than the database may have been asked to stop before the last flight.
    bench.tidemark("run pipeline.yaml --once").succeeds();
    all_destinations_equal_the_files(&bench);
}

#[test]
fn killed_thirty_times_while_files_grow_it_loses_nothing_and_doubles_nothing() {
    let bench = Workbench::with_pipeline(
        r#"
name: killed
source:
  type: files
  path: ./data
  null_values: [NA, ""]
  poll: 20ms
  streams:
    flights: {files: "flights-*.csv", key: [time_hour, carrier, flight], types: {time_hour: timestamptz}}
staging: ./staging
destinations:
  mirror: {type: sqlite, path: ./out/mirror.db, write: mirror}
  changes: {type: sqlite, path: ./out/changes.db, write: append}
  archive: {type: files, path: ./out/archive, format: parquet, write: append, linger: 100ms}
"#,
    );
    let mut chance = Chance::from_the_environment();
    let mut growth = Growth::of_the_flights_example();

    for _ in 0..30 {
        let running = bench.start("run pipeline.yaml");
        for _ in 0..4 {
            growth.add_some(&bench, &mut chance);
            pause(Duration::from_millis(chance.below(120)));
        }
        running.kill().was_killed();
    }
    growth.add_the_rest(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();

    let flights = Csv::read(&bench.path("data"), "flights");
    assert_eq!(flights.len(), 8_832);
    flights.equals_sqlite(&bench.path("out/mirror.db"), "flights");
    flights.equals_sqlite(&bench.path("out/changes.db"), "flights");
    flights.equals_parquet(&bench.path("out/archive/flights"));
}

#[test]
fn a_second_run_says_who_is_running_and_leaves() {
    let bench = Workbench::of_the_flights_example();
    let mut first = bench.start("run pipeline.yaml");
    first.until("all flights have arrived", || {
        count_in_sqlite(&bench.path("out/flights.db"), "flights") == 8_832
    });

    let second = bench.tidemark("run pipeline.yaml --once").exits_with(2);
    let who = first.id().to_string();
    assert!(second.stderr.contains(&who), "it should name the process {who}:\n{}", second.stderr);

    first.terminate().succeeds();
}

#[test]
fn the_log_is_replayed_into_a_destination_that_was_not_there_before() {
    let bench = Workbench::of_the_flights_example();
    let history = bench.path("out/history.db");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&history, "flights"), 0, "`live: false` means that only a replay writes");

    // The log is enough: the source may be gone.
    let files = bench.path("files");
    fs::rename(bench.path("data"), &files).expect("the data can be moved away");
    for _ in ["it fills the destination", "it repeats nothing"] {
        bench.tidemark("replay pipeline.yaml --to history --from beginning").succeeds();
        for stream in ["flights", "weather", "airlines"] {
            Csv::read(&files, stream).equals_sqlite(&history, stream);
        }
    }
}

#[test]
fn programs_can_read_what_people_read() {
    let bench = Workbench::of_the_flights_example();
    bench.tidemark("run pipeline.yaml --once").succeeds();

    let status = bench.tidemark("status pipeline.yaml --json").succeeds().stdout;
    let status: serde_json::Value =
        serde_json::from_str(&status).expect("status --json is one JSON document");
    let destinations: Vec<_> = status["destinations"]
        .as_array()
        .expect("a list of destinations")
        .iter()
        .map(|one| {
            (one["name"].as_str(), one["live"].as_bool(), one["changes"].as_u64(), one["behind"].as_u64())
        })
        .collect();
    let all = 8_832 + 2_226 + 16;
    assert_eq!(
        destinations[..2],
        [
            (Some("database"), Some(true), Some(all), Some(0)),
            (Some("archive"), Some(true), Some(all), Some(0)),
        ]
    );
    assert_eq!(
        (destinations[2].0, destinations[2].1, destinations[2].2),
        (Some("history"), Some(false), Some(0))
    );

    let changes = bench.tidemark("changes pipeline.yaml --stream weather --json").succeeds().stdout;
    let changes: Vec<serde_json::Value> =
        changes.lines().map(|line| serde_json::from_str(line).expect("a JSON document a line")).collect();
    assert_eq!(changes.len(), 2_226);
    for change in changes {
        assert_eq!((change["stream"].as_str(), change["op"].as_str()), (Some("weather"), Some("r")));
    }
}

fn all_destinations_equal_the_files(bench: &Workbench) {
    for stream in ["flights", "weather", "airlines"] {
        let csv = Csv::read(&bench.path("data"), stream);
        csv.equals_sqlite(&bench.path("out/flights.db"), stream);
        csv.equals_parquet(&bench.path("out/archive").join(stream));
    }
}

/// How many changes of the stream are in the log.
fn staged(bench: &Workbench, stream: &str) -> usize {
    let changes = bench.tidemark(&format!("changes pipeline.yaml --stream {stream} --json")).succeeds();
    changes.stdout.lines().count()
}
