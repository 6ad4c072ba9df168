//! Standard Webhooks 1.0.0, its symmetric scheme (<https://www.standardwebhooks.com>): `webhook-signature` holds, separated by spaces, a
//! `v1,` and the base64 of the HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}` for each key.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderName;
use tidemark_engine::{Error, Result, Time};

use super::{mac, set};
use crate::http::client::{config::WebhookKeys, request::Hop};

/// The header that says which message it is, the same however often it is sent.
pub(crate) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Signs `hop`, which has its `webhook-id`, as of now.
pub(in crate::http::client) fn sign_webhook(hop: &mut Hop, keys: &WebhookKeys, now: Time) -> Result<()> {
    let id = hop.headers.get(WEBHOOK_ID).ok_or_else(|| Error::internal("a web hook without an id"))?;
    let timestamp = now.as_micros().div_euclid(1_000_000).to_string();
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &hop.body].concat();
    let signature = |key: &Vec<u8>| Ok(format!("v1,{}", BASE64_STANDARD.encode(mac::sha256(key, &signed)?)));
    let signatures = keys.0.iter().map(signature).collect::<Result<Vec<_>>>()?;
    set(hop, TIMESTAMP, &timestamp)?;
    set(hop, SIGNATURE, &signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut hop = Hop {
            method: Method::POST,
            url: "https://example.com/hook".parse().unwrap(),
            headers: HeaderMap::from_iter([(WEBHOOK_ID, "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap())]),
            body: Bytes::from_static(br#"{"test": 2432232314}"#),
        };
        let now = Time::from_micros(1_614_265_330_999_999);
        sign_webhook(&mut hop, &WebhookKeys(vec![key, b"other".to_vec()]), now).unwrap();
        assert_eq!(hop.headers["webhook-timestamp"], "1614265330");
        let signatures = hop.headers["webhook-signature"].to_str().unwrap();
        let (first, second) = signatures.split_once(' ').unwrap();
        assert_eq!(first, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(second.starts_with("v1,") && second != first);
        hop.headers.remove(WEBHOOK_ID);
        assert!(sign_webhook(&mut hop, &WebhookKeys(Vec::new()), now).is_err());
    }
}
