//! Who we are to the brokers, and who vouches for them.

use std::path::Path;

use krafka::auth::{AuthConfig, TlsConfig};
use tidemark_engine::{Error, Result};

use super::{DestinationConfig, Mechanism};

/// What a connection needs; `None` where it is open to all. Relative paths begin at `folder`.
pub(super) fn security(config: &DestinationConfig, folder: &Path) -> Result<Option<AuthConfig>> {
    let login = config.username.as_ref().zip(config.password.as_ref()).map(|(username, password)| {
        let (username, password) = (username.clone(), password.expose().to_owned());
        match config.mechanism.unwrap_or_default() {
            Mechanism::Plain => AuthConfig::sasl_plain(username, password),
            Mechanism::ScramSha256 => AuthConfig::sasl_scram_sha256(username, password),
            Mechanism::ScramSha512 => AuthConfig::sasl_scram_sha512(username, password),
        }
    });
    if !config.addresses()?.iter().all(|address| address.is_secure()) {
        return Ok(login);
    }
    let trust = config.trust(folder);
    let mut tls = TlsConfig::new().with_ca_cert_pem(trust.authorities()?);
    if let Some((certificate, key)) = trust.ours() {
        tls = tls.with_client_cert(text(certificate)?, text(key)?);
    }
    Ok(Some(login.unwrap_or_else(AuthConfig::plaintext).with_tls(tls)))
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::config(format!("`{}` is not UTF-8", path.display())).hint("rename the file or its folder")
    })
}
