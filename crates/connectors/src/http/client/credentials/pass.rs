//! What goes with a request.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tidemark_engine::{Error, Result, Time};

use crate::{
    config::Secret,
    http::client::{
        config::{ApiKeyPlace, Auth, AwsSigV4, AzureSharedKey},
        request::Hop,
        signing::{HmacSigner, append_sas, sign_shared_key, sign_v4},
    },
};

/// What proves to the server who sends a request.
pub(in crate::http::client) enum Pass {
    Nothing,
    Header(HeaderName, HeaderValue),
    Query(String, Secret),
    Hmac(Arc<HmacSigner>),
    SharedKey(AzureSharedKey),
    SharedAccess(Secret),
    SigV4(AwsSigV4),
}

impl Pass {
    /// That of credentials that do not change.
    pub(super) fn fixed(auth: &Auth) -> Result<Self> {
        Ok(match auth {
            Auth::None => Self::Nothing,
            Auth::ApiKey(key) if key.place == ApiKeyPlace::Query => {
                Self::Query(key.name.clone(), key.value.clone())
            }
            Auth::ApiKey(key) => Self::header(&key.name, key.value.expose())?,
            Auth::Basic(basic) => Self::basic(&basic.username, basic.password.expose())?,
            Auth::Bearer(bearer) => Self::bearer(bearer.token.expose())?,
            Auth::Hmac(hmac) => Self::Hmac(Arc::new(HmacSigner::new(hmac)?)),
            Auth::AzureSharedKey(key) => Self::SharedKey(key.clone()),
            Auth::AzureSas(sas) => Self::SharedAccess(sas.token.clone()),
            Auth::AwsSigV4(aws) => Self::SigV4(aws.clone()),
            Auth::OAuth2(_) | Auth::Session(_) => {
                return Err(Error::internal("a token that ends is no fixed pass"));
            }
        })
    }

    /// A header that carries a secret.
    pub(super) fn header(name: &str, value: &str) -> Result<Self> {
        let unsound = || Error::config(format!("the credentials cannot stand in the header `{name}`"));
        let header = HeaderName::try_from(name).map_err(|_| unsound())?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| unsound().hint("take line breaks out of the secret"))?;
        value.set_sensitive(true);
        Ok(Self::Header(header, value))
    }

    pub(super) fn bearer(token: &str) -> Result<Self> {
        Self::header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    pub(super) fn basic(user: &str, password: &str) -> Result<Self> {
        let both = BASE64_STANDARD.encode(format!("{user}:{password}"));
        Self::header(AUTHORIZATION.as_str(), &format!("Basic {both}"))
    }

    /// Puts it on a request that is otherwise ready: signatures are over all of it.
    pub(in crate::http::client) fn apply(&self, hop: &mut Hop, now: Time) -> Result<()> {
        match self {
            Self::Nothing => {}
            Self::Header(name, value) => drop(hop.headers.insert(name.clone(), value.clone())),
            Self::Query(name, value) => {
                let [name, value] =
                    [name, value.expose()].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
                append_sas(hop, &Secret::new(format!("{name}={value}")));
            }
            Self::Hmac(signer) => signer.sign(hop, now)?,
            Self::SharedKey(config) => sign_shared_key(hop, config, now)?,
            Self::SharedAccess(token) => append_sas(hop, token),
            Self::SigV4(config) => sign_v4(hop, config, now)?,
        }
        Ok(())
    }
}
