//! Devices that publish their states.

use serde_json::json;
use tidemark_test_servers::Mosquitto;

use super::{
    POISON,
    lives::{Lives, Stream},
};

pub(super) const STREAM: Stream =
    Stream { name: "states", key: "device", columns: &["number", "word"], sampled_by: "number" };

const DEVICES: usize = 20;
/// How many messages a device publishes at once.
const MESSAGES: usize = 40;

/// The devices, their broker, and what they have published.
pub(super) struct Devices {
    broker: Mosquitto,
    lives: Lives,
}

impl Devices {
    /// They are silent still.
    pub(super) fn begin() -> Self {
        Self { broker: Mosquitto::start(), lives: Lives::new() }
    }

    /// The pipeline file's lines of it.
    pub(super) fn source(&self) -> String {
        let streams = format!("{{{}: {{topics: \"device/{{device}}/state\", key: [device]}}}}", STREAM.name);
        format!("name: devices\nsource: {{type: mqtt, url: \"{}\", streams: {streams}}}\n", self.broker.url())
    }

    /// Each publishes some states.
    pub(super) fn publish(&mut self, round: usize) {
        for device in 0..DEVICES {
            let states = (0..MESSAGES).map(|number| (round * MESSAGES + number, format!("w{}", number % 7)));
            self.tell(device, states.collect());
        }
    }

    /// One publishes what one destination refuses.
    pub(super) fn poison(&mut self) {
        self.tell(7, vec![(0, POISON.to_owned())]);
    }

    /// What was published.
    pub(super) fn lives(&self) -> Lives {
        self.lives.clone()
    }

    fn tell(&mut self, device: usize, states: Vec<(usize, String)>) {
        let name = format!("d{device}");
        let lines: Vec<_> =
            states.iter().map(|(number, word)| json!({"number": number, "word": word}).to_string()).collect();
        self.broker.publish_lines(&format!("device/{name}/state"), &lines);
        let states = states.into_iter().map(|(number, word)| format!("{number}\t{word}"));
        self.lives.entry(name).or_default().extend(states);
    }
}
