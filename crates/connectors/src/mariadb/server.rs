//! A server, who we are there, and how a session is opened.

use std::{net::IpAddr, path::Path, sync::Arc};

use mysql_async::{Conn, Opts, OptsBuilder, SslOpts, prelude::Queryable};
use percent_encoding::percent_decode_str;
use rustls::crypto::aws_lc_rs;
use tidemark_engine::{Error, Result};
use url::Url;

use super::failure::{Failure, connection};
use crate::config::Secret;

const EXAMPLE: &str = "write `mariadb://user:password@host:3306/database`";

/// What every session is like, whatever the server's own settings say: what does not fit is refused, times are in UTC, others' work is
/// seen when it is committed, and nobody waits for ever, neither for us nor we for them. Streams arrive in no common order, so foreign
/// keys are not looked at. <https://mariadb.com/kb/en/server-system-variables/>
const SETTINGS: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO',
    time_zone = '+00:00', innodb_strict_mode = 1, foreign_key_checks = 0, unique_checks = 1, autocommit = 1,
    sql_safe_updates = 0, tx_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 30, lock_wait_timeout = 30,
    idle_transaction_timeout = 300, wait_timeout = 28800, net_read_timeout = 300, net_write_timeout = 300,
    max_statement_time = 0, default_storage_engine = 'InnoDB'";

/// Two texts are the same when their bytes are.
const NAMES: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin";

/// A database of a server, and a user of it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    host: String,
    port: u16,
    user: String,
    password: Option<Secret>,
    database: String,
    /// The authority to trust instead of this machine's.
    authority: Option<Arc<Path>>,
}

impl Server {
    /// Reads `mariadb://user:password@host:port/database`. Opens nothing; no message repeats the URL.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`].
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = |message: &str| Error::config(message.to_owned()).hint(EXAMPLE);
        let rest = url.strip_prefix("mariadb://").or_else(|| url.strip_prefix("mysql://"));
        let rest = rest.ok_or_else(|| wrong("this is no MariaDB URL"))?;
        let url = Url::parse(&format!("mariadb://{rest}")).map_err(|_| wrong("the URL cannot be read"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("the URL has parameters, and none is known"));
        }
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| wrong("the URL holds something that is no UTF-8"))
        };
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host"))?;
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err(wrong("the URL names no user"));
        }
        let database = decoded(url.path().trim_start_matches('/'))?;
        if database.is_empty() {
            return Err(wrong("the URL names no database"));
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_lowercase(),
            port: url.port().unwrap_or(3306),
            user,
            password: url.password().map(decoded).transpose()?.map(Secret::new),
            database,
            authority: None,
        })
    }

    /// The same server, trusted when the authority in the PEM file `path` has signed its certificate.
    pub(super) fn trusting(self, path: Option<&Path>) -> Self {
        Self { authority: path.map(Arc::from), ..self }
    }

    /// Where it is and which database is meant, without user and password.
    pub(super) fn place(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("mariadb://{host}:{}/{}", self.port, self.database)
    }

    /// Opens a session that refuses what does not fit.
    pub(super) async fn connect(&self) -> Result<Conn> {
        let doing = || format!("cannot connect to `{}`", self.place());
        let mut session = Conn::new(self.options()?).await.map_err(|error| connection(doing(), error))?;
        let version: Option<String> =
            session.query_first("SELECT VERSION()").await.map_err(|error| connection(doing(), error))?;
        check_version(&version.unwrap_or_default(), &self.place())?;
        for sql in [NAMES, SETTINGS] {
            let set = session.query_drop(sql).await;
            set.map_err(|error| {
                Failure::from(error).explain(format_args!("cannot set up a session at `{}`", self.place()))
            })?;
        }
        Ok(session)
    }

    fn options(&self) -> Result<Opts> {
        let options = OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(self.user.clone()))
            .pass(self.password.as_ref().map(|password| password.expose().to_owned()))
            .db_name(Some(self.database.clone()))
            .prefer_socket(false)
            .tcp_nodelay(true)
            .client_found_rows(true)
            .stmt_cache_size(32);
        if self.is_loopback() && self.authority.is_none() {
            return Ok(options.into());
        }
        // Whoever comes first decides for the process; all of us want the same.
        drop(aws_lc_rs::default_provider().install_default());
        let roots = match &self.authority {
            Some(path) => vec![path.to_path_buf().into()],
            None => {
                let found = rustls_native_certs::load_native_certs().certs;
                found.into_iter().map(|certificate| certificate.to_vec().into()).collect::<Vec<_>>()
            }
        };
        if roots.is_empty() {
            return Err(Error::config("there is no certificate authority to trust")
                .hint("install the package `ca-certificates`, or name the server's authority by `ca`"));
        }
        Ok(options
            .ssl_opts(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots))
            .into())
    }

    /// Whether what is sent there never leaves this machine.
    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

/// Refuses servers that are something else, or lack collations and settings that everything here relies on.
fn check_version(version: &str, place: &str) -> Result<()> {
    let wrong = |message: String| Err(Error::config(message).hint("use MariaDB 10.5 or later"));
    // Old clients are told `5.5.5-` first.
    let told = version.strip_prefix("5.5.5-").unwrap_or(version);
    if !told.contains("MariaDB") {
        return wrong(format!("the server of `{place}` is not MariaDB"));
    }
    let mut numbers = told.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (10, 5) {
        return wrong(format!(
            "the server of `{place}` is MariaDB {}.{}, which is too old",
            version.0, version.1
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_something_else_are_refused() {
        assert!(check_version("10.11.14-MariaDB-0+deb12u2", "x").is_ok());
        assert!(check_version("5.5.5-11.4.2-MariaDB", "x").is_ok());
        for version in ["8.0.36", "10.4.30-MariaDB", "5.5.68-MariaDB", ""] {
            assert!(check_version(version, "x").is_err(), "{version}");
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        let is_near = |url: &str| Server::parse(url).unwrap().is_loopback();
        assert!(is_near("mariadb://me@localhost/a") && is_near("mariadb://me@[::1]/a"));
        assert!(is_near("mariadb://me@127.0.0.2/a") && !is_near("mariadb://me@10.0.0.1/a"));
        assert!(!is_near("mariadb://me@localhost.example/a"));
    }
}
