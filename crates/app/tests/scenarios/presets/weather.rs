//! The weather, by two services that show it to anybody.

use tidemark_test_servers::{Double, Nws, OpenMeteo};

use super::{COPY, rows};
use crate::workbench::Workbench;

#[test]
fn every_quarter_of_an_hour_that_open_meteo_shows_is_kept() {
    let double = Double::of(OpenMeteo::new());
    let bench = Workbench::with_pipeline(&format!(
        "name: weather
source:
  type: http
  preset: open-meteo
  url: {}/v1
  allow_private_addresses: true
  with: {{latitude: \"52.31\", longitude: \"4.76\", variables: \"temperature_2m,wind_speed_10m\"}}
  streams: {{now: {{}}}}
{COPY}",
        double.url()
    ));
    bench.tidemark("check pipeline.yaml").succeeds();
    double.trouble(|trouble| trouble.throttle_every = 3);
    for quarter in 0..6 {
        // Asked twice within one, it has nothing new to say.
        bench.tidemark("run pipeline.yaml --once").succeeds();
        bench.tidemark("run pipeline.yaml --once").succeeds();
        rows::equal(&bench, "now", "time", &double.with(|meteo| meteo.records()), &[]);
        double.with(|meteo| meteo.pass(f64::from(quarter) + 0.25));
    }
}

#[test]
fn observations_of_a_station_are_read_and_read_again_when_they_were_verified() {
    let double = Double::of(Nws::new());
    double.with(|nws| (0..30).for_each(|hour| nws.observe(f64::from(hour) / 2.0)));
    double.trouble(|trouble| trouble.throttle_every = 4);
    let bench = Workbench::with_pipeline(&format!(
        "name: weather
source:
  type: http
  preset: nws
  url: {}
  allow_private_addresses: true
  with: {{station: KJFK, contact: ops@example.com}}
  streams: {{observations: {{}}}}
{COPY}",
        double.url()
    ));
    bench.tidemark("check pipeline.yaml").succeeds();
    for hour in 0..4 {
        bench.tidemark("run pipeline.yaml --once").succeeds();
        let mut records = double.with(|nws| nws.records());
        for record in &mut records {
            record["timestamp"] = record["timestamp"].as_str().unwrap().replace("+00:00", "Z").into();
        }
        rows::equal(&bench, "observations", "@id", &records, &[]);
        double.with(|nws| {
            nws.verify_last();
            nws.observe(f64::from(hour));
        });
    }
}
