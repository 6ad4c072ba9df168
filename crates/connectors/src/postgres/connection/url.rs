//! Connection URLs, as far as they say what we can honour: what libpq would read otherwise is refused by name.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>

use std::{path::PathBuf, time::Duration};

use tidemark_engine::{Error, Result};

use super::server::{Authorities, Host, Server, Verification};
use crate::config::Secret;

const PARAMETERS: [&str; 6] =
    ["application_name", "connect_timeout", "host", "options", "sslmode", "sslrootcert"];
const EXAMPLE: &str = "write `postgres://user:password@host:5432/database`";
const ESCAPES: &str = "write special characters of the user and the password as `%40` for `@`, `%2F` for `/`, \
                       `%3A` for `:`, `%3F` for `?`, `%25` for `%`";

impl Server {
    /// Reads `postgres://user:password@host:port/database?sslmode=...`. Opens nothing; no message repeats the URL.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`].
    pub(in crate::postgres) fn parse(url: &str) -> Result<Self> {
        let parts = Parts::of(url)?;
        let parameters = Parameters::of(parts.parameters)?;
        let (host, port) = (host(parts.host, parameters.host.as_deref())?, port(parts.port)?);
        let user = parts.user.ok_or_else(|| Error::config("the URL names no user").hint(EXAMPLE))?;
        let database = if parts.database.is_empty() { user.clone() } else { decoded(parts.database)? };
        let verification = verification(&host, &parameters)?;
        Ok(Self {
            host,
            port,
            password: parts.password.map(Secret::new),
            database,
            application: parameters.application_name.unwrap_or_else(|| "tidemark".to_owned()),
            options: parameters.options,
            connect_timeout: connect_timeout(parameters.connect_timeout.as_deref())?,
            verification,
            tls: Default::default(),
            user,
        })
    }
}

/// A URL taken apart: user and password decoded, the rest as it stands.
struct Parts<'u> {
    user: Option<String>,
    password: Option<String>,
    host: &'u str,
    port: Option<&'u str>,
    database: &'u str,
    parameters: &'u str,
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Result<Self> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or_else(|| match url.contains('=') && !url.contains("://") {
            true => Error::config("a connection string of keywords is not read here").hint(EXAMPLE),
            false => Error::config("this is no PostgreSQL URL").hint(EXAMPLE),
        })?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, authority),
        };
        let (user, password) = match credentials.map(|text| text.split_once(':').ok_or(text)) {
            Some(Ok((user, password))) => (Some(decoded(user)?), Some(decoded(password)?)),
            Some(Err(user)) => (Some(decoded(user)?), None),
            None => (None, None),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => (address, port.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let user = user.filter(|user| !user.is_empty());
        Ok(Self { user, password, host, port, database, parameters })
    }
}

/// What follows the `?`, decoded.
#[derive(Default)]
struct Parameters {
    application_name: Option<String>,
    connect_timeout: Option<String>,
    host: Option<String>,
    options: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
}

impl Parameters {
    fn of(text: &str) -> Result<Self> {
        let mut parameters = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "application_name" => &mut parameters.application_name,
                "connect_timeout" => &mut parameters.connect_timeout,
                "host" => &mut parameters.host,
                "options" => &mut parameters.options,
                "sslmode" => &mut parameters.sslmode,
                "sslrootcert" => &mut parameters.sslrootcert,
                // What looks like no name may be a piece of a password that holds a `?`.
                _ if !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
                    return Err(Error::config("the URL has a parameter that is not known here").hint(ESCAPES));
                }
                _ => {
                    return Err(Error::config(format!("the URL's parameter `{name}` is not known here"))
                        .hint(format!("choose from: {}", PARAMETERS.join(", "))));
                }
            };
            *place = Some(decoded(value)?);
        }
        Ok(parameters)
    }
}

fn host(authority: &str, parameter: Option<&str>) -> Result<Host> {
    let name = match parameter {
        Some(name) => name.to_owned(),
        None => decoded(authority)?,
    };
    match name.as_str() {
        "" => Err(Error::config("the URL names no host").hint(EXAMPLE)),
        name if name.contains(',') => Err(Error::config("the URL names more than one host")
            .hint("name the primary server: a standby cannot be read from, nor written to")),
        name if name.starts_with('/') => Ok(Host::Folder(PathBuf::from(name))),
        name => Ok(Host::Network(name.to_owned())),
    }
}

fn port(text: Option<&str>) -> Result<u16> {
    match text {
        None | Some("") => Ok(5432),
        // Behind the colon there may also be a piece of a password: it is not repeated.
        Some(text) => text
            .parse()
            .map_err(|_| Error::config("the URL's port is not a number between 1 and 65535").hint(ESCAPES)),
    }
}

fn connect_timeout(text: Option<&str>) -> Result<Duration> {
    let Some(text) = text else { return Ok(Duration::from_secs(10)) };
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::config(format!("`connect_timeout={text}` is not a number of seconds"))
            .hint("write `connect_timeout=10`")),
    }
}

