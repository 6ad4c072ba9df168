//! NATS: a stream of JetStream, every message acknowledged.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use tidemark_test_servers::Nats;

use super::{Target, expect, feed::Feed};
use crate::Result;

pub(super) struct JetStream(Nats);

impl Target for JetStream {
    const NAME: &'static str = "NATS, JetStream";
    const LIMIT: &'static str = "as many over one connection without a library, all acknowledged";

    fn start(_feed: &Feed) -> Result<Self> {
        let nats = Nats::start();
        for (name, subject) in [("changes", "changes.>"), ("limit", "limit")] {
            let config = format!(r#"{{"name":"{name}","subjects":["{subject}"],"storage":"file"}}"#);
            Line::open(&nats)?.ask(&format!("$JS.API.STREAM.CREATE.{name}"), &config)?;
        }
        Ok(Self(nats))
    }

    fn destination(&self) -> String {
        format!("{{type: nats, url: \"{}\", subject: \"changes.{{stream}}\", write: append}}", self.0.url())
    }

    fn limit(&self, feed: &Feed) -> Result<Option<Duration>> {
        let mut line = Line::open(&self.0)?;
        let messages: Vec<_> =
            BufReader::new(File::open(feed.messages())?).lines().collect::<std::io::Result<_>>()?;
        let start = Instant::now();
        let mut sending = BufWriter::new(line.reading.get_ref().try_clone()?);
        let sender = thread::spawn(move || -> std::io::Result<()> {
            for message in messages {
                write!(sending, "PUB limit inbox {}\r\n{message}\r\n", message.len())?;
            }
            sending.flush()
        });
        for _ in 0..feed.rows {
            line.message()?;
        }
        let taken = start.elapsed();
        sender.join().map_err(|_| "whoever sends has failed")??;
        Ok(Some(taken))
    }

    fn check(&self, feed: &Feed) -> Result {
        let told = Line::open(&self.0)?.ask("$JS.API.STREAM.INFO.changes", "")?;
        // JetStream drops an id that it has seen.
        let count = told.split_once("\"messages\":").map(|(_, rest)| rest.split([',', '}']).next());
        expect("messages of the stream", count.flatten().unwrap_or(&told), feed.rows)
    }
}

/// A connection, on which answers come to `inbox`. <https://docs.nats.io/reference/reference-protocols/nats-protocol>
struct Line {
    reading: BufReader<TcpStream>,
}

impl Line {
    fn open(nats: &Nats) -> Result<Self> {
        let mut socket = TcpStream::connect(("127.0.0.1", nats.port()))?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        socket.write_all(b"CONNECT {\"verbose\":false}\r\nSUB inbox 1\r\n")?;
        Ok(Self { reading: BufReader::new(socket) })
    }

    fn ask(&mut self, subject: &str, body: &str) -> Result<String> {
        self.reading
            .get_mut()
            .write_all(format!("PUB {subject} inbox {}\r\n{body}\r\n", body.len()).as_bytes())?;
        let answer = self.message()?;
        if answer.contains("\"error\"") { Err(answer.into()) } else { Ok(answer) }
    }

    /// The next message of `inbox`.
    fn message(&mut self) -> Result<String> {
        loop {
            let mut line = String::new();
            if self.reading.read_line(&mut line)? == 0 {
                return Err("the server has closed the connection".into());
            }
            if line.starts_with("PING") {
                self.reading.get_mut().write_all(b"PONG\r\n")?;
            } else if line.starts_with("MSG ") {
                let size: usize = line.split_whitespace().last().unwrap_or_default().parse()?;
                let mut body = vec![0; size + 2];
                self.reading.read_exact(&mut body)?;
                return Ok(String::from_utf8_lossy(&body[..size]).into_owned());
            } else if line.starts_with("-ERR") {
                return Err(line.into());
            }
        }
    }
}
