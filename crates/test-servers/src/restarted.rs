//! A server that a test stops, kills and starts again, on the port that it had and with what it had kept.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{guard::Guard, port};

const PATIENCE: Duration = Duration::from_secs(120);

/// How a server is started, and what it says then.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    /// What it says when it takes connections.
    pub(crate) ready: &'static str,
    /// What it says where somebody else was faster with the port.
    pub(crate) taken: &'static str,
    /// The program and its arguments, for a folder of its own and a port.
    pub(crate) command: fn(&Path, u16) -> Vec<String>,
}

/// The server.
pub(crate) struct Restarted {
    recipe: Recipe,
    folder: PathBuf,
    port: u16,
    running: Option<Guard>,
}

impl Restarted {
    pub(crate) fn start(recipe: Recipe) -> Self {
        for _ in 0..10 {
            let prefix = format!("tidemark-{}-", recipe.name);
            let folder = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap().keep();
            let port = port::free();
            match start(&recipe, &folder, port) {
                Ok(guard) => return Self { recipe, folder, port, running: Some(guard) },
                Err(log) if log.contains(recipe.taken) => {}
                Err(log) => panic!("{} did not start:\n{log}", recipe.name),
            }
        }
        panic!("ten ports for {} were all taken by others", recipe.name);
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps what it has.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends it by a signal, `TERM` or `KILL`; what it has kept stays.
    pub(crate) fn end(&mut self, signal: &str) {
        self.running.take().expect("the server runs").end(signal);
    }

    /// Starts it again.
    pub(crate) fn start_again(&mut self) {
        let guard = start(&self.recipe, &self.folder, self.port);
        self.running =
            Some(guard.unwrap_or_else(|log| panic!("{} did not start again:\n{log}", self.recipe.name)));
    }
}

/// Fails with the server's log.
fn start(recipe: &Recipe, folder: &Path, port: u16) -> Result<Guard, String> {
    let file = folder.join("log");
    let command = (recipe.command)(folder, port);
    let guard = Guard::start(&command, folder, &File::create(&file).unwrap(), "KILL");
    let start = Instant::now();
    loop {
        let said = fs::read(&file).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        if said.contains(recipe.ready) {
            return Ok(guard);
        }
        if said.contains(recipe.taken) || said.contains("not found") || start.elapsed() > PATIENCE {
            return Err(said);
        }
        thread::sleep(Duration::from_millis(10));
    }
}
