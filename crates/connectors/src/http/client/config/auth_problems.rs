//! What is wrong with credentials, as far as can be told without showing them to anybody.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, Method};

use super::{
    super::template::Template,
    auth::{ApiKeyPlace, Auth, Grant, OAuth2, Session},
};
use crate::config::{Problem, Secret};

impl Auth {
    pub(super) fn validate(&self) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        match self {
            Self::None => {}
            Self::ApiKey(key) => {
                found.filled("value", key.value.expose());
                match key.place {
                    ApiKeyPlace::Header => found.header("name", &key.name),
                    ApiKeyPlace::Query => found.filled("name", &key.name),
                }
            }
            Self::Basic(basic) => {
                found.filled("username", &basic.username);
                if basic.username.contains(':') {
                    found.wrong("username", "a user name with `:` in it cannot be sent", "take the `:` out");
                }
            }
            Self::Bearer(bearer) => found.filled("token", bearer.token.expose()),
            Self::OAuth2(oauth) => found.oauth(oauth),
            Self::Session(session) => found.session(session),
            Self::Hmac(hmac) => {
                found.header("header", &hmac.header);
                found.filled("secret", hmac.secret.expose());
                found.template("signed", &hmac.signed);
                if let Some(header) = &hmac.timestamp_header {
                    found.header("timestamp_header", header);
                }
            }
            Self::AzureSharedKey(key) => {
                found.filled("account", &key.account);
                if key.key.expose().is_empty() || BASE64_STANDARD.decode(key.key.expose()).is_err() {
                    found.wrong("key", "the key is not Base64", "copy `key1` of the account's access keys");
                }
            }
            Self::AzureSas(sas) => {
                if !sas.token.expose().contains("sig=") {
                    found.wrong(
                        "token",
                        "the token has no signature (`sig=`)",
                        "copy it whole: `?sv=...&sig=...`",
                    );
                }
            }
            Self::AwsSigV4(aws) => {
                found.filled("access_key_id", &aws.access_key_id);
                found.filled("secret_access_key", aws.secret_access_key.expose());
                found.filled("region", &aws.region);
                found.filled("service", &aws.service);
            }
        }
        found.0
    }
}

/// The problems found so far below `auth`.
struct Found(Vec<Problem>);

impl Found {
    fn wrong(&mut self, key: &str, message: impl Into<String>, hint: &str) {
        let path = std::iter::once("auth").chain(key.split('.'));
        self.0.push(Problem::new(path, message).hint(hint));
    }

    fn filled(&mut self, key: &str, value: &str) {
        if value.trim().is_empty() {
            self.wrong(key, format!("`{key}` is empty"), "give it, best as `${VARIABLE}` where it is secret");
        }
    }

    fn header(&mut self, key: &str, name: &str) {
        if HeaderName::try_from(name).is_err() {
            self.wrong(key, format!("`{name}` is no name of a header"), "use letters, digits and `-`");
        }
    }

    fn template(&mut self, key: &str, source: &str) {
        if let Err(error) = Template::parse(source) {
            self.wrong(
                key,
                format!("`{key}` is no template: {}", error.message()),
                "write `{{ name }}` for values",
            );
        }
    }

    fn oauth(&mut self, oauth: &OAuth2) {
        self.filled("client_id", &oauth.client_id);
        let has = |secret: &Option<Secret>| secret.as_ref().is_some_and(|secret| !secret.expose().is_empty());
        match oauth.grant {
            Grant::RefreshToken if !has(&oauth.refresh_token) => {
                self.wrong(
                    "refresh_token",
                    "there is no refresh token to begin with",
                    "give `refresh_token`",
                );
            }
            Grant::ClientCredentials if !has(&oauth.client_secret) => {
                self.wrong("client_secret", "there is no `client_secret`", "give it as `${VARIABLE}`");
            }
            Grant::ClientCredentials if oauth.refresh_token.is_some() => {
                self.wrong(
                    "refresh_token",
                    "the refresh token is not used",
                    "add `grant: refresh_token`, or take it out",
                );
            }
            _ => {}
        }
    }

    fn session(&mut self, session: &Session) {
        if Method::from_bytes(session.login.method.as_bytes()).is_err() {
            self.wrong("login.method", format!("`{}` is no method", session.login.method), "use `POST`");
        }
        for name in session.login.headers.keys() {
            self.header("login.headers", name);
        }
        self.template("login.body", session.login.body.expose());
        if let Some(header) = &session.header {
            self.header("header.name", &header.name);
            self.template("header.value", &header.value);
        }
    }
}
