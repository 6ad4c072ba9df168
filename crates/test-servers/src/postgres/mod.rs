//! PostgreSQL.

mod cluster;
mod database;
mod programs;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;

use crate::{certificates::CA_CERTIFICATE, guard::Guard};
use cluster::Cluster;
pub use database::Database;
use programs::program;

/// The superuser of every server.
const USER: &str = "postgres";
const PASSWORD: &str = "tide mark/%1";

/// A PostgreSQL server that is ready for logical replication. Over TCP it asks for a password (SCRAM).
pub struct Postgres {
    cluster: Cluster,
    running: Mutex<Option<Guard>>,
    databases: AtomicU32,
}

impl Postgres {
    /// The server that the tests of this process share; each takes a database of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own, to be stopped and killed at will.
    pub fn start() -> Self {
        Self::with_settings(&[])
    }

    /// A server of one's own with these lines in its `postgresql.conf`.
    pub fn with_settings(settings: &[(&str, &str)]) -> Self {
        Self::run(Cluster::make(settings))
    }

    /// A server of one's own that takes TCP connections with TLS only. Its certificate is for `names` (`localhost`, an IP
    /// address) and signed by an authority of its own: [`ca_certificate`](Self::ca_certificate).
    pub fn with_tls(names: &[&str]) -> Self {
        Self::run(Cluster::make_with_tls(names))
    }

    fn run(mut cluster: Cluster) -> Self {
        let guard = cluster.start();
        Self { cluster, running: Mutex::new(Some(guard)), databases: AtomicU32::new(0) }
    }

    /// The port it listens on, at 127.0.0.1. It stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.cluster.port
    }

    /// The certificate of the authority that signed a TLS server's own.
    pub fn ca_certificate(&self) -> PathBuf {
        self.cluster.folder.join(CA_CERTIFICATE)
    }

    /// Ends every session and shuts down in good order. The data stays.
    pub fn stop(&self) {
        self.end("INT");
    }

    /// Ends at once, as if the machine had lost power. The data stays; the next start recovers it.
    pub fn kill(&self) {
        self.end("QUIT");
    }

    /// Starts again on the same port, after a [`stop`](Self::stop) if it still runs.
    pub fn restart(&self) {
        self.stop();
        let mut running = self.running.lock().unwrap();
        *running = Some(self.cluster.start_again());
    }

    /// Stops and goes on as a standby does that is made the primary: the same data, on the next timeline.
    pub fn fail_over(&self) {
        self.stop();
        self.cluster.recover_from_archive();
        self.restart();
    }

    /// Has everything written to disk that has been changed so far.
    pub fn checkpoint(&self) {
        self.maintenance().execute("CHECKPOINT");
    }

    /// A copy of the server's data as it is, to be put back by [`restore`](Self::restore). The server is restarted for it.
    pub fn back_up(&self) -> TempDir {
        self.stop();
        let backup = self.cluster.back_up();
        self.restart();
        backup
    }

    /// Puts an older copy in the place of the server's data, and starts it: what happened since has never been.
    pub fn restore(&self, backup: &TempDir) {
        self.stop();
        self.cluster.restore(backup);
        self.restart();
    }

    fn end(&self, signal: &str) {
        if let Some(guard) = self.running.lock().unwrap().take() {
            guard.end(signal);
        }
    }

    /// A new, empty database.
    pub fn database(&self) -> Database<'_> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.maintenance().execute(&format!("CREATE DATABASE {name}"));
        Database::new(self, name)
    }

    /// The database that is always there.
    fn maintenance(&self) -> Database<'_> {
        Database::new(self, "postgres".to_owned())
    }

    /// The path of one of PostgreSQL's programs: `psql`, `pg_recvlogical`, `pgbench`.
    pub fn program(name: &str) -> PathBuf {
        program(name)
    }

    /// Where its Unix socket is: connections through it are trusted.
    fn socket_folder(&self) -> &Path {
        &self.cluster.folder
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.running.get_mut().is_ok_and(|running| running.take().is_none()) {
            // Nobody guards the folder of a stopped server.
            drop(std::fs::remove_dir_all(&self.cluster.folder));
        }
    }
}
