//! A server, and who we are there.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_postgres::config::{Config, SslMode, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{config::Secret, postgres::types::SESSION};

/// No time limits of the server's, the database's or the role's: reading a table takes as long as it takes, and a session that
/// holds a snapshot is idle meanwhile.
const UNLIMITED: [(&str, &str); 3] =
    [("statement_timeout", "0"), ("lock_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];

/// The same for limits that older versions do not know: a login that names them would be refused there.
pub(in crate::postgres) const UNLIMITED_SINCE_14: &str = "SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings \
     WHERE name IN ('idle_session_timeout', 'transaction_timeout')";

/// A database of a server, and a user of it.
#[derive(Clone)]
pub(in crate::postgres) struct Server {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) database: String,
    /// The first word of the name that the server shows for our sessions.
    pub(super) application: String,
    /// What the URL wants the server to be told at the start of each session: `-c name=value ...`.
    pub(super) options: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) verification: Verification,
    /// Reading the system's certificates takes a while: once for all sessions.
    pub(super) tls: Arc<OnceLock<MakeRustlsConnect>>,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A name or an address.
    Network(String),
    /// The folder of a Unix socket.
    Folder(PathBuf),
}

/// How we make sure that we talk to the server we mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verification {
    /// Not at all, and in the clear: it is on this machine.
    None,
    /// Its certificate is signed by one of these authorities, and where `name` is set it is for this host.
    Certificate { authorities: Authorities, name: bool },
}

/// Who may vouch for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorities {
    /// Whom this machine trusts.
    System,
    /// Those in this PEM file, and nobody else.
    File(PathBuf),
}

impl Host {
    /// Whether what is sent there never leaves this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Network(name) => {
                name.eq_ignore_ascii_case("localhost")
                    || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
        }
    }
}

impl Server {
    /// Where it is and which database is meant, without user and password. Equal places are the same data.
    pub(in crate::postgres) fn place(&self) -> String {
        let host = match &self.host {
            Host::Network(name) if name.contains(':') => format!("[{name}]"),
            Host::Network(name) => name.to_lowercase(),
            Host::Folder(folder) => folder.display().to_string(),
        };
        format!("postgres://{host}:{}/{}", self.port, self.database)
    }

    /// Who we are there.
    pub(in crate::postgres) fn user(&self) -> &str {
        &self.user
    }

    /// The database.
    pub(in crate::postgres) fn database(&self) -> &str {
        &self.database
    }

    /// What is said at the start of a session, over a connection that is already open.
    pub(super) fn login(&self, purpose: &str) -> Config {
        let mut config = Config::new();
        config
            .user(&self.user)
            .dbname(&self.database)
            .application_name(format!("{} {purpose}", self.application))
            .options(self.session_options())
            // Whether there is TLS has been settled when the connection was opened; this asks for no second handshake.
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct);
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        config
    }

    /// The URL's options, then what we rely on.
    fn session_options(&self) -> String {
        let escaped = |value: &str| value.replace('\\', "\\\\").replace(' ', "\\ ");
        let ours =
            SESSION.iter().chain(&UNLIMITED).map(|(name, value)| format!("-c {name}={}", escaped(value)));
        self.options.iter().cloned().chain(ours).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}
