//! A session: one logged-in connection on which statements run.

use std::{
    future::{Future, poll_fn},
    ops::{Deref, DerefMut},
};

use tidemark_engine::{Error, Result};
use tokio::{io::Empty, task::JoinHandle};
use tokio_postgres::{Client, Connection, tls::TlsStream};

use super::{
    Server, ServerReport, Transport, UNLIMITED_SINCE_14, buffered::Buffered, failure, transport::Opened,
};

/// A session. Dropping it ends it, with whatever it was doing.
pub(in crate::postgres) struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Server {
    /// Logs in for `purpose` (one or two words, which the server shows beside our name).
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] where the server is not the one that was meant or the database does
    /// not exist, with [`Denied`](tidemark_engine::ErrorKind::Denied) where we are not let in, and otherwise with
    /// [`Unavailable`](tidemark_engine::ErrorKind::Unavailable).
    pub(in crate::postgres) async fn connect(&self, purpose: &str) -> Result<Session> {
        let (client, connection) = self.log_in(purpose, Buffered::new).await?;
        let session = Session { client, driver: tokio::spawn(drive(connection)) };
        let unlimited = session.simple_query(UNLIMITED_SINCE_14).await;
        unlimited
            .map_err(|error| failure(format!("cannot set up a session with `{}`", self.place()), error))?;
        Ok(session)
    }

    /// Opens a connection, puts `around` it, and logs in, all within the time that connecting may take.
    pub(in crate::postgres) async fn log_in<S: TlsStream + Unpin>(
        &self,
        purpose: &str,
        around: impl FnOnce(Transport) -> S,
    ) -> Result<(Client, Connection<Empty, S>)> {
        let attempt = async {
            let stream = around(self.open().await?);
            let login = self.login(purpose);
            let login = login.connect_raw(tokio::io::empty(), Opened(stream)).await;
            login.map_err(|error| self.refused(error))
        };
        self.in_time(attempt).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a server answers in real time, and no loop waits for this by the clock"
    )]
    async fn in_time<T>(&self, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.connect_timeout, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::unavailable(format!(
                "`{}` did not answer within {} s",
                self.place(),
                self.connect_timeout.as_secs()
            ))
            .hint("check the host and the port, and that no firewall is in between")),
        }
    }

    fn refused(&self, error: tokio_postgres::Error) -> Error {
        let doing = format!("cannot log in to `{}` as `{}`", self.place(), self.user);
        match error.as_db_error().map(|report| report.code().code()) {
            Some("28P01") => failure(doing, error).hint("check the user and the password"),
            Some("28000") => failure(doing, error)
                .hint("have the server's `pg_hba.conf` let this user in from this machine"),
            Some(_) => failure(doing, error),
            None if error.is_closed() || is_io(&error) => failure(doing, error),
            // What tokio-postgres finds wrong by itself: no password though the server asks for one, a way to log in that it
            // does not know, a server that cannot prove it knows the password.
            None => Error::denied(doing).source(error),
        }
    }
}

/// Whether the connection broke. A login that fails by itself has an I/O error underneath too: only the text tells them apart.
fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>())
        && error.to_string().contains("communicating")
}

/// Moves bytes for the client until it is dropped or the connection ends. What a server says unasked may hold values of rows
/// (a trigger's `RAISE NOTICE`): it goes nowhere.
async fn drive<S: TlsStream + Unpin>(mut connection: Connection<Empty, S>) {
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let Err(error) = message {
            let code = error.as_db_error().map(|report| ServerReport::from(report).code);
            tracing::debug!(code, "a session with PostgreSQL ended");
            return;
        }
    }
}

impl Session {
    /// Which database this is, whatever names it goes by: its server's system identifier and its own number.
    pub(in crate::postgres) async fn database(&self) -> Result<String> {
        let sql =
            "SELECT system_identifier::text, (SELECT oid FROM pg_database WHERE datname = current_database())
                   FROM pg_control_system()";
        let row = self.client.query_one(sql, &[]).await;
        let row = row.map_err(|error| failure("cannot tell which database this is", error))?;
        Ok(format!("{}/{}", row.get::<_, String>(0), row.get::<_, u32>(1)))
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
