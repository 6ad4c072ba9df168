//! What can be said against the pipeline file without asking the service.

use tidemark_engine::Error;

use super::{
    config::{SourceConfig, TableStream},
    query::KEY,
};
use crate::{config::Problem, records};

impl SourceConfig {
    /// Everything that is wrong with it, without touching the network.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self.account() {
            Ok(account) => problems.extend(self.client(&account).validate(&account.base)),
            Err(error) => {
                let key = if self.connection_string.is_some() { "connection_string" } else { "url" };
                problems.push(problem([key], &error));
            }
        }
        if self.poll.0.is_zero() {
            problems.push(Problem::new(["poll"], "`0s` is no pause").hint("choose at least `1s`"));
        }
        if self.streams.as_ref().is_some_and(indexmap::IndexMap::is_empty) {
            problems.push(
                Problem::new(["streams"], "`streams` names nothing to read")
                    .hint("name a table, or take `streams` out to read every table of the account"),
            );
        }
        for (name, stream) in self.streams.iter().flatten() {
            stream.validate(name, &mut problems);
        }
        problems
    }
}

impl TableStream {
    fn validate(&self, name: &str, problems: &mut Vec<Problem>) {
        let path = ["streams".to_owned(), name.to_owned()];
        problems.extend(records::problems(&path, &[], &self.exclude, &self.types));
        let mut wrong = |key: &str, message: String, hint: &str| {
            let path = path.iter().cloned().chain([key.to_owned()]);
            problems.push(Problem::new(path, message).hint(hint));
        };
        let table = self.table(name);
        let is_name = table.starts_with(|first: char| first.is_ascii_alphabetic())
            && (3..=63).contains(&table.len())
            && table.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_name {
            wrong(
                "table",
                format!("`{table}` cannot be the name of a table"),
                "give 3 to 63 letters and digits",
            );
        }
        for (key, columns) in [("exclude", &self.exclude), ("ignore", &self.ignore)] {
            if let Some(column) = columns.iter().find(|column| KEY.contains(&column.as_str())) {
                wrong(key, format!("`{column}` tells entities apart"), "take it out of the list");
            }
        }
        if self.filter.as_ref().is_some_and(|filter| filter.trim().is_empty()) {
            wrong("filter", "`filter` is empty".to_owned(), "take it out, or write a condition");
        }
        if let Some(name) = self.select.iter().find(|name| name.is_empty() || name.contains([',', ' ', '*']))
        {
            wrong("select", format!("`{name}` is no name of a property"), "list names of properties");
        }
        if self.compare_every.0.is_zero() {
            wrong(
                "compare_every",
                "`0s` is no time".to_owned(),
                "choose at least `1m`, or `changes: full-refresh`",
            );
        }
        if self.max_deletes > 100 {
            wrong("max_deletes", "more than all entities cannot go".to_owned(), "give 0 to 100");
        }
    }
}

fn problem<const N: usize>(path: [&str; N], error: &Error) -> Problem {
    let problem = Problem::new(path, error.message());
    Problem { hint: error.hint_text().map(str::to_owned), ..problem }
}
