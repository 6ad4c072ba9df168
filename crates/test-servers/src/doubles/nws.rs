//! The observations of a station, by the National Weather Service of the United States.
//!
//! Written from "API Web Service" and its OpenAPI document (National Weather Service).

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::http::Response;

/// The station `KJFK`.
#[derive(Debug, Default)]
pub struct Nws {
    observations: Vec<Value>,
}

impl Nws {
    /// No observations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Observes so many degrees, an hour after the last time.
    pub fn observe(&mut self, degrees: f64) {
        let hours = self.observations.len();
        let time = format!("2024-07-{:02}T{:02}:51:00+00:00", 1 + hours / 24, hours % 24);
        self.observations.push(json!({
            "@id": format!("https://api.weather.gov/stations/KJFK/observations/{time}"), "@type": "wx:ObservationStation",
            "elevation": {"unitCode": "wmoUnit:m", "value": 7}, "station": "https://api.weather.gov/stations/KJFK",
            "timestamp": time, "rawMessage": "", "textDescription": "Clear",
            "temperature": {"unitCode": "wmoUnit:degC", "value": degrees, "qualityControl": "Z"},
        }));
    }

    /// Looks at the last observation again, which may then have another quality.
    pub fn verify_last(&mut self) {
        if let Some(last) = self.observations.last_mut() {
            last["temperature"]["qualityControl"] = json!("V");
        }
    }

    /// All observations, as the service shows their properties.
    pub fn records(&self) -> Vec<Value> {
        self.observations.clone()
    }
}

impl Service for Nws {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        if call.header("user-agent").is_none_or(str::is_empty) {
            return call::json(403, &[], &json!({"title": "Forbidden", "detail": "No User-Agent"}));
        }
        if call.path != "/stations/KJFK/observations" {
            return call::json(404, &[], &json!({"title": "Not Found", "status": 404}));
        }
        let start = call.parameter("start").unwrap_or_default().trim_end_matches('Z').to_owned();
        // The newest comes first.
        let found = self.observations.iter().rev().filter(|observation| {
            observation["timestamp"]
                .as_str()
                .is_some_and(|time| time.trim_end_matches("+00:00") >= start.as_str())
        });
        let feature = |properties: &Value| {
            let geometry = json!({"type": "Point", "coordinates": [-73.76, 40.63]});
            json!({"id": properties["@id"], "type": "Feature", "geometry": geometry, "properties": properties})
        };
        let features = found.map(feature).collect::<Vec<_>>();
        let headers = [("content-type", "application/geo+json")];
        let body = json!({"@context": [], "type": "FeatureCollection", "features": features});
        Response::new(200, &headers, body.to_string().as_bytes())
    }

    fn is_open(&self) -> bool {
        true
    }

    fn refuse(&self) -> Response {
        call::json(403, &[], &json!({"title": "Forbidden"}))
    }

    fn throttle(&self, wait: (&str, &str)) -> Response {
        call::json(503, &[wait], &json!({"title": "Service Unavailable", "status": 503}))
    }
}
