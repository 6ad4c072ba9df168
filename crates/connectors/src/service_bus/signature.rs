//! Tokens that a shared access key signs.
//!
//! Source: "Service Bus access control with Shared Access Signatures" (learn.microsoft.com).

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidemark_engine::{Result, Time};

use crate::{config::Secret, http::client::hmac_sha256};

/// How long a token lasts.
const LIFETIME: Duration = Duration::from_secs(3600);
/// How long before its end it is renewed.
const MARGIN: Duration = Duration::from_secs(600);
/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A shared access policy and its key.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) key: Secret,
}

/// What lets its bearer do as the policy says, in one place and for a time.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: Secret,
    pub(super) end: Time,
    /// When there has to be another.
    pub(super) renewal: Time,
}

impl Policy {
    /// A token for `audience`, the URI of a queue or topic.
    pub(super) fn token(&self, audience: &str, now: Time) -> Result<Token> {
        let seconds = now.as_micros() / 1_000_000 + LIFETIME.as_secs() as i64;
        let end = Time::from_micros(seconds * 1_000_000);
        let audience = utf8_percent_encode(audience, ENCODED).to_string();
        let signed = format!("{audience}\n{seconds}");
        let signature = hmac_sha256(self.key.expose().as_bytes(), signed.as_bytes())?;
        let signature = BASE64_STANDARD.encode(signature);
        let text = format!(
            "SharedAccessSignature sr={audience}&sig={}&se={seconds}&skn={}",
            utf8_percent_encode(&signature, ENCODED),
            utf8_percent_encode(&self.name, ENCODED)
        );
        let renewal = Time::from_micros(end.as_micros() - MARGIN.as_micros() as i64);
        Ok(Token { text: Secret::new(text), end, renewal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature is what `generate_sas_token` of Microsoft's `azure-servicebus` 7.15.0 makes of the same.
    #[test]
    fn tokens_are_those_of_microsofts_client() {
        let policy = Policy { name: "Root Manage".to_owned(), key: Secret::new("a+key/=") };
        let token = policy
            .token("sb://shop.servicebus.windows.net/orders", Time::from_micros(1_700_000_000_500_000))
            .unwrap();
        let wanted = "SharedAccessSignature sr=sb%3A%2F%2Fshop.servicebus.windows.net%2Forders\
            &sig=UwMNw5ta5gqhbrjGoPIOiPoqq36Q1cXjDDil0FHeDc8%3D&se=1700003600&skn=Root%20Manage";
        assert_eq!(token.text.expose(), wanted);
        assert_eq!(token.end, Time::from_micros(1_700_003_600_000_000));
    }
}
