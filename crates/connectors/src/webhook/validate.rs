//! What can be said against the pipeline file without listening at anything.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    Format, Handshake, SourceConfig, StreamConfig, VerifyConfig, body::Body, hook::IdPlace, verify::header,
};
use crate::{config::Problem, records};

/// The largest `max_body`, in bytes.
const MOST_BYTES: u64 = 32 << 20;
/// The largest `max_waiting`.
const MOST_WAITING: u32 = 10_000;
/// The largest `remember`.
const MOST_REMEMBERED: u32 = 100_000;

impl SourceConfig {
    /// Everything that is wrong with it, without listening at anything.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self.listen.parse::<SocketAddr>() {
            Err(_) => problems.push(
                Problem::new(["listen"], format!("`{}` is no address with a port", self.listen))
                    .hint("write one such as `127.0.0.1:8090`"),
            ),
            Ok(address) if !address.ip().is_loopback() => self.validate_beyond_this_machine(&mut problems),
            Ok(_) => {}
        }
        if self.max_body.0 == 0 || self.max_body.0 > MOST_BYTES {
            let problem =
                Problem::new(["max_body"], format!("`{}` is not from `1B` to `32MiB`", self.max_body));
            problems.push(problem.hint("choose `1MiB`, or what your senders send at most"));
        }
        for (key, value, least, most) in [
            ("max_waiting", self.max_waiting, 1, MOST_WAITING),
            ("remember", self.remember, 0, MOST_REMEMBERED),
        ] {
            if !(least..=most).contains(&value) {
                let problem = Problem::new([key], format!("`{value}` is not from {least} to {most}"));
                problems.push(problem.hint("leave it out if in doubt"));
            }
        }
        if self.answer_within.0.is_zero() {
            let problem = Problem::new(["answer_within"], "nothing is durable within `0s`");
            problems.push(problem.hint("choose `10s`, or less than your senders wait for an answer"));
        }
        if self.streams.is_empty() {
            problems
                .push(Problem::new(["streams"], "no stream is listed").hint("give one a name and a `path`"));
        }
        let mut paths = BTreeMap::new();
        for (name, stream) in &self.streams {
            if name.is_empty() {
                let problem = Problem::new(["streams"], "a stream has an empty name");
                problems.push(problem.hint("give every stream a name"));
            }
            stream.validate(name, &mut problems);
            if let Some(other) = paths.insert(stream.path.as_str(), name) {
                let message = format!("`{}` is the path of stream `{other}` too", stream.path);
                problems.push(Problem::new(["streams", name, "path"], message).hint("give each its own"));
            }
        }
        problems
    }

    fn validate_beyond_this_machine(&self, problems: &mut Vec<Problem>) {
        if !self.behind_proxy {
            problems.push(
                Problem::new(
                    ["listen"],
                    format!(
                        "`{}` is beyond this machine, and what is sent there is not encrypted",
                        self.listen
                    ),
                )
                .hint(
                    "put a proxy with TLS before it and say `behind_proxy: true`, or listen at `127.0.0.1`",
                ),
            );
        }
        for (name, stream) in &self.streams {
            if stream.verify == VerifyConfig::None {
                problems.push(
                    Problem::new(
                        ["streams", name, "verify"],
                        format!("anybody who reaches `{}` could write into `{name}`", self.listen),
                    )
                    .hint("verify what is sent, or listen at `127.0.0.1`"),
                );
            }
        }
    }
}

impl StreamConfig {
    fn validate(&self, name: &str, problems: &mut Vec<Problem>) {
        let at =
            |keys: &[&str]| ["streams", name].iter().chain(keys).map(ToString::to_string).collect::<Vec<_>>();
        let is_plain = |char: char| char.is_ascii_graphic() && !"?#%".contains(char);
        if !self.path.starts_with('/') || !self.path.chars().all(is_plain) {
            problems.push(
                Problem::new(at(&["path"]), format!("`{}` is no path", self.path))
                    .hint("write one such as `/hooks/orders`, without spaces, `?`, `#` and `%`"),
            );
        }
        problems.extend(self.verify.problems(&at(&["verify"])));
        problems.extend(
            self.headers
                .iter()
                .enumerate()
                .filter_map(|(index, name)| header(name, at(&["headers", &index.to_string()]))),
        );
        if self.form_field.is_some() && self.format != Format::Form {
            let message = format!("`{}` bodies have no form's fields", self.format.as_str());
            problems
                .push(Problem::new(at(&["form_field"]), message).hint("say `format: form`, or leave it out"));
        } else if self.records.is_some() && self.format == Format::Form && self.form_field.is_none() {
            let problem = Problem::new(at(&["records"]), "a form is one record");
            problems.push(problem.hint("leave it out, or name the `form_field` that holds JSON"));
        } else {
            match Body::new(self) {
                Err(error) => problems.push(said(at(&["records"]), &error)),
                Ok(body) => {
                    problems.extend(IdPlace::new(self, &body).err().map(|error| said(at(&["id"]), &error)))
                }
            }
        }
        problems.extend(records::problems(&at(&[]), &self.key, &self.exclude, &self.types));
        if !(200..300).contains(&self.answer.status) {
            let message = format!("`{}` does not say that a message was taken", self.answer.status);
            problems.push(Problem::new(at(&["answer", "status"]), message).hint("choose from 200 to 299"));
        } else if matches!(self.answer.status, 204 | 205) && !self.answer.body.is_empty() {
            let message = format!("an answer `{}` has no body", self.answer.status);
            problems.push(Problem::new(at(&["answer", "body"]), message).hint("leave it out, or answer 200"));
        }
        if let Some(Handshake::HubChallenge(hub)) = &self.handshake
            && hub.token.expose().is_empty()
        {
            let problem = Problem::new(at(&["handshake", "token"]), "a secret is empty");
            problems.push(problem.hint("give it as `${VARIABLE}` or `${file:/path}`"));
        }
    }
}

