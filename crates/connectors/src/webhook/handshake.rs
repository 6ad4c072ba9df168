//! What a service asks of an address before it sends anything there: to say back what it says.

use axum::{
    body::Body,
    http::{Method, Response, StatusCode, Uri},
};

use super::{Handshake, answers::plain, form, verify::is_equal};

/// What is said back is no longer than this.
const LONGEST: usize = 4_096;

impl Handshake {
    /// The answer, if the request is one.
    pub(super) fn answer(&self, method: &Method, uri: &Uri) -> Option<Response<Body>> {
        let fields = form::fields(uri.query()?.as_bytes()).ok()?;
        let field =
            |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let said = match self {
            // Meta, "Webhooks: Verification Requests"; W3C WebSub, section 5.3.
            Self::HubChallenge(hub) if method == Method::GET => {
                let challenge = field("hub.challenge")?;
                let token = field("hub.verify_token").unwrap_or_default();
                if !is_equal(token.as_bytes(), hub.token.expose().as_bytes()) {
                    return Some(plain(StatusCode::FORBIDDEN, String::new()));
                }
                challenge
            }
            // Microsoft Graph, "Receive change notifications through webhooks": with POST, and the token as plain text.
            Self::ValidationToken if method == Method::POST => field("validationToken")?,
            _ => return None,
        };
        (said.len() <= LONGEST).then(|| plain(StatusCode::OK, said.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Secret, webhook::HubChallenge};

    fn status(handshake: &Handshake, method: Method, uri: &str) -> Option<u16> {
        let answer = handshake.answer(&method, &uri.parse().unwrap());
        answer.map(|response| response.status().as_u16())
    }

    #[test]
    fn only_who_knows_the_token_is_answered() {
        let hub = Handshake::HubChallenge(HubChallenge { token: Secret::new("t") });
        let uri = "/h?hub.mode=subscribe&hub.challenge=42&hub.verify_token=";
        assert_eq!(status(&hub, Method::GET, &format!("{uri}t")), Some(200));
        assert_eq!(status(&hub, Method::GET, &format!("{uri}T")), Some(403));
        assert_eq!(status(&hub, Method::GET, "/h"), None);
        assert_eq!(status(&hub, Method::POST, &format!("{uri}t")), None);
        let graph = Handshake::ValidationToken;
        assert_eq!(status(&graph, Method::POST, "/h?validationToken=a%20b"), Some(200));
        assert_eq!(status(&graph, Method::GET, "/h?validationToken=a"), None);
        assert_eq!(status(&graph, Method::POST, "/h"), None);
        assert_eq!(status(&graph, Method::POST, &format!("/h?validationToken={}", "a".repeat(5_000))), None);
    }
}
