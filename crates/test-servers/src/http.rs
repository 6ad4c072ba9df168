//! As much of HTTP/1.1 as servers and fronts need: one request a connection.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
};

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Response {
    /// Such as 404.
    pub status: u16,
    /// As it is sent, from the status line to the last byte of the body.
    pub bytes: Vec<u8>,
}

impl Response {
    /// An answer with these headers besides its length.
    pub fn new(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
        Self { status, bytes: [head.as_bytes(), body].concat() }
    }
}

/// Sends a request to `port` of this machine and returns the answer.
pub(crate) fn send(port: u16, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    send_as(port, port, method, target, headers, body)
}

/// The same to a server that takes its port for `known`.
pub(crate) fn send_as(
    known: u16,
    port: u16,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let host = format!("host: 127.0.0.1:{known}\r\ncontent-length: {}\r\n", body.len());
    exchange(port, format!("{method} {target} HTTP/1.1\r\n{host}{headers}").as_bytes(), body).unwrap()
}

/// The same, of a request that must succeed.
pub(crate) fn call(port: u16, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
    let Response { status, bytes } = send(port, method, target, headers, body);
    assert!((200..300).contains(&status), "{method} {target}: {}", String::from_utf8_lossy(&bytes));
}

/// Sends a request whose `head` ends after its last header, and reads the answer to its end.
pub(crate) fn exchange(port: u16, head: &[u8], body: &[u8]) -> std::io::Result<Response> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.set_nodelay(true)?;
    server.write_all(&[head, b"connection: close\r\n\r\n", body].concat())?;
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes)?;
    let status = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Ok(Response { status: status.unwrap_or(0), bytes })
}

/// `text` with each `%2F` and the like as what it stands for.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// What is at `target`, which must be there.
pub(crate) fn get(port: u16, target: &str, headers: &[(&str, &str)]) -> String {
    let answer = send(port, "GET", target, headers, b"");
    let text = body(&answer);
    assert_eq!(answer.status, 200, "{target}: {text}");
    text
}

/// The body of an answer that was not sent in chunks.
pub(crate) fn body(answer: &Response) -> String {
    let text = String::from_utf8_lossy(&answer.bytes);
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}
