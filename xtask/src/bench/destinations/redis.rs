//! Redis, which flushes after every transaction: entries of a stream, and records under keys of their own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use tidemark_test_servers::Redis;

use super::{Target, expect, feed::Feed};
use crate::{Result, measure::time, shell::command};

/// `write: append`.
pub(super) struct Stream(Redis);

impl Target for Stream {
    const NAME: &'static str = "Redis, entries of a stream";
    const LIMIT: &'static str = "redis-cli --pipe of as many XADD";

    fn start(_feed: &Feed) -> Result<Self> {
        Ok(Self(Redis::start()))
    }

    fn destination(&self) -> String {
        format!("{{type: redis, url: \"{}\", stream: orders, write: append}}", self.0.url())
    }

    fn limit(&self, feed: &Feed) -> Result<Option<Duration>> {
        piped(&self.0, feed, |number, message| {
            ["XADD", "limit", "*", "id", &number.to_string(), "body", message].map(str::to_owned).to_vec()
        })
    }

    fn check(&self, feed: &Feed) -> Result {
        let is_id = |(name, id): (String, String)| (name == "id").then_some(id);
        let entries = self.0.take("orders");
        feed.expect_ids(entries.into_iter().filter_map(|fields| fields.into_iter().find_map(is_id)))
    }
}

/// `write: mirror`.
pub(super) struct Hashes(Redis);

impl Target for Hashes {
    const NAME: &'static str = "Redis, a hash for each record";
    const LIMIT: &'static str = "redis-cli --pipe of as many HSET with two fields";

    fn start(_feed: &Feed) -> Result<Self> {
        Ok(Self(Redis::start()))
    }

    fn destination(&self) -> String {
        format!("{{type: redis, url: \"{}\", write: mirror}}", self.0.url())
    }

    fn limit(&self, feed: &Feed) -> Result<Option<Duration>> {
        let taken = piped(&self.0, feed, |number, message| {
            ["HSET", &format!("limit:{number}"), "id", &number.to_string(), "body", message]
                .map(str::to_owned)
                .to_vec()
        });
        self.0.ask(&["FLUSHALL"]);
        taken
    }

    fn check(&self, feed: &Feed) -> Result {
        let script = "local n = 0
            for _, key in ipairs(redis.call('KEYS', 'orders:*')) do n = n + tonumber(redis.call('HGET', key, 'id')) end
            return n";
        expect("sum of ids", self.0.ask(&["EVAL", script, "0"]), feed.rows * (feed.rows + 1) / 2)
    }
}

/// How long the server's own client needs for a command for each message.
fn piped(
    server: &Redis,
    feed: &Feed,
    command_of: impl Fn(usize, &str) -> Vec<String>,
) -> Result<Option<Duration>> {
    let path = written(feed, command_of)?;
    let port = server.url().rsplit(':').next().unwrap_or_default().to_owned();
    let mut client = command("redis-cli", ["-h", "127.0.0.1", "-p", &port, "--pipe"]);
    let taken = time(client.stdin(File::open(&path)?).stdout(Stdio::null()))?;
    fs::remove_file(path)?;
    Ok(Some(taken))
}

/// The commands as the protocol has them.
fn written(feed: &Feed, command_of: impl Fn(usize, &str) -> Vec<String>) -> Result<PathBuf> {
    let path = feed.folder().join("commands");
    let mut file = BufWriter::new(File::create(&path)?);
    for (number, message) in BufReader::new(File::open(feed.messages())?).lines().enumerate() {
        let words = command_of(number, &message?);
        write!(file, "*{}\r\n", words.len())?;
        for word in words {
            write!(file, "${}\r\n{word}\r\n", word.len())?;
        }
    }
    file.flush()?;
    Ok(path)
}
