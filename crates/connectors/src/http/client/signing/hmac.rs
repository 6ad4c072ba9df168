//! Signatures whose parts the pipeline file names.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;
use http::HeaderName;
use tidemark_engine::{Error, Result, Time};

use super::{mac, set};
use crate::{
    config::Secret,
    http::client::{
        config::{Hmac, HmacAlgorithm, SignatureEncoding, TimestampFormat},
        request::Hop,
        template::Template,
    },
};

/// Signs requests as the pipeline file says.
pub(in crate::http::client) struct HmacSigner {
    header: HeaderName,
    timestamp_header: Option<HeaderName>,
    signed: Template,
    secret: Secret,
    config: Hmac,
}

impl HmacSigner {
    pub(in crate::http::client) fn new(config: &Hmac) -> Result<Self> {
        let name = |name: &str| {
            HeaderName::try_from(name).map_err(|_| Error::config(format!("`{name}` is no name of a header")))
        };
        Ok(Self {
            header: name(&config.header)?,
            timestamp_header: config.timestamp_header.as_deref().map(name).transpose()?,
            signed: Template::parse(&config.signed)?,
            secret: config.secret.clone(),
            config: config.clone(),
        })
    }

    pub(in crate::http::client) fn sign(&self, hop: &mut Hop, now: Time) -> Result<()> {
        let timestamp = written(now, self.config.timestamp);
        let body = std::str::from_utf8(&hop.body)
            .map_err(|_| Error::config("the body of a request is signed, and is no text"))?;
        let path = match hop.url.query() {
            Some(query) => format!("{}?{query}", hop.url.path()),
            None => hop.url.path().to_owned(),
        };
        let values: BTreeMap<_, _> =
            [("method", hop.method.as_str()), ("path", &path), ("timestamp", &timestamp), ("body", body)]
                .into();
        let message = self.signed.render(&values)?;
        let key = self.secret.expose().as_bytes();
        let signature = match self.config.algorithm {
            HmacAlgorithm::Sha256 => mac::sha256(key, message.as_bytes())?,
            HmacAlgorithm::Sha512 => mac::sha512(key, message.as_bytes())?,
        };
        let signature = match self.config.encoding {
            SignatureEncoding::Hex => mac::hex(&signature),
            SignatureEncoding::Base64 => BASE64_STANDARD.encode(signature),
        };
        if let Some(header) = &self.timestamp_header {
            set(hop, header.clone(), &timestamp)?;
        }
        set(hop, self.header.clone(), &format!("{}{signature}", self.config.prefix))
    }
}

fn written(now: Time, format: TimestampFormat) -> String {
    let micros = now.as_micros();
    match format {
        TimestampFormat::Seconds => micros.div_euclid(1_000_000).to_string(),
        TimestampFormat::Millis => micros.div_euclid(1_000).to_string(),
        TimestampFormat::Rfc3339 => {
            let second = DateTime::from_timestamp_micros(micros).unwrap_or_default();
            second.format("%Y-%m-%dT%H:%M:%SZ").to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;

    fn sign(config: serde_json::Value) -> HeaderMap {
        let signer = HmacSigner::new(&serde_json::from_value(config).unwrap()).unwrap();
        let url = "https://api.example/v1/orders?page=2".parse().unwrap();
        let body = Bytes::from_static(b"{\"a\": 1}");
        let mut hop = Hop { method: Method::POST, url, headers: HeaderMap::new(), body };
        signer.sign(&mut hop, Time::from_micros(1_700_000_000_123_456)).unwrap();
        hop.headers
    }

    #[test]
    fn the_parts_are_signed_as_the_template_has_them() {
        let headers = sign(serde_json::json!({
            "header": "X-Signature", "secret": "key", "prefix": "sha256=", "timestamp_header": "X-Time",
            "signed": "{{ timestamp }}.{{ method }}.{{ path }}.{{ body }}",
        }));
        let message = b"1700000000.POST./v1/orders?page=2.{\"a\": 1}";
        assert_eq!(headers["x-time"], "1700000000");
        assert_eq!(
            headers["x-signature"],
            format!("sha256={}", mac::hex(&mac::sha256(b"key", message).unwrap()))
        );
        assert!(headers["x-signature"].is_sensitive());
        let headers = sign(serde_json::json!({
            "header": "X-Signature", "secret": "key", "algorithm": "sha512", "encoding": "base64",
            "timestamp": "millis", "signed": "{{ timestamp }}",
        }));
        assert_eq!(
            headers["x-signature"],
            BASE64_STANDARD.encode(mac::sha512(b"key", b"1700000000123").unwrap())
        );
    }
}
