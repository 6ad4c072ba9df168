//! A server of Redis.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    certificates::{CA_CERTIFICATE, write_certificates},
    port,
    restarted::{Recipe, Restarted},
};

/// Where it listens with TLS.
const SECURE: &str = "secure";

/// A server that has all that it has answered on its disk, and takes values of up to 1 MiB. One port takes everybody; another, with TLS,
/// only those with a certificate.
pub struct Redis(Restarted);

impl Redis {
    /// Starts one.
    pub fn start() -> Self {
        Self::run(command)
    }

    /// Starts one that is a part of a cluster.
    pub fn node_of_a_cluster() -> Self {
        Self::run(|folder, port| {
            let bus = port::free().to_string();
            let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus].map(str::to_owned);
            command(folder, port).into_iter().chain(settings).collect()
        })
    }

    fn run(command: fn(&Path, u16) -> Vec<String>) -> Self {
        let recipe = Recipe {
            name: "redis",
            ready: "Ready to accept connections",
            taken: "Address already in use",
            command,
        };
        Self(Restarted::start(recipe))
    }

    /// Where everybody comes in.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0.port())
    }

    /// Where whoever has a certificate comes in. The server's own is for `localhost`.
    pub fn secure_url(&self) -> String {
        format!("rediss://localhost:{}", fs::read_to_string(self.0.folder().join(SECURE)).unwrap())
    }

    /// The authority that signed the server's certificate, and whose certificates it takes.
    pub fn ca_certificate(&self) -> PathBuf {
        self.0.folder().join(CA_CERTIFICATE)
    }

    /// A certificate that it takes, and the key of that.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        (self.0.folder().join("server.crt"), self.0.folder().join("server.key"))
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.0.end("KILL");
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }

    /// What it answers to a command, asked by its own client.
    pub fn ask(&self, command: &[&str]) -> Value {
        let port = self.0.port().to_string();
        let mut client = Command::new("redis-cli");
        client.args(["-h", "127.0.0.1", "-p", &port, "--json", "-e"]).args(command);
        let asked = client.output().expect("`redis-cli` starts (Debian package `redis-tools`)");
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        let complained = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(asked.status.success(), "{command:?}: {said}{complained}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{command:?}: {error}: {said}"))
    }

    /// Takes everything out of a stream: the fields and values of each entry.
    pub fn take(&self, stream: &str) -> Vec<Vec<(String, String)>> {
        let entries = self.ask(&["XRANGE", stream, "-", "+"]);
        self.ask(&["DEL", stream]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let fields = |entry: &Value| {
            let fields = entry[1].as_array().unwrap();
            fields.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
        };
        entries.as_array().unwrap().iter().map(fields).collect()
    }
}

fn command(folder: &Path, port: u16) -> Vec<String> {
    if !folder.join(SECURE).exists() {
        write_certificates(folder, folder, &["localhost"]);
        fs::write(folder.join(SECURE), port::free().to_string()).unwrap();
    }
    let at = |name: &str| folder.join(name).display().to_string();
    let secure = fs::read_to_string(folder.join(SECURE)).unwrap();
    let settings = [
        ("port", port.to_string()),
        ("bind", "127.0.0.1".into()),
        ("dir", folder.display().to_string()),
        ("appendonly", "yes".into()),
        ("appendfsync", "always".into()),
        ("proto-max-bulk-len", "1mb".into()),
        ("tls-port", secure),
        ("tls-cert-file", at("server.crt")),
        ("tls-key-file", at("server.key")),
        ("tls-ca-cert-file", at(CA_CERTIFICATE)),
    ];
    let settings = settings.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]);
    ["redis-server".to_owned()].into_iter().chain(settings).collect()
}
