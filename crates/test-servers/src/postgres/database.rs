//! One test's database.

use std::{fmt::Write, thread};

use postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::{PASSWORD, Postgres, USER};
use crate::line::Line;

/// A database. Its replication slots go when it is dropped, its tables with the server.
pub struct Database<'s> {
    server: &'s Postgres,
    name: String,
}

impl<'s> Database<'s> {
    pub(super) fn new(server: &'s Postgres, name: String) -> Self {
        Self { server, name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is and how the superuser connects: `postgres://postgres:password@127.0.0.1:port/name`.
    pub fn url(&self) -> String {
        self.url_as(USER, PASSWORD)
    }

    /// The same for another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url_at(self.server.port(), user, password)
    }

    /// The same over a line to its server.
    pub fn url_over(&self, line: &Line) -> String {
        self.url_at(line.port(), USER, PASSWORD)
    }

    fn url_at(&self, port: u16, user: &str, password: &str) -> String {
        let (user, password) = (escaped(user), escaped(password));
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{}", self.name)
    }

    /// Runs `sql` as the superuser in a session of its own: one statement, or many in one transaction.
    pub fn execute(&self, sql: &str) {
        self.run(sql);
    }

    /// The rows of the last statement in `sql`, each value as PostgreSQL writes it; `None` for NULL.
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut rows = Vec::new();
        for message in self.run(sql) {
            match message {
                SimpleQueryMessage::RowDescription(_) => rows.clear(),
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
                }
                _ => {}
            }
        }
        rows
    }

    fn run(&self, sql: &str) -> Vec<SimpleQueryMessage> {
        // The blocking client brings a runtime of its own, which cannot run inside an asynchronous test's.
        thread::scope(|scope| {
            let session = scope.spawn(|| self.connect().simple_query(sql));
            session.join().unwrap().unwrap_or_else(|error| {
                let error = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
                panic!("{error}: {sql}")
            })
        })
    }

    fn connect(&self) -> Client {
        Config::new()
            .host_path(self.server.socket_folder())
            .port(self.server.port())
            .user(USER)
            .dbname(&self.name)
            .connect(NoTls)
            .unwrap()
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if self.name == "postgres" || thread::panicking() || self.server.running.lock().unwrap().is_none() {
            return;
        }
        // Slots are few, and each holds back the log of the whole server.
        let of_ours = "FROM pg_replication_slots WHERE database = current_database() AND NOT temporary";
        self.execute(&format!("SELECT pg_terminate_backend(active_pid, 5000) {of_ours} AND active"));
        self.execute(&format!("SELECT pg_drop_replication_slot(slot_name) {of_ours}"));
    }
}

/// `text` for a URL's user or password.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(byte.into()),
            _ => write!(url, "%{byte:02X}").unwrap(),
        }
        url
    })
}
