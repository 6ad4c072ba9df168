//! Who sends web hooks: signs them as Standard Webhooks 1.0.0 says, and can be slow about it.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    http::{self, Response},
    port,
};

/// Sends to a port of this machine where nobody else listens.
#[derive(Debug, Clone)]
pub struct Sender {
    port: u16,
    key: Vec<u8>,
}

/// A request of which the head has been sent.
#[derive(Debug)]
pub struct Begun(TcpStream);

impl Sender {
    /// A sender with a port and a secret of its own.
    pub fn new() -> Self {
        Self { port: port::free(), key: b"the key of one sender alone".to_vec() }
    }

    /// Where to listen for it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its secret, as it is shown to whoever is to verify what it sends.
    pub fn secret(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.key))
    }

    /// Seconds since 1970.
    pub fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    /// The headers of a message, as if signed so many seconds after 1970.
    pub fn signed(&self, id: &str, seconds: u64, body: &[u8]) -> Vec<(&'static str, String)> {
        let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), &signed);
        vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", format!("v1,{}", STANDARD.encode(signature))),
        ]
    }

    /// The HMAC-SHA256 of `body` under `key`, in hexadecimal.
    pub fn hexadecimal(key: &str, body: &[u8]) -> String {
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body);
        signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Sends a message, signed now.
    pub fn send(&self, path: &str, id: &str, body: &str) -> io::Result<Response> {
        self.post(path, &self.signed(id, Self::now(), body.as_bytes()), body.as_bytes())
    }

    /// Sends a message until it is answered 2xx, as senders do.
    pub fn insist(&self, path: &str, id: &str, body: &str) {
        for _ in 0..10_000 {
            match self.send(path, id, body) {
                Ok(Response { status: 200..300, .. }) => return,
                _ => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        }
        panic!("`{id}` was never taken");
    }

    /// Posts `body` with these headers.
    pub fn post(&self, path: &str, headers: &[(&str, String)], body: &[u8]) -> io::Result<Response> {
        http::exchange(self.port, self.head("POST", path, headers, body.len()).as_bytes(), body)
    }

    /// Gets what is at `target`.
    pub fn get(&self, target: &str) -> io::Result<Response> {
        http::exchange(self.port, self.head("GET", target, &[], 0).as_bytes(), b"")
    }

    /// Posts `body` in chunks, which do not say how long it is.
    pub fn post_in_chunks(&self, path: &str, body: &[u8]) -> io::Result<Response> {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n", self.address());
        let mut chunks: Vec<u8> = Vec::new();
        for chunk in body.chunks(4_096) {
            chunks.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        http::exchange(self.port, head.as_bytes(), &[&chunks, &b"0\r\n\r\n"[..]].concat())
    }

    /// Begins to post a body of `length` bytes.
    pub fn begin(&self, path: &str, headers: &[(&str, String)], length: usize) -> io::Result<Begun> {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        let head = self.head("POST", path, headers, length);
        server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
        Ok(Begun(server))
    }

    fn head(&self, method: &str, target: &str, headers: &[(&str, String)], length: usize) -> String {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let address = self.address();
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}")
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Begun {
    /// Sends some of the body.
    pub fn say(&mut self, body: &[u8]) -> io::Result<()> {
        self.0.write_all(body)
    }

    /// The answer, once it comes.
    pub fn answer(mut self) -> io::Result<Response> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes)?;
        let status = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Ok(Response { status: status.unwrap_or(0), bytes })
    }
}
