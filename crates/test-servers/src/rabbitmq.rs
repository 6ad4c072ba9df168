//! RabbitMQ, a broker of AMQP 0-9-1, and by a plugin of AMQP 1.0.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    certificates::{CA_CERTIFICATE, write_certificates},
    http, port,
    restarted::{Recipe, Restarted},
};

/// Where its interface for people and programs listens.
const MANAGEMENT: &str = "management";
/// Where it listens with TLS.
const SECURE: &str = "secure";

/// Becomes the server, which has nothing from this machine's settings and an Erlang port mapper for itself. That ends with the server,
/// however the server ends: what holds the pipe open is gone then.
const SCRIPT: &str = r#"
cd "$1"; port=$2 distribution=$3 mapper=$4
export HOME=$PWD ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$mapper
export RABBITMQ_NODENAME=tidemark-$port@localhost RABBITMQ_DIST_PORT=$distribution
export RABBITMQ_CONFIG_FILE=$PWD/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=$PWD/none RABBITMQ_ENABLED_PLUGINS_FILE=$PWD/plugins
export RABBITMQ_MNESIA_BASE=$PWD/data RABBITMQ_LOG_BASE=$PWD/data RABBITMQ_LOGS=-
export RABBITMQ_ALLOW_INPUT=1
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-noinput -kernel inet_dist_use_interface {127,0,0,1}"
rm -f alive; mkfifo alive
(epmd -address 127.0.0.1 -port "$mapper" & mapper=$!; read -r _ <alive; kill "$mapper") &
exec 3>alive
exec /usr/lib/rabbitmq/bin/rabbitmq-server
"#;

/// A server that keeps its queues on its disk, and takes messages of up to 1 MiB. One port takes everybody who is somebody; another, with
/// TLS, only those with a certificate besides.
pub struct RabbitMq(Restarted);

impl RabbitMq {
    /// Starts one.
    pub fn start() -> Self {
        let recipe =
            Recipe { name: "rabbitmq", ready: "Server startup complete", taken: "eaddrinuse", command };
        Self(Restarted::start(recipe))
    }

    /// Where `guest` comes in.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.0.port())
    }

    /// Where whoever has a certificate comes in. The server's own is for `localhost`.
    pub fn secure_url(&self) -> String {
        format!("amqps://localhost:{}", self.port_of(SECURE))
    }

    /// The authority that signed the server's certificate, and whose certificates it takes.
    pub fn ca_certificate(&self) -> PathBuf {
        self.0.folder().join(CA_CERTIFICATE)
    }

    /// A certificate that it takes, and the key of that.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        (self.0.folder().join("server.crt"), self.0.folder().join("server.key"))
    }

    /// Ends it at once. What it has confirmed it still has; what was declared is on its disk two seconds later, so that is waited for.
    pub fn kill(&mut self) {
        thread::sleep(Duration::from_secs(3));
        self.0.end("KILL");
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }

    /// Makes a durable queue in the virtual host `/`, with these arguments.
    pub fn declare_queue(&self, name: &str, arguments: &Value) {
        self.put(&format!("queues/%2F/{name}"), &json!({"durable": true, "arguments": arguments}));
    }

    /// Makes a durable queue that takes everything.
    pub fn declare_durable_queue(&self, name: &str) {
        self.declare_queue(name, &json!({}));
    }

    /// Makes a durable exchange, and binds `queue` to it.
    pub fn declare_exchange(&self, name: &str, kind: &str, queue: &str, routing_key: &str) {
        self.put(&format!("exchanges/%2F/{name}"), &json!({"type": kind, "durable": true}));
        self.call("POST", &format!("bindings/%2F/e/{name}/q/{queue}"), &json!({"routing_key": routing_key}));
    }

    /// Lets a user in who may write to what matches `writable`.
    pub fn add_user(&self, name: &str, password: &str, writable: &str) {
        self.put(&format!("users/{name}"), &json!({"password": password, "tags": ""}));
        let permissions = json!({"configure": "", "write": writable, "read": ""});
        self.put(&format!("permissions/%2F/{name}"), &permissions);
    }

    /// Takes everything out of a queue: messages as the management interface shows them, with `payload` and `properties`.
    pub fn take(&self, queue: &str) -> Vec<Value> {
        let wish = json!({"count": 100_000, "ackmode": "ack_requeue_false", "encoding": "auto"});
        let mut taken = Vec::new();
        loop {
            let text = self.call("POST", &format!("queues/%2F/{queue}/get"), &wish);
            let more: Vec<Value> = serde_json::from_str(&text).unwrap();
            if more.is_empty() {
                return taken;
            }
            taken.extend(more);
        }
    }

    /// Takes everything out of a queue: the ids of the messages.
    pub fn take_ids(&self, queue: &str) -> Vec<String> {
        let id = |message: &Value| message["properties"]["message_id"].as_str().unwrap().to_owned();
        self.take(queue).iter().map(id).collect()
    }

    fn put(&self, path: &str, content: &Value) {
        self.call("PUT", path, content);
    }

    fn call(&self, method: &str, path: &str, content: &Value) -> String {
        let login = format!("Basic {}", STANDARD.encode("guest:guest"));
        let headers = [("authorization", &*login), ("content-type", "application/json")];
        let target = format!("/api/{path}");
        let port = self.port_of(MANAGEMENT);
        let answer = http::send(port, method, &target, &headers, content.to_string().as_bytes());
        let text = http::body(&answer);
        assert!((200..300).contains(&answer.status), "{method} {target}: {} {text}", answer.status);
        text
    }

    fn port_of(&self, what: &str) -> u16 {
        fs::read_to_string(self.0.folder().join(what)).unwrap().parse().unwrap()
    }
}

fn command(folder: &Path, port: u16) -> Vec<String> {
    if !folder.join(MANAGEMENT).exists() {
        set_up(folder, port);
    }
    let (folder, port) = (folder.display().to_string(), port.to_string());
    // Nobody has to find these two again.
    let (distribution, mapper) = (port::free().to_string(), port::free().to_string());
    ["sh", "-c", SCRIPT, "rabbitmq", &folder, &port, &distribution, &mapper].map(str::to_owned).to_vec()
}

fn set_up(folder: &Path, port: u16) {
    write_certificates(folder, folder, &["localhost"]);
    let (management, secure) = (port::free(), port::free());
    let at = |name: &str| folder.join(name).display().to_string();
    let (ca, certificate, key) = (at(CA_CERTIFICATE), at("server.crt"), at("server.key"));
    let settings = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\nlisteners.ssl.1 = 127.0.0.1:{secure}\n\
         ssl_options.cacertfile = {ca}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n\
         ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n\
         management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\nmax_message_size = 1048576\n"
    );
    fs::write(folder.join("rabbitmq.conf"), settings).unwrap();
    fs::write(folder.join("plugins"), "[rabbitmq_management,rabbitmq_amqp1_0].").unwrap();
    fs::write(folder.join(SECURE), secure.to_string()).unwrap();
    fs::write(folder.join(MANAGEMENT), management.to_string()).unwrap();
}
