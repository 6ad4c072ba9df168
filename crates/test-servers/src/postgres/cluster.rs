//! A server's folder: its data, its configuration, its log.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    PASSWORD, USER,
    programs::{as_owner, give_to_owner, program, run},
};
use crate::{certificates::write_certificates, guard::Guard, port};

const PATIENCE: Duration = Duration::from_secs(90);

/// What every server has. Generous, for many tests share one.
const SETTINGS: [(&str, &str); 7] = [
    ("listen_addresses", "127.0.0.1"),
    ("wal_level", "logical"),
    ("max_wal_senders", "50"),
    ("max_replication_slots", "50"),
    ("max_connections", "200"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
];

pub(super) struct Cluster {
    pub(super) folder: PathBuf,
    pub(super) port: u16,
}

impl Cluster {
    /// A new folder for a server with these settings besides its own.
    pub(super) fn make(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("tidemark-postgres-").tempdir().unwrap().keep();
        let cluster = Self { folder, port: 0 };
        fs::write(cluster.folder.join("password"), PASSWORD).unwrap();
        give_to_owner(&cluster.folder);
        cluster.initdb();
        let mut lines = String::new();
        let socket = [("unix_socket_directories", cluster.folder.to_str().unwrap())];
        for (name, value) in SETTINGS.iter().chain(&socket).chain(settings) {
            lines += &format!("{name} = '{}'\n", value.replace('\'', "''"));
        }
        cluster.append("postgresql.conf", &lines);
        cluster
    }

    pub(super) fn make_with_tls(names: &[&str]) -> Self {
        let cluster = Self::make(&[("ssl", "on")]);
        write_certificates(&cluster.folder, &cluster.data(), names);
        let rules = "local all all trust\nhostssl all all all scram-sha-256\n";
        fs::write(cluster.data().join("pg_hba.conf"), rules).unwrap();
        give_to_owner(&cluster.folder);
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The next start recovers from an archive without any files in it, which ends the timeline.
    pub(super) fn recover_from_archive(&self) {
        self.append("postgresql.conf", "restore_command = 'false'\n");
        fs::write(self.data().join("recovery.signal"), "").unwrap();
        give_to_owner(&self.folder);
    }

    /// A copy of the data, while the server is stopped.
    pub(super) fn back_up(&self) -> TempDir {
        let backup = tempfile::tempdir().unwrap();
        copy(&self.data(), &backup.path().join("data"));
        backup
    }

    /// Puts such a copy in the place of the data, while the server is stopped.
    pub(super) fn restore(&self, backup: &TempDir) {
        fs::remove_dir_all(self.data()).unwrap();
        copy(&backup.path().join("data"), &self.data());
    }

    fn append(&self, file: &str, lines: &str) {
        let file = self.data().join(file);
        let text = fs::read_to_string(&file).unwrap() + lines;
        fs::write(file, text).unwrap();
    }

    fn initdb(&self) {
        let words = owned(&["initdb"]);
        run(Command::new(&words[0])
            .args(&words[1..])
            .args(["--username", USER, "--auth-local=trust", "--auth-host=scram-sha-256"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"])
            .arg("--pwfile")
            .arg(self.folder.join("password"))
            .arg("--pgdata")
            .arg(self.data())
            .current_dir("/"));
    }

    /// Starts the server on a free port and waits until it takes connections.
    pub(super) fn start(&mut self) -> Guard {
        for _ in 0..10 {
            self.port = port::free();
            match self.try_start() {
                Ok(guard) => return guard,
                // Somebody was faster.
                Err(log) if log.contains("could not bind") => {}
                Err(log) => panic!("the PostgreSQL server did not start:\n{log}"),
            }
        }
        panic!("ten ports for a PostgreSQL server were all taken by others");
    }

    /// Starts the server on the port it had.
    pub(super) fn start_again(&self) -> Guard {
        self.try_start().unwrap_or_else(|log| panic!("the PostgreSQL server did not start again:\n{log}"))
    }

    /// Fails with the server's log. That, and not a connection, tells when the server is ready: a connection may reach another.
    fn try_start(&self) -> Result<Guard, String> {
        let file = self.folder.join("log");
        let log = File::create(&file).unwrap();
        let mut server = owned(&["postgres", "-D"]);
        server.extend([self.data().to_str().unwrap().to_owned(), "-p".to_owned(), self.port.to_string()]);
        let guard = Guard::start(&server, &self.folder, &log, "QUIT");
        let start = Instant::now();
        loop {
            let said = fs::read_to_string(&file).unwrap_or_default();
            if said.contains("ready to accept connections") {
                return Ok(guard);
            }
            if said.lines().any(is_fatal) || start.elapsed() > PATIENCE {
                guard.end("INT");
                return Err(said);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Copies a folder with its owners and rights.
fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").args([from, to]));
}

/// Whether a line of the log says that the server does not start. While it recovers it says so of those who come too early.
fn is_fatal(line: &str) -> bool {
    line.contains("FATAL:") && !line.contains("the database system is")
}

/// The command line of a program that runs as the data's owner.
fn owned(words: &[&str]) -> Vec<String> {
    let program = program(words[0]).to_str().unwrap().to_owned();
    let before = as_owner().iter().map(|word| (*word).to_owned());
    before.chain([program]).chain(words[1..].iter().map(|word| (*word).to_owned())).collect()
}