fn said(path: Vec<String>, error: &tidemark_engine::Error) -> Problem {
    let problem = Problem::new(path, error.message());
    match error.hint_text() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
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
        let sound = r#"{"listen": "0.0.0.0:8090", "behind_proxy": true, "streams": {
            "orders": {"path": "/hooks/orders", "verify": {"type": "standard-webhooks", "secret": "whsec_c2VjcmV0"},
                "records": "$.events[*]", "key": ["id"], "types": {"price": "decimal(12,2)"}, "headers": ["webhook-id"]},
            "pushes": {"path": "/github", "verify": {"type": "hmac", "header": "X-Hub-Signature-256", "secret": "s",
                "prefix": "sha256="}, "id": "header:X-GitHub-Delivery", "format": "form", "form_field": "payload"},
            "mails": {"path": "/graph", "verify": {"type": "shared-secret", "query": "k", "secret": "s"},
                "handshake": {"type": "validation-token"}, "id": "body:$.value.id", "answer": {"status": 202}}}}"#;
        assert_eq!(problems(sound), [""; 0]);
        let local = r#"{"listen": "[::1]:1", "streams": {"a": {"path": "/", "verify": {"type": "none"}}}}"#;
        assert_eq!(problems(local), [""; 0]);
    }

    #[test]
    fn beyond_this_machine_everything_is_verified_and_encrypted() {
        let open = r#"{"listen": "0.0.0.0:80", "streams": {"a": {"path": "/", "verify": {"type": "none"}}}}"#;
        assert_eq!(
            problems(open),
            [
                "listen: `0.0.0.0:80` is beyond this machine, and what is sent there is not encrypted",
                "streams.a.verify: anybody who reaches `0.0.0.0:80` could write into `a`",
            ]
        );
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let unsound = r#"{"listen": "localhost", "max_body": "33MiB", "max_waiting": 0, "remember": 100001, "answer_within": "0s",
            "streams": {
            "a": {"path": "hooks?", "verify": {"type": "none"}, "id": "query:x", "headers": ["a b"], "answer": {"status": 301}},
            "b": {"path": "/b", "verify": {"type": "none"}, "format": "xml", "records": "$.a", "form_field": "f"},
            "c": {"path": "/b", "verify": {"type": "none"}, "format": "xml", "id": "body:/a/b"},
            "d": {"path": "/d", "verify": {"type": "none"}, "records": "a", "key": ["x", "x"],
                "handshake": {"type": "hub-challenge", "token": ""}},
            "e": {"path": "/e", "verify": {"type": "none"}, "format": "form", "records": "$"}}}"#;
        assert_eq!(
            problems(unsound),
            [
                "listen: `localhost` is no address with a port",
                "max_body: `33MiB` is not from `1B` to `32MiB`",
                "max_waiting: `0` is not from 1 to 10000",
                "remember: `100001` is not from 0 to 100000",
                "answer_within: nothing is durable within `0s`",
                "streams.a.path: `hooks?` is no path",
                "streams.a.headers.0: `a b` is no header's name",
                "streams.a.id: `query:x` does not say where an id stands",
                "streams.a.answer.status: `301` does not say that a message was taken",
                "streams.b.form_field: `xml` bodies have no form's fields",
                "streams.c.id: the id of a message in XML cannot be taken from its body",
                "streams.c.path: `/b` is the path of stream `b` too",
                "streams.d.records: `a` is no path to records",
                "streams.d.key.1: `x` is listed twice",
                "streams.d.handshake.token: a secret is empty",
                "streams.e.records: a form is one record",
            ]
        );
        assert_eq!(problems(r#"{"listen": "127.0.0.1:1", "streams": {}}"#), ["streams: no stream is listed"]);
    }
}
