//! Azurite's blobs.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;

use super::{process, tools::tool};
use crate::{guard::Guard, http};

/// The account and key that Azurite is known for.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const VERSION: &str = "2021-08-06";

pub(super) fn start() -> (u16, Guard) {
    process::start("azurite", "successfully listens", "EADDRINUSE", |folder: &Path, port| {
        let program = tool("azurite/node_modules/azurite/dist/src/blob/main.js");
        let words = ["node", program.to_str().unwrap(), "--silent", "--location", folder.to_str().unwrap()];
        let ports = ["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()];
        let others = ["--skipApiVersionCheck", "--disableTelemetry"];
        words.iter().chain(&ports).chain(&others).map(|word| (*word).to_owned()).collect()
    })
}

/// Signed with the account's key, as the service's documentation has it under "Authorize with Shared Key".
pub(super) fn make_container(port: u16, name: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now =
        DateTime::from_timestamp(now as i64, 0).unwrap().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = format!("x-ms-date:{now}\nx-ms-version:{VERSION}\n");
    let resource = format!("/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(KEY).unwrap());
    let signature = hmac::sign(&key, format!("PUT\n{}{headers}{resource}", "\n".repeat(11)).as_bytes());
    let signature = BASE64_STANDARD.encode(signature);
    let headers = [
        ("x-ms-date", now.as_str()),
        ("x-ms-version", VERSION),
        ("authorization", &format!("SharedKey {ACCOUNT}:{signature}")),
    ];
    http::call(port, "PUT", &format!("/{ACCOUNT}/{name}?restype=container"), &headers, b"");
}

pub(super) fn variables(port: u16) -> Vec<(&'static str, String)> {
    let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
    let connection = format!("AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};");
    vec![("AZURE_STORAGE_CONNECTION_STRING", connection)]
}
