//! How services misbehave, as documented: they throttle, forget their callers, and do not answer.

use chrono::DateTime;
use serde_json::json;

use super::call::{self, Call};
use crate::{http::Response, sender::Sender};

/// What a double does beside answering. Nothing, unless the test says so.
#[derive(Debug, Default)]
pub struct Trouble {
    /// One of so many requests is throttled; 0: none.
    pub throttle_every: u64,
    /// Whether the wait is told as a date, not in seconds.
    pub tells_dates: bool,
    /// How many requests a token is good for; 0: for ever.
    pub token_uses: u64,
    /// The kinds of grants that tokens are given for; empty: any.
    pub grants: Vec<&'static str>,
    asked: u64,
    throttled: u64,
    refused: u64,
    tokens: u64,
    uses: u64,
    hang: Option<u64>,
}

impl Trouble {
    /// Requests that have come, without those for tokens.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Requests that were throttled.
    pub fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Requests that were refused because their token had ended, or was none.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The token that counts, for services whose clients bring one.
    pub fn token(&self) -> String {
        format!("token-{}", self.tokens)
    }

    pub(super) fn hang_after(&mut self, more: u64) {
        self.hang = Some(self.asked + more);
    }

    pub(super) fn is_to_hang(&mut self) -> bool {
        self.asked += 1;
        self.hang.take_if(|at| self.asked > *at).is_some()
    }

    /// The header that asks for a wait, when it is time for one.
    pub(super) fn asks_to_wait(&mut self) -> Option<(&'static str, String)> {
        if self.throttle_every == 0 || !self.asked.is_multiple_of(self.throttle_every) {
            return None;
        }
        self.throttled += 1;
        let date = DateTime::from_timestamp(Sender::now() as i64 + 1, 0).unwrap();
        let wait = match self.tells_dates {
            true => date.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            false => "1".to_owned(),
        };
        Some(("retry-after", wait))
    }

    /// Whether the caller's token counts.
    pub(super) fn knows(&mut self, call: &Call<'_>) -> bool {
        let is_good = self.token_uses == 0 || self.uses < self.token_uses;
        let is_known = call.header("authorization") == Some(&format!("Bearer {}", self.token()));
        match is_good && is_known {
            true => self.uses += 1,
            false => self.refused += 1,
        }
        is_good && is_known
    }

    /// The answer of a token endpoint (RFC 6749, section 5.1): the token before counts no longer.
    pub(super) fn give_token(&mut self, call: &Call<'_>, lifetime: Option<u64>) -> Response {
        let grant = call.field("grant_type").unwrap_or_default();
        if !self.grants.is_empty() && !self.grants.contains(&grant.as_str()) {
            return call::json(400, &[], &json!({"error": "unauthorized_client"}));
        }
        if call.field("client_secret").as_deref() != Some("s3cret") {
            return call::json(401, &[], &json!({"error": "invalid_client"}));
        }
        (self.tokens, self.uses) = (self.tokens + 1, 0);
        let mut token = json!({"token_type": "Bearer", "access_token": self.token()});
        if let Some(lifetime) = lifetime {
            token["expires_in"] = json!(lifetime);
        }
        if grant == "refresh_token" {
            token["refresh_token"] = json!(format!("refresh-{}", self.tokens));
        }
        call::json(200, &[], &token)
    }
}
