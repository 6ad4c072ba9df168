//! What can be said against the pipeline file without looking at a file.

use super::{
    super::{ChangesConfig, SourceConfig, StreamConfig, Streams},
    layout::glob,
    name::is_compressed,
};
use crate::{config::Problem, records};

impl SourceConfig {
    /// Everything that is wrong with it, without touching the file system.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.path.as_os_str().is_empty() {
            problems.push(
                Problem::new(["path"], "the path is empty").hint("name the folder that holds the files"),
            );
        }
        if self.poll.0.is_zero() {
            problems.push(Problem::new(["poll"], "`0s` is no pause").hint("choose at least `100ms`"));
        }
        match &self.streams {
            None => {}
            Some(Streams::Names(names)) => {
                if names.is_empty() {
                    problems.push(nothing_listed());
                }
                for (index, name) in names.iter().enumerate() {
                    let path = ["streams".to_owned(), index.to_string()];
                    if name.is_empty() {
                        problems.push(
                            Problem::new(path, "the name is empty").hint("name a stream, or leave it out"),
                        );
                    } else if glob(name).is_err() {
                        problems.push(bad_glob(path, name));
                    } else if names[..index].contains(name) {
                        problems.push(
                            Problem::new(path, format!("`{name}` is listed twice")).hint("list it once"),
                        );
                    }
                }
            }
            Some(Streams::Map(streams)) => {
                if streams.is_empty() {
                    problems.push(nothing_listed());
                }
                for (name, stream) in streams {
                    if name.is_empty() {
                        let problem = Problem::new(["streams"], "a stream has an empty name");
                        problems.push(problem.hint("give every stream a name"));
                    }
                    stream.validate(name, &mut problems);
                }
            }
        }
        problems
    }
}

impl StreamConfig {
    fn validate(&self, name: &str, problems: &mut Vec<Problem>) {
        let at =
            |keys: &[&str]| ["streams", name].iter().chain(keys).map(ToString::to_string).collect::<Vec<_>>();
        if let Some(files) = &self.files {
            if files.is_empty() || glob(files).is_err() {
                problems.push(bad_glob(at(&["files"]), files));
            } else if files.starts_with('/') || files.split('/').any(|part| part == "..") {
                problems.push(
                    Problem::new(at(&["files"]), format!("`{files}` leads out of the folder"))
                        .hint("write the glob relative to `path`, and move `path` up if need be"),
                );
            } else if is_compressed(files) {
                problems.push(
                    Problem::new(
                        at(&["files"]),
                        format!("`{files}` names compressed files, which are not read"),
                    )
                    .hint("unpack them, or write Parquet, which compresses inside"),
                );
            }
        }
        problems.extend(records::problems(&at(&[]), &self.key, &self.exclude, &self.types));
        problems.extend(
            self.of_changes()
                .into_iter()
                .map(|(key, message, hint)| Problem::new(at(&[key]), message).hint(hint)),
        );
        if let Some(delimiter) = self.delimiter
            && (!delimiter.is_ascii() || matches!(delimiter, '"' | '\r' | '\n' | '\0'))
        {
            problems.push(
                Problem::new(
                    at(&["delimiter"]),
                    format!("`{}` cannot be a delimiter", delimiter.escape_default()),
                )
                .hint(
                    "choose a single ASCII character other than a quote or a line end, such as `;` or `\\t`",
                ),
            );
        }
    }
}

impl StreamConfig {
    /// What does not go together with how changes are found: the key it stands under, what, and what to do.
    fn of_changes(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut problems = Vec::new();
        if self.changes == ChangesConfig::FullRefresh {
            if self.key.is_empty() {
                let message = "`changes: full-refresh` needs a key, which tells records apart";
                problems.push(("key", message.to_owned(), "name the columns that do: `key: [id]`"));
            }
            if let Some(column) = self.key.iter().find(|column| self.ignore.contains(*column)) {
                let message = format!("key column `{column}` is ignored");
                problems.push(("ignore", message, "keep it, or choose another `key`"));
            }
            if self.on_rewrite.is_some() {
                let message = "with `changes: full-refresh` a file may always be rewritten";
                problems.push(("on_rewrite", message.to_owned(), "remove it"));
            }
            if self.max_deletes.is_some_and(|share| share > 100) {
                let message = "more than all records cannot go";
                problems.push(("max_deletes", message.to_owned(), "give 0 to 100"));
            }
            return problems;
        }
        for (key, is_given) in [
            ("ignore", !self.ignore.is_empty()),
            ("max_deletes", self.max_deletes.is_some()),
            ("at_rest", self.at_rest.is_some()),
        ] {
            if is_given {
                let message = format!("`{key}` says something of files that are compared, and these are not");
                problems.push((key, message, "remove it, or set `changes: full-refresh`"));
            }
        }
        problems
    }
}

