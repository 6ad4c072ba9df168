//! Everything that is wrong with the source's part of a pipeline file, found at once and without touching the broker.

use super::{
    config::{Metadata, PROTOCOL, PayloadFormat, SourceConfig, StreamConfig, Version},
    topic::Pattern,
};
use crate::{
    broker::Address,
    config::Problem,
    records::{RecordPath, problems},
};

impl SourceConfig {
    /// Everything that is wrong with it.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(error) = Address::parse(&PROTOCOL, &self.url) {
            problems.push(problem(&["url"], &error));
        }
        if self.client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 65_535 || id.contains('\0')) {
            problems.push(
                Problem::new(["client_id"], "the session has no name")
                    .hint("write one that stays, or leave it out"),
            );
        }
        if self.password.is_some() && self.username.is_none() {
            problems.push(
                Problem::new(["password"], "there is a password, but nobody to have it")
                    .hint("add `username`"),
            );
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            problems.push(
                Problem::new(["client_certificate"], "a certificate and its key go together")
                    .hint("write both `client_certificate` and `client_key`"),
            );
        }
        match (self.version, self.session_expiry) {
            (Version::V4, Some(_)) => problems.push(
                Problem::new(["session_expiry"], "version 3.1.1 has no expiry of sessions")
                    .hint("leave it out, and set the expiry at the broker"),
            ),
            (Version::V5, Some(expiry)) if expiry.0.as_secs() == 0 => problems.push(
                Problem::new(
                    ["session_expiry"],
                    format!("`{expiry}` would end the session with its connection"),
                )
                .hint("write how long a restart may take, such as `7d`"),
            ),
            _ => {}
        }
        if self.streams.is_empty() {
            problems.push(
                Problem::new(["streams"], "no stream is listed")
                    .hint("name at least one, such as `readings: {topics: \"site/{site}/reading\"}`"),
            );
        }
        let mut known: Vec<(&str, String, Pattern)> = Vec::new();
        for (name, stream) in &self.streams {
            problems.extend(stream.validate(name, self));
            for (index, text) in stream.topics.texts().iter().enumerate() {
                let at = ["streams".to_owned(), name.clone(), "topics".to_owned(), index.to_string()];
                match Pattern::parse(text) {
                    Err(error) => problems.push(problem(&at, &error)),
                    Ok(pattern) => {
                        if let Some((stream, other, _)) =
                            known.iter().find(|(_, _, other)| other.overlaps(&pattern))
                        {
                            problems.push(
                                Problem::new(at, format!("`{text}` takes topics that `{other}` of stream `{stream}` takes"))
                                    .hint("let each topic be of one stream: a broker may send a message once or twice otherwise"),
                            );
                        }
                        known.push((name, text.clone(), pattern));
                    }
                }
            }
        }
        problems
    }
}

impl StreamConfig {
    fn validate(&self, name: &str, source: &SourceConfig) -> Vec<Problem> {
        let path = ["streams".to_owned(), name.to_owned()];
        let at = |key: &str| path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
        let mut found = problems(&path, &self.key, &self.exclude, &self.types);
        if name.is_empty() {
            found.push(Problem::new(path.clone(), "the stream's name is empty").hint("give it a name"));
        }
        if self.topics.texts().is_empty() {
            found.push(
                Problem::new(at("topics"), format!("stream `{name}` has no topics"))
                    .hint("write `topics: \"site/{site}/reading\"`"),
            );
        }
        if let Some(Err(error)) = self.records.as_ref().map(|path| path.parse::<RecordPath>()) {
            found.push(problem(&at("records"), &error));
        }
        let of_formats = [
            ("records", self.records.is_some(), PayloadFormat::Json),
            ("columns", !self.columns.is_empty(), PayloadFormat::Csv),
            ("delimiter", self.delimiter.is_some(), PayloadFormat::Csv),
            ("raw", self.raw.is_some(), PayloadFormat::Raw),
        ];
        for (key, is_given, format) in of_formats {
            if is_given && self.format != format {
                let format = format!("{format:?}").to_lowercase();
                found.push(
                    Problem::new(at(key), format!("`{key}` goes with `format: {format}` alone"))
                        .hint("leave it out"),
                );
            }
        }
        if let Some(delimiter) = self.delimiter.filter(|c| !c.is_ascii() || matches!(c, '"' | '\n' | '\r')) {
            found.push(
                Problem::new(
                    at("delimiter"),
                    format!("`{}` cannot be a delimiter", delimiter.escape_default()),
                )
                .hint("use a single ASCII character such as `;` or a tab"),
            );
        }
        for (index, column) in self.columns.iter().enumerate() {
            if column.is_empty() || self.columns[..index].contains(column) {
                found.push(
                    Problem::new(at("columns"), format!("column {} has no name of its own", index + 1))
                        .hint("give each column a name"),
                );
            }
        }
        for metadata in &self.metadata {
            if source.version == Version::V4 && metadata.is_of_version_5() {
                found.push(
                    Problem::new(at("metadata"), format!("`{}` is of version 5", metadata.column()))
                        .hint("leave it out, or connect by version 5"),
                );
            }
        }
        if let Some(invalid) = self
            .invalid
            .as_ref()
            .filter(|invalid| invalid.is_empty() || source.streams.contains_key(*invalid))
        {
            found.push(
                Problem::new(at("invalid"), format!("`{invalid}` cannot take what is not valid"))
                    .hint(format!("write a name that no stream has, such as `{name}_invalid`")),
            );
        }
        found
    }
}

