//! Signatures over single requests. The time is handed in; nothing here knows what time it is.

mod azure;
mod hmac;
mod mac;
mod sigv4;
mod standard;

pub(super) use azure::{append_sas, sign_shared_key};
pub(super) use hmac::HmacSigner;
pub(crate) use mac::sha256 as hmac_sha256;
pub(super) use sigv4::sign_v4;
pub(crate) use standard::WEBHOOK_ID;
pub(super) use standard::sign_webhook;

use http::{HeaderName, HeaderValue};
use tidemark_engine::{Error, Result};

use super::request::Hop;

/// Sets a header that carries a signature or what belongs to it.
fn set(hop: &mut Hop, name: HeaderName, value: &str) -> Result<()> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::config(format!("the credentials cannot stand in the header `{name}`")))?;
    value.set_sensitive(true);
    hop.headers.insert(name, value);
    Ok(())
}
