//! Certificates for a server, and the authority behind them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// In the server's folder.
pub(crate) const CA_CERTIFICATE: &str = "ca.crt";

/// Makes an authority and has it sign a certificate for `names`, where the server looks for it.
pub(crate) fn write_certificates(folder: &Path, data: &Path, names: &[&str]) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "An authority for tests");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join(CA_CERTIFICATE), authority.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(data.join("server.crt"), certificate.pem()).unwrap();
    fs::write(data.join("server.key"), key.serialize_pem()).unwrap();
    // The server refuses a key that others can read.
    fs::set_permissions(data.join("server.key"), Permissions::from_mode(0o600)).unwrap();
}
