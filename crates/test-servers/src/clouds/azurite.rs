//! Azurite's blobs.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;

use super::{process, tools::tool};
use crate::{
    guard::Guard,
    http::{self, Response},
};

/// The account and key that Azurite is known for.
pub(super) const ACCOUNT: &str = "devstoreaccount1";
pub(super) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
pub(super) const VERSION: &str = "2021-08-06";

pub(super) fn start() -> (u16, Guard) {
    process::start("azurite", "successfully listens", "EADDRINUSE", |folder: &Path, port| {
        let program = tool("azurite/node_modules/azurite/dist/src/blob/main.js");
        let words = ["node", program.to_str().unwrap(), "--silent", "--location", folder.to_str().unwrap()];
        let ports = ["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()];
        let others = ["--skipApiVersionCheck", "--disableTelemetry"];
        words.iter().chain(&ports).chain(&others).map(|word| (*word).to_owned()).collect()
    })
}

/// Now, as headers have it.
pub(super) fn date() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    DateTime::from_timestamp(now as i64, 0).unwrap().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

pub(super) fn make_container(port: u16, name: &str) {
    let made = call(port, "PUT", name, &[("restype", "container")]);
    assert_eq!(made.status, 201, "{name}");
}

/// The content of a blob.
pub(super) fn blob(port: u16, container: &str, name: &str) -> Vec<u8> {
    let Response { status, bytes } = call(port, "GET", &format!("{container}/{name}"), &[]);
    assert_eq!(status, 200, "{container}/{name}");
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    bytes[body..].to_vec()
}

/// Asks blobs or queues, signed with the account's key as the services' documentation has it under "Authorize with Shared Key".
pub(super) fn call(port: u16, method: &str, path: &str, parameters: &[(&str, &str)]) -> Response {
    let now = date();
    let signed: String = parameters.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
    let headers = format!("x-ms-date:{now}\nx-ms-version:{VERSION}\n");
    let text = format!("{method}\n{}{headers}/{ACCOUNT}/{ACCOUNT}/{path}{signed}", "\n".repeat(11));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(KEY).unwrap());
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let headers = [
        ("x-ms-date", now.as_str()),
        ("x-ms-version", VERSION),
        ("authorization", &format!("SharedKey {ACCOUNT}:{signature}")),
    ];
    let encode = |text: &str| text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let query: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    http::send(port, method, &format!("/{ACCOUNT}/{path}?{}", query.join("&")), &headers, b"")
}

pub(super) fn variables(port: u16) -> Vec<(&'static str, String)> {
    let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
    let connection = format!("AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};");
    vec![("AZURE_STORAGE_CONNECTION_STRING", connection)]
}
