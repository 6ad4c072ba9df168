//! Who vouches for a broker, and for us.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tidemark_engine::{Error, Result};

/// Certificates by the pipeline file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    ca: Option<PathBuf>,
    /// Our certificate and its key.
    ours: Option<(PathBuf, PathBuf)>,
}

impl Trust {
    /// The authority in the PEM file `ca`, or those that this machine trusts; for us, the certificate and the key in two others. Relative
    /// paths begin at `folder`.
    pub(crate) fn new(
        folder: &Path,
        ca: Option<&PathBuf>,
        certificate: Option<&PathBuf>,
        key: Option<&PathBuf>,
    ) -> Self {
        let at = |path: &PathBuf| folder.join(path);
        let ours = certificate.zip(key).map(|(certificate, key)| (at(certificate), at(key)));
        Self { ca: ca.map(at), ours }
    }

    /// How TLS is spoken then.
    pub(crate) fn tls(&self) -> Result<ClientConfig> {
        let unusable = |error: rustls::Error| Error::config("cannot set up TLS").source(error);
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(self.roots()?.0);
        match &self.ours {
            None => Ok(builder.with_no_client_auth()),
            Some((certificate, key)) => {
                let unread = |path: &Path| {
                    let message = format!("`{}` cannot be read", path.display());
                    move |error| Error::config(message).hint("name a PEM file").source(error)
                };
                let chain = CertificateDer::pem_file_iter(certificate)
                    .and_then(Iterator::collect)
                    .map_err(unread(certificate))?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(unread(key))?;
                builder.with_client_auth_cert(chain, key).map_err(unusable)
            }
        }
    }

    /// Those who vouch for a broker, as PEM: for libraries that set up TLS by themselves.
    pub(crate) fn authorities(&self) -> Result<String> {
        let pem = |certificate: &CertificateDer<'_>| {
            let text = BASE64_STANDARD.encode(certificate);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        Ok(self.roots()?.1.iter().map(pem).collect())
    }

    /// The files with our certificate and its key, for the same.
    pub(crate) fn ours(&self) -> Option<(&Path, &Path)> {
        self.ours.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()))
    }

    /// Those who vouch for a broker, ready for use and as they are written.
    fn roots(&self) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
        let (mut roots, mut certificates) = (RootCertStore::empty(), Vec::new());
        match &self.ca {
            None => {
                for certificate in rustls_native_certs::load_native_certs().certs {
                    // A machine may trust what is of no use to us.
                    if roots.add(certificate.clone()).is_ok() {
                        certificates.push(certificate);
                    }
                }
            }
            Some(path) => {
                let refused = || {
                    Error::config(format!("`ca: {}` holds no certificates that can be read", path.display()))
                        .hint(
                            "name a PEM file with the certificate of the authority that signed the broker's",
                        )
                };
                for certificate in
                    CertificateDer::pem_file_iter(path).map_err(|error| refused().source(error))?
                {
                    let certificate = certificate.map_err(|error| refused().source(error))?;
                    roots.add(certificate.clone()).map_err(|error| refused().source(error))?;
                    certificates.push(certificate);
                }
            }
        }
        if roots.is_empty() {
            return Err(Error::config("there is no certificate authority to trust")
                .hint("install the package `ca-certificates`, or name the broker's authority by `ca`"));
        }
        Ok((roots, certificates))
    }
}
