//! An emulator as a process: on a free port, with a folder of its own.

use std::{
    fs::{self, File},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{guard::Guard, port};

const PATIENCE: Duration = Duration::from_secs(90);

/// Starts the server that `command` gives for a folder and a port, and waits until it says `ready`. It says `taken` when somebody
/// else was faster with the port.
pub(crate) fn start(
    name: &str,
    ready: &str,
    taken: &str,
    mut command: impl FnMut(&Path, u16) -> Vec<String>,
) -> (u16, Guard) {
    for _ in 0..10 {
        let port = port::free();
        let prefix = format!("tidemark-{name}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap().keep();
        let said = folder.join("log");
        let guard = Guard::start(&command(&folder, port), &folder, &File::create(&said).unwrap(), "KILL");
        let start = Instant::now();
        let log = loop {
            let log = fs::read_to_string(&said).unwrap_or_default();
            if log.contains(ready) {
                return (port, guard);
            }
            if log.contains(taken) || start.elapsed() > PATIENCE {
                break log;
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert!(log.contains(taken), "{name} did not start:\n{log}");
    }
    panic!("ten ports for {name} were all taken by others");
}
