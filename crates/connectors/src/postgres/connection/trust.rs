//! Whose certificate is believed.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tidemark_engine::{Error, Result};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::server::Authorities;

/// TLS for servers that `authorities` vouch for, each under the name it is reached by where `name` is set.
pub(super) fn tls(authorities: &Authorities, name: bool) -> Result<MakeRustlsConnect> {
    let roots = Arc::new(match authorities {
        Authorities::System => system_roots()?,
        Authorities::File(path) => roots_of(path)?,
    });
    // Named here, the cryptography needs no setting for the whole process.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let unusable = |error: TlsError| Error::internal("cannot set up TLS").source(error);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let config = if name {
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| Error::internal("cannot set up TLS").source(error))?;
        let verifier = Arc::new(AnyName { inner });
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    };
    Ok(MakeRustlsConnect::new(config))
}

fn system_roots() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::config("this machine trusts no certificate authority").hint(
            "install the package `ca-certificates`, or name the server's authority by `sslrootcert=/path/to/ca.pem`",
        ));
    }
    Ok(roots)
}

fn roots_of(path: &Path) -> Result<RootCertStore> {
    let refused = || {
        Error::config(format!("`sslrootcert={}` holds no certificates that can be read", path.display()))
            .hint("name a PEM file with the certificate of the authority that signed the server's")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refused().source(error))? {
        let certificate = certificate.map_err(|error| refused().source(error))?;
        roots.add(certificate).map_err(|error| refused().source(error))?;
    }
    if roots.is_empty() { Err(refused()) } else { Ok(roots) }
}

/// Believes every certificate that an authority has signed, whatever host it is for: `sslmode=verify-ca`.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match self.inner.verify_server_cert(certificate, intermediates, server, ocsp_response, now) {
            // The name is compared last, when everything else has been found in order.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
