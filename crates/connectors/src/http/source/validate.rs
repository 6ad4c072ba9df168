//! What can be said against the pipeline file without asking the server.

use super::{
    super::{
        client::Template,
        config::{ChangesConfig, Format, Method, Paging, SourceConfig, StreamConfig},
    },
    outgoing::below,
    streams::overlap,
    values::Values,
};
use crate::{
    config::Problem,
    records::{self, RecordPath, XmlPath},
};

impl SourceConfig {
    /// Everything that is wrong with it, without touching the network.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self.base() {
            Ok(base) => problems.extend(self.client().validate(&base)),
            Err(error) => {
                problems.push(
                    Problem::new(["url"], error.message())
                        .hint("give a URL such as `https://api.example.com/v1`"),
                );
            }
        }
        if self.poll.0.is_zero() {
            problems.push(Problem::new(["poll"], "`0s` is no pause").hint("choose at least `1s`"));
        }
        for (name, text) in &self.headers {
            template(vec!["headers".to_owned(), name.clone()], text, &mut problems);
        }
        for (name, stream) in &self.streams {
            self.validate_stream(name, stream, &mut problems);
        }
        problems
    }

    fn base(&self) -> tidemark_engine::Result<url::Url> {
        let values = Values { with: self.with.clone(), ..Values::default() };
        below(&Template::parse(&self.url)?.render(&values)?, "")
    }

    fn validate_stream(&self, name: &str, stream: &StreamConfig, problems: &mut Vec<Problem>) {
        let at =
            |keys: &[&str]| ["streams", name].iter().chain(keys).map(ToString::to_string).collect::<Vec<_>>();
        if name.is_empty() || name.starts_with('@') {
            let problem = Problem::new(at(&[]), format!("`{name}` cannot be the name of a stream"));
            problems.push(problem.hint("begin it with a letter"));
        }
        problems.extend(records::problems(&at(&[]), &stream.key, &stream.exclude, &stream.types));
        template(at(&["path"]), &stream.path, problems);
        for (parameter, text) in &stream.query {
            template(at(&["query", parameter]), text, problems);
        }
        for (header, text) in &stream.headers {
            template(at(&["headers", header]), text, problems);
        }
        if let Some(body) = &stream.body {
            template(at(&["body"]), body, problems);
            if stream.method == Method::Get {
                let problem = Problem::new(at(&["body"]), "a GET has no body");
                problems.push(problem.hint("set `method: POST`, or `REPORT` of WebDAV"));
            }
        }
        for (index, text) in stream.subscribe.iter().enumerate() {
            template(at(&["subscribe", &index.to_string()]), text, problems);
        }
        stream.validate_paths(&at, problems);
        stream.validate_changes(&at, problems);
        if let Some(parent) = &stream.parent {
            match self.streams.get(&parent.stream) {
                None => {
                    let names = self.streams.keys().map(String::as_str).filter(|other| *other != name);
                    let hint = format!("choose from: {}", names.collect::<Vec<_>>().join(", "));
                    let problem = format!("there is no stream `{}`", parent.stream);
                    problems.push(Problem::new(at(&["parent", "stream"]), problem).hint(hint));
                }
                Some(other) if other.parent.is_some() => {
                    let problem = format!("`{}` has a parent of its own", parent.stream);
                    problems.push(
                        Problem::new(at(&["parent", "stream"]), problem)
                            .hint("choose a stream without a parent"),
                    );
                }
                Some(_) if stream.changes() == ChangesConfig::Delta => {
                    let problem =
                        Problem::new(at(&["changes"]), "a stream below another has no delta of its own");
                    problems.push(problem.hint("use `full-refresh` or a `watermark`"));
                }
                Some(_) => {}
            }
        }
    }
}