impl Metadata {
    /// The column that it becomes.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Topic => "mqtt_topic",
            Self::Qos => "mqtt_qos",
            Self::Retained => "mqtt_retained",
            Self::ReceivedAt => "mqtt_received_at",
            Self::ContentType => "mqtt_content_type",
            Self::ResponseTopic => "mqtt_response_topic",
            Self::UserProperties => "mqtt_user_properties",
        }
    }

    fn is_of_version_5(self) -> bool {
        matches!(self, Self::ContentType | Self::ResponseTopic | Self::UserProperties)
    }
}

/// An error as what is wrong with the file.
fn problem<P: Into<String> + Clone>(path: &[P], error: &tidemark_engine::Error) -> Problem {
    let problem = Problem::new(path.iter().cloned(), error.message());
    match error.hint_text() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(json: &str) -> Vec<String> {
        let config = serde_json::from_str::<SourceConfig>(json).unwrap();
        config
            .validate()
            .into_iter()
            .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
            .collect()
    }

    #[test]
    fn a_sound_file_has_no_problems() {
        let sound = r#"{"url": "mqtts://broker", "version": "3.1.1", "username": "u", "password": "p", "streams": {
            "readings": {"topics": "site/{site}/reading", "records": "$.values", "key": ["site"], "invalid": "broken"},
            "states": {"topics": ["site/{site}/state", "state"], "format": "csv", "columns": ["a"], "delimiter": ";"},
            "notes": {"topics": "note/#", "format": "raw", "raw": "bytes", "metadata": ["topic"], "invalid": "broken"}}}"#;
        assert_eq!(problems_of(sound), [""; 0]);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let unsound = r##"{"url": "mqtt://broker.example.com", "version": "3.1.1", "password": "p", "client_key": "k",
            "session_expiry": "1d", "streams": {
            "a": {"topics": "x/+", "records": "values", "invalid": "b", "metadata": ["content_type"]},
            "b": {"topics": ["x/y", "#/y"], "columns": ["c"]},
            "c": {"format": "csv", "columns": ["a", "a"], "delimiter": "é", "types": {"a": "integer"}}}}"##;
        assert_eq!(
            problems_of(unsound),
            [
                "url: `mqtt://broker.example.com:1883` would be spoken to without TLS",
                "password: there is a password, but nobody to have it",
                "client_certificate: a certificate and its key go together",
                "session_expiry: version 3.1.1 has no expiry of sessions",
                "streams.a.records: `values` is no path to records",
                "streams.a.metadata: `mqtt_content_type` is of version 5",
                "streams.a.invalid: `b` cannot take what is not valid",
                "streams.b.columns: `columns` goes with `format: csv` alone",
                "streams.b.topics.0: `x/y` takes topics that `x/+` of stream `a` takes",
                "streams.b.topics.1: `#/y` goes on after `#`",
                "streams.c.types.a: `integer` is no kind of column",
                "streams.c.topics: stream `c` has no topics",
                "streams.c.delimiter: `\\u{e9}` cannot be a delimiter",
                "streams.c.columns: column 2 has no name of its own",
            ]
        );
    }
}
