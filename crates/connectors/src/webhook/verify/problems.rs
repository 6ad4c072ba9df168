//! What can be said against how requests are to be verified.

use axum::http::HeaderName;

use super::{HmacConfig, Secrets, SharedSecretConfig, VerifyConfig, standard, template::Template};
use crate::config::Problem;

impl VerifyConfig {
    /// Everything that is wrong with it; it stands at `path`.
    pub(in crate::webhook) fn problems(&self, path: &[String]) -> Vec<Problem> {
        let at = |key: &str| path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
        match self {
            Self::StandardWebhooks(config) => {
                let mut problems = secrets(&config.secret, at("secret"));
                if problems.is_empty()
                    && config.secret.all().iter().any(|secret| standard::key(secret).is_none())
                {
                    let problem = Problem::new(at("secret"), "a secret is not base64 behind `whsec_`");
                    problems.push(problem.hint("copy it from the sender as it is shown there"));
                }
                problems
            }
            Self::Hmac(config) => hmac(config, at),
            Self::SharedSecret(config) => shared(config, at),
            Self::Basic(config) => {
                let mut problems = secrets(&config.password, at("password"));
                if config.user.contains(':') {
                    let problem = Problem::new(at("user"), "the user's name has a colon in it");
                    problems.push(problem.hint("choose another: Basic authentication ends a name with it"));
                }
                problems
            }
            Self::None => Vec::new(),
        }
    }
}

fn hmac(config: &HmacConfig, at: impl Fn(&str) -> Vec<String>) -> Vec<Problem> {
    let mut problems = secrets(&config.secret, at("secret"));
    problems.extend(header(&config.header, at("header")));
    if let Some(name) = &config.timestamp_header {
        problems.extend(header(name, at("timestamp_header")));
    }
    let signed = match &config.signed {
        None => Some(Template::body()),
        Some(text) => {
            let template = Template::parse(text);
            if template.is_none() {
                let problem = Problem::new(at("signed"), format!("`{text}` does not say what is signed"));
                problems.push(problem.hint(
                    "write `{{ body }}` once, and `{{ timestamp }}` if that is signed too, such as `{{ timestamp }}.{{ body }}`",
                ));
            }
            template
        }
    };
    if let Some(signed) = signed {
        match (signed.has_timestamp(), &config.timestamp_header) {
            (true, None) => problems.push(
                Problem::new(
                    at("timestamp_header"),
                    "a timestamp is signed, but no header is said to hold it",
                )
                .hint("name the header, such as `X-Slack-Request-Timestamp`"),
            ),
            (false, Some(name)) => problems.push(
                Problem::new(
                    at("timestamp_header"),
                    format!("the timestamp in `{name}` is not signed, so anybody can write another"),
                )
                .hint("say under `signed` how the timestamp is signed, or leave `timestamp_header` out"),
            ),
            _ => {}
        }
    }
    problems
}

fn shared(config: &SharedSecretConfig, at: impl Fn(&str) -> Vec<String>) -> Vec<Problem> {
    let mut problems = secrets(&config.secret, at("secret"));
    match (&config.header, &config.query) {
        (Some(name), None) => problems.extend(header(name, at("header"))),
        (None, Some(name)) if !name.is_empty() => {}
        _ => problems.push(
            Problem::new(at("header"), "a shared secret stands in one place")
                .hint("name either a `header` or a `query` parameter"),
        ),
    }
    problems
}

fn secrets(secrets: &Secrets, path: Vec<String>) -> Vec<Problem> {
    let all = secrets.all();
    if !all.is_empty() && all.iter().all(|secret| !secret.expose().is_empty()) {
        return Vec::new();
    }
    vec![Problem::new(path, "a secret is empty").hint("give it as `${VARIABLE}` or `${file:/path}`")]
}

/// What is wrong with a header's name.
pub(in crate::webhook) fn header(name: &str, path: Vec<String>) -> Option<Problem> {
    let is_sound = HeaderName::from_bytes(name.as_bytes()).is_ok();
    let problem = || Problem::new(path, format!("`{name}` is no header's name"));
    (!is_sound).then(|| problem().hint("write one such as `X-Signature`"))
}
