//! Standard Webhooks 1.0.0, its symmetric scheme (<https://www.standardwebhooks.com>, "Verifying webhook authenticity"): `webhook-signature`
//! holds, among others and separated by spaces, `v1,` and the base64 of the HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`.

use base64::{Engine, engine::general_purpose::STANDARD};
use tidemark_engine::Time;

use super::{
    Request, StandardConfig, Unverified,
    config::{Algorithm, Encoding},
    signature, timestamp,
};
use crate::config::Secret;

/// Signatures of one request that are looked at: a sender has as many as it has secrets.
const SIGNATURES: usize = 16;

/// Verifies requests by the secrets of one endpoint.
#[derive(Clone)]
pub(in crate::webhook) struct Standard {
    keys: Vec<Vec<u8>>,
    tolerance: std::time::Duration,
}

impl Standard {
    /// `None` when a secret is none.
    pub(super) fn new(config: &StandardConfig) -> Option<Self> {
        let keys = config.secret.all().iter().map(key).collect::<Option<_>>()?;
        Some(Self { keys, tolerance: config.tolerance.0 })
    }

    pub(super) fn verify(&self, request: &Request<'_>, now: Time) -> Result<(), Unverified> {
        let id = request.header("webhook-id")?;
        let sent = request.header("webhook-timestamp")?;
        let signatures = request.header("webhook-signature")?;
        timestamp::check(sent, now, self.tolerance)?;
        let signed: [&[u8]; 5] = [id, b".", sent, b".", request.body];
        let mut good = false;
        for signature in signatures.split(|byte| *byte == b' ').take(SIGNATURES) {
            // Others are of other schemes.
            let Some(signature) = signature.strip_prefix(b"v1,") else { continue };
            let Some(signature) = Encoding::Base64.decode(signature) else { continue };
            for key in &self.keys {
                good |= signature::matches(Algorithm::Sha256, key, &signed, &signature);
            }
        }
        if good { Ok(()) } else { Err(Unverified) }
    }
}

/// The bytes of a secret: base64, mostly behind `whsec_`.
pub(in crate::webhook) fn key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose();
    let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
    (!key.is_empty()).then_some(key)
}
