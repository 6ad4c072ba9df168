//! Who a connection is, as the server counts.

use tidemark_engine::Digest;

use crate::http::client::config::Auth;

/// The same for the same credentials; it tells nothing of them.
pub(in crate::http::client) fn identity(auth: &Auth) -> Digest {
    let parts: Vec<&str> = match auth {
        Auth::None => vec!["none"],
        Auth::ApiKey(key) => vec!["api-key", &key.name, key.value.expose()],
        Auth::Basic(basic) => vec!["basic", &basic.username],
        Auth::Bearer(bearer) => vec!["bearer", bearer.token.expose()],
        Auth::OAuth2(oauth) => vec!["oauth2", oauth.token_url.0.as_str(), &oauth.client_id],
        Auth::Session(session) => {
            let mut parts = vec!["session", session.login.url.0.as_str(), session.login.body.expose()];
            parts.extend(session.login.values.values().map(|value| value.expose()));
            parts
        }
        Auth::Hmac(hmac) => vec!["hmac", hmac.secret.expose()],
        Auth::AzureSharedKey(key) => vec!["azure", &key.account],
        Auth::AzureSas(sas) => vec!["azure-sas", sas.token.expose()],
        Auth::AwsSigV4(aws) => vec!["aws", &aws.access_key_id],
    };
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    Digest::of(&text)
}
