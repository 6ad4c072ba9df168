//! A destination is compared with its source, or with the staging log.

mod load;
mod planted;
mod staged;

use serde_json::Value as Json;

use crate::{process::Outcome, workbench::Workbench};

/// What `tidemark verify` found.
pub(super) struct Found(Json);

impl Found {
    /// Of a run that ends with `code`, with these arguments more.
    pub(super) fn of(bench: &Workbench, arguments: &str, code: i32) -> Self {
        let outcome = bench.tidemark(&format!("verify pipeline.yaml --json {arguments}")).exits_with(code);
        Self::printed(&outcome)
    }

    fn printed(outcome: &Outcome) -> Self {
        Self(serde_json::from_str(&outcome.stdout).unwrap())
    }

    /// A stream at a destination.
    pub(super) fn stream(&self, destination: &str, stream: &str) -> &Json {
        let named = |list: &'_ Json, key: &str, name: &str| {
            list.as_array()
                .unwrap()
                .iter()
                .position(|it| it[key] == name)
                .unwrap_or_else(|| panic!("{list:#}"))
        };
        let destinations = &self.0["destinations"];
        let streams = &destinations[named(destinations, "name", destination)]["streams"];
        &streams[named(streams, "stream", stream)]
    }

    /// Every stream of every destination was compared, is equal, and has this many rows in all.
    pub(super) fn assert_equal(&self, rows: u64) {
        let destinations = self.0["destinations"].as_array().unwrap();
        for destination in destinations.iter().filter(|it| it["compared"] == true) {
            let streams = destination["streams"].as_array().unwrap();
            assert!(streams.iter().all(|stream| stream["equal"] == true), "{:#}", self.0);
            let all: u64 = streams.iter().map(|stream| stream["rows"].as_u64().unwrap()).sum();
            assert_eq!(all, rows, "{:#}", self.0);
        }
        assert_eq!(self.0["equal"], true, "{:#}", self.0);
    }

    /// What differs in a stream at a destination: `missing id=1`, `different id=2 in a, b`; and whether it is confirmed.
    pub(super) fn differences(&self, destination: &str, stream: &str) -> (Vec<String>, bool) {
        let found = self.stream(destination, stream);
        let differences = found["differences"].as_array().unwrap().iter().map(|it| {
            let key = it["key"].as_object().unwrap().iter();
            let key: Vec<_> = key.map(|(name, text)| format!("{name}={}", text.as_str().unwrap())).collect();
            let columns: Vec<_> =
                it["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            let columns =
                if columns.is_empty() { String::new() } else { format!(" in {}", columns.join(", ")) };
            format!("{} {}{columns}", it["what"].as_str().unwrap(), key.join(" "))
        });
        (differences.collect(), found["confirmed"] == true)
    }
}