fn nothing_listed() -> Problem {
    Problem::new(["streams"], "no stream is listed").hint("name some, or leave `streams` out to read all")
}

fn bad_glob(path: impl IntoIterator<Item = String>, glob: &str) -> Problem {
    Problem::new(path, format!("`{glob}` is no glob"))
        .hint("write one such as `flights-*.csv` or `2013/**/*.parquet`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let config = serde_json::from_str::<SourceConfig>(json).unwrap();
        let text = |problem: Problem| format!("{}: {}", problem.path.join("."), problem.message);
        config.validate().into_iter().map(text).collect()
    }

    #[test]
    fn a_sound_file_has_no_problems() {
        let sound = r#"{"path": "in", "streams": {"flights": {"files": "flights-*.csv", "key": ["id"],
            "types": {"price": "decimal(12,2)"}, "delimiter": ";", "on_rewrite": "reread"}}}"#;
        assert_eq!(problems(sound), [""; 0]);
        assert_eq!(problems(r#"{"path": "in", "streams": ["flights", "air*"]}"#), [""; 0]);
        assert_eq!(problems(r#"{"path": "in"}"#), [""; 0]);
        let compared = r#"{"path": "in", "streams": {"stock": {"key": ["id"], "changes": "full-refresh",
            "ignore": ["exported_at"], "max_deletes": 50, "at_rest": "1m"}}}"#;
        assert_eq!(problems(compared), [""; 0]);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let unsound = r#"{"path": "", "poll": "0s", "streams": {"flights": {"files": "[", "key": ["id", "id"],
            "exclude": ["id", ""], "types": {"a": "integer", "id": "text"}, "delimiter": "é"},
            "b": {"files": "../b.csv"}, "c": {"files": "c.csv.gz"}}}"#;
        assert_eq!(
            problems(unsound),
            [
                "path: the path is empty",
                "poll: `0s` is no pause",
                "streams.b.files: `../b.csv` leads out of the folder",
                "streams.c.files: `c.csv.gz` names compressed files, which are not read",
                "streams.flights.files: `[` is no glob",
                "streams.flights.key.1: `id` is listed twice",
                "streams.flights.exclude.1: the column's name is empty",
                "streams.flights.exclude: key column `id` is excluded",
                "streams.flights.exclude: key column `id` is excluded",
                "streams.flights.types.a: `integer` is no kind of column",
                "streams.flights.types.id: column `id` is excluded",
                "streams.flights.delimiter: `\\u{e9}` cannot be a delimiter",
            ]
        );
        assert_eq!(
            problems(r#"{"path": "in", "streams": ["a", "", "{", "a"]}"#),
            ["streams.1: the name is empty", "streams.2: `{` is no glob", "streams.3: `a` is listed twice",]
        );
        let unsound = r#"{"path": "in", "streams": {
            "a": {"changes": "full-refresh", "on_rewrite": "stop", "max_deletes": 101},
            "b": {"changes": "full-refresh", "key": ["id"], "ignore": ["id"]},
            "c": {"ignore": ["at"], "max_deletes": 1, "at_rest": "1s"}}}"#;
        assert_eq!(
            problems(unsound),
            [
                "streams.a.key: `changes: full-refresh` needs a key, which tells records apart",
                "streams.a.on_rewrite: with `changes: full-refresh` a file may always be rewritten",
                "streams.a.max_deletes: more than all records cannot go",
                "streams.b.ignore: key column `id` is ignored",
                "streams.c.ignore: `ignore` says something of files that are compared, and these are not",
                "streams.c.max_deletes: `max_deletes` says something of files that are compared, and these are not",
                "streams.c.at_rest: `at_rest` says something of files that are compared, and these are not",
            ]
        );
        assert_eq!(problems(r#"{"path": "in", "streams": []}"#), ["streams: no stream is listed"]);
    }
}