impl StreamConfig {
    /// Places in answers.
    fn validate_paths(&self, at: &impl Fn(&[&str]) -> Vec<String>, problems: &mut Vec<Problem>) {
        let mut path = |place: &[&str], text: &str| {
            if let Err(error) = text.parse::<RecordPath>() {
                let problem = Problem::new(at(place), error.message());
                problems.push(Problem { hint: error.hint_text().map(str::to_owned), ..problem });
            }
        };
        if let (Format::Json | Format::Sse | Format::WebSocket, Some(records)) = (self.format, &self.records)
        {
            path(&["records"], records);
        }
        match &self.paging {
            Paging::Link { next } | Paging::Token { next, .. } => path(&["paging", "next"], next),
            Paging::Page { more: Some(more), .. } | Paging::Offset { more: Some(more), .. } => {
                path(&["paging", "more"], more);
            }
            _ => {}
        }
        let is_xml = self.format == Format::Xml;
        if let Some(delta) = self.delta.as_ref().filter(|_| !is_xml) {
            path(&["delta", "next"], &delta.next);
        }
        let delta = self.delta.as_ref().map(|delta| (&["delta", "next"][..], &delta.next));
        let elements =
            self.records.as_ref().map(|records| (&["records"][..], records)).into_iter().chain(delta);
        for (place, text) in elements.filter(|_| is_xml) {
            if let Err(error) = XmlPath::configured(text) {
                let problem = Problem::new(at(place), error.message());
                problems.push(Problem { hint: error.hint_text().map(str::to_owned), ..problem });
            }
        }
        let needs_json = matches!(self.paging, Paging::Link { .. } | Paging::Token { .. })
            || matches!(
                self.paging,
                Paging::Page { more: Some(_), .. } | Paging::Offset { more: Some(_), .. }
            );
        if self.format != Format::Json && (needs_json || self.delta.is_some() && !is_xml) {
            let problem =
                Problem::new(at(&["paging"]), "the next page stands in the answer, which is no JSON");
            problems.push(problem.hint("use `link-header`, `header-token`, `page`, `offset` or `keyset`"));
        }
    }

    /// How changes are found.
    fn validate_changes(&self, at: &impl Fn(&[&str]) -> Vec<String>, problems: &mut Vec<Problem>) {
        let mut wrong = |key: &str, problem: &str, hint: &str| {
            problems.push(Problem::new(at(&[key]), problem).hint(hint));
        };
        match self.changes() {
            ChangesConfig::Watermark if self.watermark.is_none() => {
                wrong("changes", "there is no `watermark`", "name the column that grows with every change");
            }
            ChangesConfig::Delta if self.delta.is_none() => {
                wrong(
                    "changes",
                    "there is no `delta`",
                    "say where the answer holds what to ask with next time",
                );
            }
            ChangesConfig::StreamOnly
                if !matches!(self.format, Format::Jsonl | Format::Sse | Format::WebSocket) =>
            {
                wrong(
                    "format",
                    "what goes on comes in lines, events or messages",
                    "use `format: jsonl`, `format: sse` or `format: websocket`",
                );
            }
            ChangesConfig::StreamOnly if self.parent.is_some() || self.paging != Paging::None => {
                wrong(
                    "changes",
                    "what goes on has neither pages nor a parent",
                    "leave `paging` and `parent` out",
                );
            }
            ChangesConfig::Delta if self.key.is_empty() => {
                wrong(
                    "key",
                    "changes that the system tells of need a key",
                    "name the columns that tell records apart",
                );
            }
            _ => {}
        }
        if self.format == Format::Sse && self.changes() != ChangesConfig::StreamOnly {
            wrong("format", "events come in an answer that goes on", "set `changes: stream-only`");
        }
        if self.format == Format::WebSocket && self.changes() != ChangesConfig::StreamOnly {
            wrong("format", "a WebSocket only goes forward", "set `changes: stream-only`");
        }
        if self.format == Format::WebSocket && self.method != Method::Get {
            wrong("method", "a WebSocket begins with a GET", "leave `method` out, and say it by `subscribe`");
        }
        if self.format != Format::WebSocket && !self.subscribe.is_empty() {
            wrong("subscribe", "nobody listens to what is said", "set `format: websocket`, or use `body`");
        }
        if self.gone.is_some() && self.key.is_empty() {
            wrong(
                "gone",
                "a record without a key cannot go",
                "name the columns that tell records apart under `key`",
            );
        }
        if self.gone_when.is_some() && self.gone.is_none() {
            wrong("gone_when", "there is no `gone`", "name the column that says it");
        }
        if !self.gone_key.is_empty() && (self.gone.is_none() || self.gone_key.len() != self.key.len()) {
            wrong(
                "gone_key",
                "it does not stand for the columns of the key of a record that is gone",
                "name as many columns as under `key`, and under `gone` the one that says that a record is",
            );
        }
        if let Err(error) = overlap(self.overlap.as_deref()) {
            wrong("overlap", error.message(), error.hint_text().unwrap_or_default());
        }
        if self.max_deletes > 100 {
            wrong("max_deletes", "more than all records cannot go", "give 0 to 100");
        }
        if self.poll_is_endless() {
            wrong("compare_every", "`0s` is no time", "choose at least `1m`");
        }
    }

    fn poll_is_endless(&self) -> bool {
        self.compare_every.is_some_and(|every| every.0.is_zero())
    }
}

/// Whether `text` is a template.
fn template(path: Vec<String>, text: &str, problems: &mut Vec<Problem>) {
    if let Err(error) = Template::parse(text) {
        problems.push(Problem::new(path, error.message()).hint("write `{{ name }}` for a value"));
    }
}
