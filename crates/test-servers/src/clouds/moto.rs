//! moto's S3.

use std::path::Path;

use super::{process, tools::tool};
use crate::{guard::Guard, http};

pub(super) fn start() -> (u16, Guard) {
    process::start("moto", "Running on http", "Address already in use", |_: &Path, port| {
        let modules = tool("moto");
        let modules = modules.to_str().unwrap();
        let program = ["env", &format!("PYTHONPATH={modules}"), "PYTHONUNBUFFERED=1", "python3", "-m"];
        let arguments = ["moto.server", "-H", "127.0.0.1", "-p", &port.to_string()];
        program.iter().chain(&arguments).map(|word| (*word).to_owned()).collect()
    })
}

pub(super) fn make_bucket(port: u16, name: &str) {
    http::call(port, "PUT", &format!("/{name}"), &[], b"");
}

pub(super) fn variables(port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}
