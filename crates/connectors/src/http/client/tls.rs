//! Whose certificate is believed, and which one is shown.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig as TlsConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tidemark_engine::{Error, Result};

use super::config::{ClientCertificate, ClientConfig, Pem};

/// TLS as `config` says, where its relative paths begin at `folder`.
pub(super) fn tls(config: &ClientConfig, folder: &Path) -> Result<TlsConfig> {
    let roots = match &config.ca {
        None => system_roots()?,
        Some(ca) => roots_of(ca, folder)?,
    };
    // Named here, the cryptography needs no setting for the whole process.
    let builder = TlsConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("cannot set up TLS").source(error))?
        .with_root_certificates(roots);
    let mut tls = match &config.client_certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let (chain, key) = identity(certificate, folder)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                Error::config("the client certificate and its key cannot be used")
                    .source(error)
                    .hint("give the key that belongs to the certificate, under `client_certificate`")
            })?
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

fn system_roots() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::config("this machine trusts no certificate authority")
            .hint("install the package `ca-certificates`, or name the server's authority by `ca`"));
    }
    Ok(roots)
}

fn certificates(pem: &Pem, key: &str, folder: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let refused =
        || Error::config(format!("`{key}` holds no certificates that can be read")).hint("give PEM text");
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.read(key, folder)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(refused()),
        Err(error) => Err(refused().source(error)),
    }
}

fn roots_of(ca: &Pem, folder: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "ca", folder)? {
        roots.add(certificate).map_err(|error| Error::config("`ca` is no authority").source(error))?;
    }
    Ok(roots)
}

fn identity(
    certificate: &ClientCertificate,
    folder: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates(&certificate.certificate, "client_certificate.certificate", folder)?;
    let text = certificate.key.read("client_certificate.key", folder)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        Error::config("`client_certificate.key` holds no key that can be read")
            .source(error)
            .hint("give PEM text")
    })?;
    Ok((chain, key))
}
