//! A server of NATS with JetStream.

use std::{fs, path::Path};

use crate::{
    clouds::tools::tool,
    restarted::{Recipe, Restarted},
};

/// A server that has on its disk what it has acknowledged, and takes messages of up to 1 MiB.
pub struct Nats(Restarted);

impl Nats {
    /// Starts one.
    pub fn start() -> Self {
        let recipe =
            Recipe { name: "nats", ready: "Server is ready", taken: "address already in use", command };
        Self(Restarted::start(recipe))
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.0.port())
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.0.end("KILL");
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

fn command(folder: &Path, port: u16) -> Vec<String> {
    let settings = folder.join("settings");
    // Left to itself it flushes every two minutes, and acknowledges at once.
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{store_dir: \"{}\", sync_interval: always}}\n",
        folder.join("store").display()
    );
    fs::write(&settings, text).unwrap();
    let program = tool("nats/bin/nats-server").display().to_string();
    vec![program, "-c".to_owned(), settings.display().to_string()]
}