/// Beyond this machine a server proves who it is, and there is no way around that.
fn verification(host: &Host, parameters: &Parameters) -> Result<Verification> {
    let authorities = match parameters.sslrootcert.as_deref() {
        None | Some("system") => Authorities::System,
        Some(path) if path.starts_with('/') => Authorities::File(PathBuf::from(path)),
        Some(path) => {
            return Err(Error::config(format!("`sslrootcert={path}` is no absolute path"))
                .hint("write the whole path, from `/`"));
        }
    };
    let verified = |name| Ok(Verification::Certificate { authorities, name });
    match parameters.sslmode.as_deref() {
        None if host.is_loopback() && parameters.sslrootcert.is_none() => Ok(Verification::None),
        Some("verify-full" | "verify-ca") if matches!(host, Host::Folder(_)) => {
            Err(Error::config("a Unix socket knows no TLS").hint("leave `sslmode` out"))
        }
        None | Some("verify-full") => verified(true),
        Some("verify-ca") => verified(false),
        Some("disable") if host.is_loopback() => Ok(Verification::None),
        Some("disable") => Err(Error::config("`sslmode=disable` is refused beyond this machine")
            .hint("leave `sslmode` out and name the server's authority by `sslrootcert=/path/to/ca.pem`")),
        Some(mode @ ("require" | "prefer" | "allow")) => Err(Error::config(format!(
            "`sslmode={mode}` would trust whoever answers"
        ))
        .hint(
            "use `sslmode=verify-full`, with `sslrootcert=/path/to/ca.pem` where the authority is your own",
        )),
        Some(mode) => Err(Error::config(format!("`sslmode={mode}` does not exist"))
            .hint("choose from: verify-full, verify-ca, and disable on this machine")),
    }
}

/// `text` with `%41` read as `A`.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let byte = digit().zip(digit()).map(|(high, low)| high << 4 | low);
                byte.and_then(|byte| u8::try_from(byte).ok()).ok_or_else(not_escaped)?
            }
            byte => byte,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(not_escaped()),
    }
}

fn not_escaped() -> Error {
    Error::config("the URL has a `%` that begins no escaped character").hint(ESCAPES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let error = Server::parse(url).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        format!("{error} ({})", error.hint_text().unwrap_or_default())
    }

    #[test]
    fn urls_are_read() {
        let server = Server::parse("postgresql://me:se%40cret%2F@DB.example.com/orders").unwrap();
        assert_eq!(server.place(), "postgres://db.example.com:5432/orders");
        assert_eq!(server.password, Some(Secret::new("se@cret/")));
        assert_eq!(server.connect_timeout, Duration::from_secs(10));

        let server =
            Server::parse("postgres://me@[::1]:5433?connect_timeout=3&application_name=a%20b").unwrap();
        assert_eq!(server.place(), "postgres://[::1]:5433/me");
        assert_eq!((server.application.as_str(), server.password), ("a b", None));

        for url in ["postgres://me@%2Fvar%2Frun/orders", "postgres://me@/orders?host=/var/run"] {
            assert_eq!(Server::parse(url).unwrap().host, Host::Folder("/var/run".into()), "{url}");
        }
    }

    #[test]
    fn a_server_elsewhere_proves_itself() {
        let verification = |url| Server::parse(url).unwrap().verification;
        let system = |name| Verification::Certificate { authorities: Authorities::System, name };
        assert_eq!(verification("postgres://me@db.example.com"), system(true));
        assert_eq!(verification("postgres://me@10.0.0.1?sslmode=verify-ca"), system(false));
        assert_eq!(verification("postgres://me@localhost?sslmode=verify-full"), system(true));
        for url in
            ["postgres://me@127.0.0.9", "postgres://me@[::1]", "postgres://me@localhost?sslmode=disable"]
        {
            assert_eq!(verification(url), Verification::None, "{url}");
        }
        let file = Authorities::File("/ca.pem".into());
        assert_eq!(
            verification("postgres://me@localhost?sslrootcert=/ca.pem"),
            Verification::Certificate { authorities: file, name: true }
        );
        assert!(refusal("postgres://me@db?sslmode=disable").starts_with("`sslmode=disable` is refused"));
        for mode in ["require", "prefer", "allow"] {
            let refusal = refusal(&format!("postgres://me@localhost?sslmode={mode}"));
            assert!(refusal.contains("verify-full"), "{refusal}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_without_the_secret() {
        for (url, expected) in [
            ("host=db password=secret", "connection string of keywords"),
            ("mysql://me:secret@db", "no PostgreSQL URL"),
            ("postgres://db/orders", "no user"),
            ("postgres://me:secret@/orders", "no host"),
            ("postgres://me:secret@a,b/orders", "more than one host"),
            ("postgres://me:secret/x@db/orders", "port"),
            ("postgres://me:secret%@db/orders", "`%`"),
            ("postgres://me:secret%00@db/orders", "`%`"),
            (
                "postgres://me:secret@db/orders?target_session_attrs=any",
                "`target_session_attrs` is not known",
            ),
            ("postgres://me:secret@db/orders?sslrootcert=ca.pem", "no absolute path"),
            ("postgres://me:secret@db/orders?connect_timeout=soon", "not a number of seconds"),
        ] {
            let refusal = refusal(url);
            assert!(refusal.contains(expected), "{url}: {refusal}");
        }
    }
}
