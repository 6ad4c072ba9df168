//! `examples/http`, as they are.

use std::fs;

use tidemark_test_servers::{Cap, Postgres};

use super::{
    api::{Api, json, json_with},
    rows,
};
use crate::{rows::files_below, samples::examples, workbench::Workbench};

/// An example, allowed to reach this machine.
fn example(name: &str, variables: &[(&'static str, String)]) -> Workbench {
    let text = fs::read_to_string(examples("http").join(name)).unwrap();
    assert!(text.lines().count() <= 16, "{name}: at most fifteen lines of YAML below its comment");
    let allowed = match text.contains("allow_hosts") {
        true => text,
        false => text.replacen("type: http\n", "type: http\n  allow_hosts: [127.0.0.1]\n", 1),
    };
    Workbench::with_pipeline(&allowed).in_environment(variables)
}

fn once(bench: &Workbench) {
    bench.tidemark("run pipeline.yaml --once").succeeds();
}

#[test]
fn an_odata_service_becomes_a_table_in_postgres() {
    let (cap, postgres) = (Cap::start(1_000), Postgres::shared());
    let database = postgres.database();
    let variables = [("ODATA_URL", cap.url()), ("DATABASE_URL", database.url())];
    let bench = example("odata.yaml", &variables);
    once(&bench);
    cap.send("PATCH", "Orders('77')", "{\"price\": \"0.01\"}");
    cap.send("DELETE", "Orders('78')", "");
    once(&bench);
    let sums = "SELECT count(*), sum(price), sum(serial::numeric), pg_typeof(min(price)), pg_typeof(min(serial)) FROM \"Orders\"";
    // The service's own sum, less what was deleted, with what was changed; serial numbers lie above 2^53.
    let cents: u64 =
        (1..=1_000).filter(|id| *id != 77 && *id != 78).map(|id| 100 * id + id % 100).sum::<u64>() + 1;
    let serials: u128 = (1..=1_000).filter(|id| *id != 78).map(|id| (1_u128 << 53) + id).sum();
    let price = format!("{}.{:02}", cents / 100, cents % 100);
    let expected =
        ["999", &price, &serials.to_string(), "numeric", "bigint"].map(|text| Some(text.to_owned()));
    assert_eq!(database.query(sums), [expected]);
    assert!(!files_below(&bench.path("out/archive"), "parquet").is_empty());
}

#[test]
fn the_weather_now_is_kept_as_it_changes() {
    let api = Api::answering(|_| json("{}"));
    // As the documentation shows it, under "JSON Return Object" and "current".
    let weather = |time: &str, temperature: &str| {
        format!(
            "{{\"latitude\": 52.3, \"longitude\": 4.76, \"elevation\": -3.0, \"generationtime_ms\": 2.2119, \"utc_offset_seconds\": 0,
              \"timezone\": \"GMT\", \"timezone_abbreviation\": \"GMT\", \"current_units\": {{\"time\": \"iso8601\", \"temperature_2m\": \"°C\"}},
              \"current\": {{\"time\": \"{time}\", \"interval\": 900, \"temperature_2m\": {temperature}, \"wind_speed_10m\": 12.0}}}}"
        )
    };
    let bench = example("weather.yaml", &[("OPEN_METEO_URL", api.url())]);
    for (time, temperature) in
        [("2026-11-23T12:45", "6.9"), ("2026-11-23T13:00", "7.1"), ("2026-11-23T13:00", "7.1")]
    {
        let answer = weather(time, temperature);
        api.answers(move |asked| {
            assert_eq!((asked.path.as_str(), asked.parameter("latitude")), ("/forecast", "52.31"));
            json(&answer)
        });
        once(&bench);
    }
    let found = rows(
        &bench.path("out/weather.db"),
        "SELECT temperature_2m, wind_speed_10m FROM schiphol ORDER BY time",
    );
    assert_eq!(
        found,
        ["6.9 | 12.0", "7.1 | 12.0"],
        "what is not shown any more stays, and nothing comes twice"
    );
    let lines = files_below(&bench.path("out/archive"), "csv")
        .into_iter()
        .map(|file| fs::read_to_string(file).unwrap().lines().count() - 1);
    assert_eq!(lines.sum::<usize>(), 2);
}

#[test]
fn a_station_corrects_what_it_has_observed() {
    let observation = |minute: u32, temperature: &str| {
        let time = format!("2026-11-23T12:{minute:02}:00+00:00");
        let id = format!("https://api.weather.gov/stations/KJFK/observations/{time}");
        format!(
            "{{\"id\": \"{id}\", \"type\": \"Feature\", \"geometry\": {{\"type\": \"Point\", \"coordinates\": [-73.78, 40.63]}},
              \"properties\": {{\"@id\": \"{id}\", \"@type\": \"wx:ObservationStation\", \"station\": \"https://api.weather.gov/stations/KJFK\",
                \"timestamp\": \"{time}\", \"rawMessage\": \"KJFK 2312{minute}Z\",
                \"temperature\": {{\"unitCode\": \"wmoUnit:degC\", \"value\": {temperature}, \"qualityControl\": \"V\"}}}}}}"
        )
    };
    let collection = |features: &[String]| {
        format!("{{\"type\": \"FeatureCollection\", \"features\": [{}]}}", features.join(","))
    };
    let first = collection(&[observation(51, "6.1"), observation(46, "null")]);
    let second = collection(&[observation(56, "6.3"), observation(51, "6.2")]);
    let api = Api::answering(move |asked| {
        assert_eq!(asked.path, "/stations/KJFK/observations");
        assert_eq!(
            (asked.header("user-agent"), asked.header("accept")),
            ("(tidemark, me@example.com)", "application/geo+json")
        );
        match asked.parameter("start") {
            "" => json_with(&[("content-type", "application/geo+json")], &first),
            start => {
                // Two hours before the latest, for what comes late.
                assert_eq!(start, "2026-11-23T10:51:00Z");
                json(&second)
            }
        }
    });
    let bench = example("station.yaml", &[("NWS_URL", api.url()), ("CONTACT", "me@example.com".to_owned())]);
    once(&bench);
    once(&bench);
    let found = rows(
        &bench.path("out/station.db"),
        "SELECT rawMessage, temperature ->> '$.value' FROM observations ORDER BY timestamp",
    );
    assert_eq!(found, ["KJFK 231246Z | NULL", "KJFK 231251Z | 6.2", "KJFK 231256Z | 6.3"]);
}

#[test]
fn issues_come_page_by_page_and_then_as_they_change() {
    let api = Api::answering(|_| json("[]"));
    let url = api.url();
    let issue = |id: usize, state: &str, minute: usize| {
        format!(
            "{{\"id\": {}, \"number\": {id}, \"title\": \"Issue {id}\", \"state\": \"{state}\", \"user\": {{\"login\": \"octocat\"}},
              \"updated_at\": \"2026-11-23T12:{minute:02}:00Z\"}}",
            9_007_199_254_740_993 + id
        )
    };
    api.answers(move |asked| {
        assert_eq!((asked.header("authorization"), asked.header("user-agent")), ("Bearer abc", "tidemark"));
        if asked.path.ends_with("/releases") {
            return json("[{\"id\": 1, \"tag_name\": \"1.0\", \"draft\": false}]");
        }
        assert_eq!(asked.path, "/repos/rust-lang/rust/issues");
        match (asked.parameter("since"), asked.number("page").max(1)) {
            // As the documentation shows it: absolute links, several in one header.
            ("", page @ 1..=2) => {
                let link = |page: usize, rel: &str| {
                    format!("<{url}/repos/rust-lang/rust/issues?state=all&sort=updated&direction=asc&per_page=100&page={page}>; rel=\"{rel}\"")
                };
                let links = [link(page.max(2) - 1, "prev"), link(page + 1, "next"), link(3, "last")].join(", ");
                json_with(&[("link", &links)], format!("[{},{}]", issue(2 * page - 1, "open", page), issue(2 * page, "open", page)))
            }
            ("", _) => json(format!("[{}]", issue(5, "open", 3))),
            ("2026-11-23T12:03:00Z", _) => json(format!("[{},{}]", issue(5, "open", 3), issue(1, "closed", 4))),
            ("2026-11-23T12:04:00Z", _) => json(format!("[{}]", issue(1, "closed", 4))),
            (since, _) => panic!("since {since}"),
        }
    });
    let bench = example("github.yaml", &[("GITHUB_URL", api.url()), ("GITHUB_TOKEN", "abc".to_owned())]);
    for _ in 0..3 {
        once(&bench);
    }
    let database = bench.path("out/github.db");
    let found = rows(&database, "SELECT number, id, state FROM issues ORDER BY number");
    let id = |n: usize| 9_007_199_254_740_993 + n;
    let expected = (1..=5).map(|n| format!("{n} | {} | {}", id(n), if n == 1 { "closed" } else { "open" }));
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert_eq!(rows(&database, "SELECT tag_name FROM releases"), ["1.0"]);
    let lines = files_below(&bench.path("out/archive"), "jsonl")
        .into_iter()
        .map(|file| fs::read_to_string(file).unwrap().lines().count());
    assert_eq!(lines.sum::<usize>(), 5 + 1 + 1, "each as it was, and one change");
}
