//! The strategy for real: files in a folder, the engine's loop, a log in memory.

mod parquet;
mod records;
mod rotation;
mod runs;
mod whole;

use std::{fs, io::Write, path::PathBuf, time::SystemTime};

use tempfile::TempDir;
use tidemark_engine::{
    Error, ErrorKind,
    change::Cell,
    contract::read::ReadBench,
    schema::{Kind, StreamName},
    write::Delivery,
};

use super::*;

/// A folder, the pipeline's part that reads it, and the log it is read into.
struct Fixture {
    folder: TempDir,
    streams: String,
    bench: ReadBench,
}

impl Fixture {
    async fn new(streams: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, streams: streams.to_owned(), bench: ReadBench::new().await }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn append(&self, name: &str, content: &str) {
        fs::OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
    }

    /// Makes a file look as if it had been written long ago.
    fn age(&self, name: &str) {
        fs::File::options()
            .write(true)
            .open(self.path(name))
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
    }

    fn source(&self) -> Source {
        let json = format!(r#"{{"path": ".", "streams": {}}}"#, self.streams);
        Source::new(serde_json::from_str(&json).unwrap(), self.folder.path()).unwrap()
    }

    /// What a run to the end adds.
    async fn try_read(&mut self) -> Result<Vec<String>, Error> {
        let deliveries = self.bench.catch_up(&mut self.source().strategy()).await?;
        Ok(lines(&deliveries))
    }

    /// What a run that goes on has added.
    async fn news(&mut self) -> Vec<String> {
        lines(&self.bench.news().await.unwrap())
    }

    async fn read(&mut self) -> Vec<String> {
        self.try_read().await.unwrap()
    }

    async fn fail(&mut self) -> (ErrorKind, String) {
        let error = self.try_read().await.unwrap_err();
        assert!(error.hint_text().is_some());
        (error.kind(), error.to_string())
    }
}

/// Each change as its operation and `column=value` for what it carries.
fn lines(deliveries: &[Delivery]) -> Vec<String> {
    let mut lines = Vec::new();
    for changes in deliveries.iter().map(|delivery| &delivery.changes) {
        for row in 0..changes.rows() {
            let mut line = changes.op(row).unwrap().as_str().to_owned();
            for (index, field) in changes.schema().fields().iter().enumerate() {
                let value = match changes.column(index).cell(row) {
                    Cell::Unchanged => continue,
                    Cell::Null => "NULL".to_owned(),
                    Cell::Value(value) => value.to_string(),
                    Cell::Exception(text) => format!("!{text}"),
                };
                line += &format!(" {}={value}", field.name);
            }
            lines.push(line);
        }
    }
    lines
}

/// A run that goes on, whose source looks every `poll`.
struct Going {
    stop: tidemark_engine::Stop,
    running: tokio::task::JoinHandle<Result<tidemark_engine::read::End>>,
}

impl Going {
    fn start(fixture: &Fixture, poll: &str) -> Self {
        use tidemark_engine::{
            Stop,
            codec::Format,
            read::{ReadLoop, ReadSettings},
        };
        let json = format!(r#"{{"path": ".", "poll": "{poll}", "streams": {}}}"#, fixture.streams);
        let source = Source::new(serde_json::from_str(&json).unwrap(), fixture.folder.path()).unwrap();
        let settings = ReadSettings {
            format: Format::Parquet,
            max_delay: Duration::ZERO,
            memory: 16 << 20,
            until_caught_up: false,
        };
        let (log, stop) = (fixture.bench.log().clone(), Stop::new());
        let mut read = ReadLoop::new(log, settings, stop.clone());
        let running = tokio::spawn(async move { read.run(&mut source.strategy()).await });
        Self { stop, running }
    }

    async fn end(self) {
        self.stop.stop();
        assert_eq!(self.running.await.unwrap().unwrap(), tidemark_engine::read::End::Stopped);
    }
}
