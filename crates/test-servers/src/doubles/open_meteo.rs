//! The weather now at one place, by Open-Meteo.
//!
//! Written from "Weather Forecast API" and "Terms" (Open-Meteo).

use serde_json::{Value, json};

use super::{Service, call, call::Call};
use crate::http::Response;

/// The weather, quarter of an hour by quarter of an hour; the last one is now.
#[derive(Debug, Default)]
pub struct OpenMeteo {
    records: Vec<Value>,
}

impl OpenMeteo {
    /// The first quarter of an hour.
    pub fn new() -> Self {
        let mut meteo = Self::default();
        meteo.pass(2.5);
        meteo
    }

    /// A quarter of an hour passes, and it is so warm.
    pub fn pass(&mut self, temperature: f64) {
        let minutes = self.records.len() * 15;
        let time = format!("2024-06-{:02}T{:02}:{:02}", 1 + minutes / 1_440, minutes / 60 % 24, minutes % 60);
        self.records.push(json!({
            "time": time, "interval": 900, "temperature_2m": temperature, "wind_speed_10m": 11.9,
        }));
    }

    /// Everything that was shown, as the service showed it.
    pub fn records(&self) -> Vec<Value> {
        self.records.clone()
    }
}

impl Service for OpenMeteo {
    fn answer(&mut self, call: &Call<'_>) -> Response {
        let is_degrees = |name: &str| call.parameter(name).is_some_and(|text| text.parse::<f64>().is_ok());
        if call.path != "/v1/forecast" || !is_degrees("latitude") || !is_degrees("longitude") {
            let reason = "Parameter 'latitude' and 'longitude' must have the same number of elements";
            return call::json(400, &[], &json!({"error": true, "reason": reason}));
        }
        if call.parameter("current") != Some("temperature_2m,wind_speed_10m") {
            let reason = "Cannot initialize SurfacePressureAndHeightVariable from invalid String value";
            return call::json(400, &[], &json!({"error": true, "reason": reason}));
        }
        let body = json!({
            "latitude": 52.3, "longitude": 4.76, "elevation": -3.0, "generationtime_ms": 0.05, "utc_offset_seconds": 0,
            "timezone": "UTC", "timezone_abbreviation": "UTC",
            "current_units": {"time": "iso8601", "interval": "seconds", "temperature_2m": "°C", "wind_speed_10m": "km/h"},
            "current": self.records.last(),
        });
        call::json(200, &[], &body)
    }

    fn is_open(&self) -> bool {
        true
    }

    fn refuse(&self) -> Response {
        call::json(401, &[], &json!({"error": true, "reason": "API key required"}))
    }

    /// It does not say for how long.
    fn throttle(&self, _: (&str, &str)) -> Response {
        let reason = "Minutely API request limit exceeded. Please try again in one minute.";
        call::json(429, &[], &json!({"error": true, "reason": reason}))
    }
}
