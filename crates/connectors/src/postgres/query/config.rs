//! What the pipeline file says of a PostgreSQL database that is asked.

use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    config::{Interval, Place, Problem, Secret},
    postgres::config::{place, problem_of_url},
    queries::{self, QueryStream},
};

/// A PostgreSQL database, version 13 or later, read by queries, again and again. It is never written to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryConfig {
    /// Where and as whom to connect: `postgres://user:password@host:5432/database`. Beyond this machine the server's
    /// certificate is verified; `?sslrootcert=PATH` names the authority to trust instead of the system's.
    pub url: Secret,
    /// The tables and queries to read, by the names of their streams.
    #[schemars(extend("minProperties" = 1))]
    pub streams: IndexMap<String, QueryStream>,
    /// How often to ask while waiting for changes.
    #[serde(default = "default_poll")]
    pub poll: Interval,
    /// How many streams are read at once, each by a connection of its own.
    #[serde(default = "default_readers")]
    pub readers: u8,
    /// How long one query may take, all that it finds included. Left out: as long as it takes.
    #[serde(default)]
    pub statement_timeout: Option<Interval>,
}

fn default_poll() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_readers() -> u8 {
    2
}

impl QueryConfig {
    /// Everything that is wrong with it, without connecting.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems: Vec<_> = problem_of_url(&self.url).into_iter().collect();
        problems.extend(queries::validate(&self.streams));
        if self.readers == 0 {
            let problem = Problem::new(["readers"], "`0` readers read nothing");
            problems.push(problem.hint("write `readers: 1` or more"));
        }
        if self.statement_timeout.is_some_and(|time| time.0.is_zero()) {
            let problem =
                Problem::new(["statement_timeout"], "`statement_timeout` must be longer than nothing");
            problems.push(problem.hint("leave it out for no limit"));
        }
        for (name, stream) in self.streams.iter().filter(|(_, stream)| !stream.types.is_empty()) {
            let what = format!("the kinds of stream `{name}` are those of PostgreSQL's types");
            let column = stream.types.keys().next().map_or("", String::as_str);
            let hint = format!("leave `types` out, and convert in a `query`: `SELECT {column}::text, …`");
            problems.push(Problem::new(["streams", name, "types"], what).hint(hint));
        }
        problems
    }

    /// Where it is, without secrets.
    pub(crate) fn place(&self) -> Place {
        place(&self.url, None)
    }
}
