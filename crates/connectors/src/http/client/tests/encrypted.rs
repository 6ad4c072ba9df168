//! Servers that are spoken to over TLS.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::json;
use tidemark_engine::ErrorKind;

use super::*;

/// An authority of the test.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    der: rustls::pki_types::CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { pem, issuer: Issuer::new(params, key), der }
    }

    /// A certificate for `name` and its key, both as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with a certificate of `authority` that takes only clients with one; it says `{}` over HTTP/1.1 to each.
fn start(authority: &Authority) -> Url {
    let (certificate, key) = authority.sign("127.0.0.1");
    let chain = rustls::pki_types::CertificateDer::pem_slice_iter(certificate.as_bytes())
        .map(Result::unwrap)
        .collect();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::new(config.clone())).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut request = Vec::new();
            let mut part = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
                    _ => break,
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").ok();
            stream.conn.send_close_notify();
            stream.flush().ok();
        }
    });
    url
}

async fn ask(url: &Url, config: Value, folder: &Path) -> Result<Answer, Failure> {
    let config: ClientConfig = serde_json::from_value(config).unwrap();
    let around =
        Surroundings { world: Leaps::default().world(), folder, budgets: Budgets::default(), tokens: None };
    Client::new(&config, url, around)?.send(&Request::get(url.clone())).await
}

#[tokio::test]
async fn both_sides_show_who_they_are() {
    let authority = Authority::new();
    let url = start(&authority);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
    let (certificate, key) = authority.sign("me");
    let shown = json!({"certificate": certificate, "key": key});
    let hosts = json!(["127.0.0.1"]);
    let config = json!({"allow_hosts": hosts, "ca": "ca.pem", "client_certificate": shown});
    assert_eq!(ask(&url, config, folder.path()).await.unwrap().body, "{}");
    let inline = json!({"allow_hosts": hosts, "ca": authority.pem, "client_certificate": shown});
    ask(&url, inline, folder.path()).await.unwrap();

    let unknown = json!({"allow_hosts": hosts, "ca": Authority::new().pem, "client_certificate": shown});
    let failure = ask(&url, unknown, folder.path()).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Unavailable);
    let nobody = json!({"allow_hosts": hosts, "ca": "ca.pem"});
    assert!(ask(&url, nobody, folder.path()).await.is_err());
    let missing = json!({"ca": "missing.pem"});
    assert_eq!(ask(&url, missing, folder.path()).await.unwrap_err().error.kind(), ErrorKind::Config);
}
