//! What a pipeline file says of how an HTTP server is reached.

mod address;
mod auth;
mod auth_problems;
mod limits;
mod tls;
mod webhook_keys;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

pub use address::Address;
pub use auth::{
    ApiKey, ApiKeyPlace, Auth, AwsSigV4, AzureSas, AzureService, AzureSharedKey, Basic, Bearer,
    CredentialsIn, Grant, Hmac, HmacAlgorithm, Login, OAuth2, Session, SessionHeader, SessionToken,
    SignatureEncoding, TimestampFormat,
};
pub use limits::{ByteRate, Limits, RequestRate, Retry};
pub use tls::{ClientCertificate, Pem};
pub use webhook_keys::WebhookKeys;

use super::{guard::Guard, pointer::JsonPath};
use crate::config::Problem;

/// How an HTTP server is reached, and what is expected of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// How requests are authorized. Default: not at all.
    pub auth: Auth,
    /// A certificate to show to the server (mutual TLS).
    pub client_certificate: Option<ClientCertificate>,
    /// The authorities that may vouch for the server, instead of the system's: PEM text, or the path of a PEM file from the
    /// pipeline file's folder.
    pub ca: Option<Pem>,
    /// What one connection may use. It is shared by every pipeline of this process that reaches the same server with the same
    /// credentials; where they differ, the strictest counts.
    pub limits: Limits,
    /// When a request is repeated.
    pub retry: Retry,
    /// Whether addresses of private networks and of this machine may be reached. Link-local addresses, where clouds keep
    /// credentials of machines, stay out of reach; `allow_hosts` opens one host alone.
    pub allow_private_addresses: bool,
    /// Hosts that may be reached wherever they are: names or addresses as they stand in the URL.
    pub allow_hosts: Vec<String>,
    /// Where an answer that says 200 tells of an error: `error`, `errors.0.code` or a JSON pointer (`/error`). It is one where
    /// something stands there that is not `null`, `false`, `0` or empty.
    pub error_when: Option<JsonPath>,
    /// What signs requests beside `auth`, as Standard Webhooks says; each has to have its `webhook-id`.
    #[serde(skip)]
    pub signature: Option<WebhookKeys>,
}

impl ClientConfig {
    /// Everything that is wrong with it as far as can be told without touching the network, where requests go to `base`.
    pub fn validate(&self, base: &Url) -> Vec<Problem> {
        let mut problems = self.auth.validate();
        problems.extend(self.limits.validate());
        problems.extend(self.retry.validate());
        problems.extend(self.client_certificate.as_ref().and_then(ClientCertificate::problem));
        let guard = Guard::new(self);
        let empty =
            self.allow_hosts.iter().position(|host| host.trim().is_empty() || host.contains(['/', '@']));
        if let Some(place) = empty {
            let message = format!("`{}` is no host", self.allow_hosts[place]);
            problems.push(
                Problem::new(["allow_hosts".to_owned(), place.to_string()], message)
                    .hint("give a name or an address alone, such as `api.intern` or `10.0.0.7`"),
            );
        }
        for url in std::iter::once(base).chain(self.auth.urls().iter()) {
            if let Err(error) = guard.check_carries(url, self.auth != Auth::None) {
                let problem = Problem::new(["auth"], error.message());
                problems.push(Problem { hint: error.hint_text().map(str::to_owned), ..problem });
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: serde_json::Value) -> Result<ClientConfig, serde_json::Error> {
        serde_json::from_value(json)
    }

    fn problems(json: serde_json::Value, base: &str) -> Vec<String> {
        let config = parse(json).unwrap();
        let problems = config.validate(&Url::parse(base).unwrap());
        problems.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect()
    }

    #[test]
    fn every_way_to_authorize_reads() {
        for auth in [
            serde_json::json!({"type": "none"}),
            serde_json::json!({"type": "api-key", "in": "query", "name": "key", "value": "v"}),
            serde_json::json!({"type": "basic", "username": "u", "password": "p"}),
            serde_json::json!({"type": "bearer", "token": "t"}),
            serde_json::json!({"type": "oauth2", "token_url": "https://login.example/token", "client_id": "c",
                "client_secret": "s", "scope": "read", "params": {"resource": "r"}, "credentials_in": "header"}),
            serde_json::json!({"type": "session", "login": {"url": "https://api.example/login", "body": "{}"},
                "token": {"json": "access.token"}, "header": {"name": "X-Session", "value": "{{ token }}"}}),
            serde_json::json!({"type": "hmac", "header": "X-Signature", "secret": "s", "encoding": "base64",
                "signed": "{{ method }}{{ path }}{{ timestamp }}{{ body }}", "timestamp_header": "X-Time"}),
            serde_json::json!({"type": "azure-shared-key", "account": "shop", "key": "a2V5"}),
            serde_json::json!({"type": "azure-sas", "token": "?sv=2021&sig=x"}),
            serde_json::json!({"type": "aws-sigv4", "access_key_id": "A", "secret_access_key": "s",
                "region": "eu-north-1", "service": "execute-api"}),
        ] {
            let found = problems(serde_json::json!({"auth": auth.clone()}), "https://api.example/v1");
            assert_eq!(found, [""; 0], "{auth}");
        }
        assert!(parse(serde_json::json!({"auth": {"type": "bearer", "token": "t", "x": 1}})).is_err());
        assert!(parse(serde_json::json!({"limit": {}})).is_err());
    }

    #[test]
    fn every_problem_is_found_at_once_and_no_secret_is_told() {
        let found = problems(
            serde_json::json!({
                "auth": {"type": "oauth2", "token_url": "http://login.example", "client_id": "", "grant": "refresh_token"},
                "limits": {"requests": "0 per 1m", "concurrency": 0},
                "retry": {"attempts": 0},
                "allow_hosts": ["http://a"],
            }),
            "https://api.example",
        );
        for part in [
            "auth.client_id",
            "auth.refresh_token",
            "limits.requests",
            "limits.concurrency",
            "retry.attempts",
            "allow_hosts.0",
            "in the clear",
        ] {
            assert!(found.iter().any(|problem| problem.contains(part)), "{part}: {found:?}");
        }
        let key =
            serde_json::json!({"auth": {"type": "azure-shared-key", "account": "a", "key": "hunter2!"}});
        let found = problems(key, "https://a.table.core.windows.net");
        assert!(found[0].starts_with("auth.key") && !found[0].contains("hunter2"), "{found:?}");
    }
}
