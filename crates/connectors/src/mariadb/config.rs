//! What the pipeline file says of MariaDB.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::server::Server;
use crate::config::{Place, Problem, Secret};

/// A MariaDB database, version 10.5 or later, to write to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// Where and as whom to connect: `mariadb://user:password@host:3306/database`. Beyond this machine the connection is encrypted and
    /// the server's certificate is verified.
    pub url: Secret,
    /// The authority that signed the server's certificate, in a PEM file, from the pipeline file's folder. Left out: those that this
    /// machine trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

impl DestinationConfig {
    /// Where it is, without secrets.
    pub(crate) fn place(&self) -> Place {
        let url = Server::parse(self.url.expose()).map_or_else(|_| "mariadb".to_owned(), |it| it.place());
        Place::Database { url, schema: None }
    }

    /// Everything that is wrong with it, without connecting.
    pub fn validate(&self) -> Vec<Problem> {
        let Err(error) = Server::parse(self.url.expose()) else { return Vec::new() };
        let problem = Problem::new(["url"], error.message());
        vec![match error.hint_text() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_or_refused_without_their_password() {
        let config = |url: &str| DestinationConfig { url: Secret::new(url), ca: None };
        let place = config("mariadb://me:se%40cret@DB.example:3307/copy").place();
        assert_eq!(place.to_string(), "mariadb://db.example:3307/copy");
        assert_eq!(config("mysql://me@localhost/copy").place().to_string(), "mariadb://localhost:3306/copy");
        for url in [
            "postgres://me:secret@db/copy",
            "mariadb://me:secret@db",
            "mariadb://:secret@db/copy",
            "mariadb://me:secret@/copy",
            "mariadb://me:secret@db/copy?tls=off",
            "secret",
        ] {
            let problems = config(url).validate();
            assert_eq!(problems.len(), 1, "{url}");
            assert!(!format!("{problems:?}").contains("secret"), "{problems:?}");
        }
    }
}
