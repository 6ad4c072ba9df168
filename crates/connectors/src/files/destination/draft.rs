//! The files of a unit before it is committed: whole and durable, but in the working folder.

use std::{collections::HashMap, path::PathBuf};

use tidemark_engine::{
    Digest, Error, LogId, Result,
    schema::{StreamName, StreamSchema},
    write::{Delivery, Unit},
};

use super::{
    disk,
    encoder::{Encoder, Rows},
    manifest::DataFile,
    names,
    sealed::Sealed,
};
use crate::{
    config::Writing,
    files::{DestinationConfig, DestinationFormat},
};

/// How many files may be open, and how much memory they may hold together, before all of them are ended.
const MAX_OPEN: usize = 128;
const MAX_MEMORY: usize = 24 << 20;

/// A unit being written.
pub(super) struct Draft {
    working: PathBuf,
    format: DestinationFormat,
    file_size: u64,
    writing: Writing,
    log: LogId,
    /// Begins the names of its files in the working folder.
    prefix: String,
    commits: (u64, u64),
    open: HashMap<StreamName, OpenFile>,
    done: Vec<DataFile>,
    /// How many files each folder has been given, and for which stream.
    folders: HashMap<String, (StreamName, usize)>,
}

struct OpenFile {
    encoder: Encoder,
    schema: Digest,
    name: String,
    temporary: String,
    rows: u64,
}

impl Draft {
    /// Begins the files of `unit` in the folder `working`.
    pub(super) fn new(
        working: PathBuf,
        config: &DestinationConfig,
        writing: &Writing,
        prefix: String,
        unit: &Unit,
    ) -> Self {
        Self {
            working,
            format: config.format,
            file_size: config.file_size.0,
            writing: writing.clone(),
            log: unit.end().position.log.clone(),
            prefix,
            commits: commits(unit),
            open: HashMap::new(),
            done: Vec::new(),
            folders: HashMap::new(),
        }
    }

    /// Adds some changes.
    pub(super) fn write(&mut self, delivery: &Delivery) -> Result<()> {
        let schema = delivery.changes.schema();
        let stream = schema.stream();
        if delivery.changes.rows() == 0 {
            return Ok(());
        }
        // A file has one schema.
        let other = self.open.get(stream).is_some_and(|open| open.schema != schema.digest());
        if other && let Some(open) = self.open.remove(stream) {
            self.done.push(open.finish()?);
        }
        if !self.open.contains_key(stream) {
            if self.open.len() >= MAX_OPEN {
                self.finish_all()?;
            }
            let open = self.begin(schema)?;
            self.open.insert(stream.clone(), open);
        }
        let Some(open) = self.open.get_mut(stream) else { return Ok(()) };
        open.encoder.write(&Rows::new(&self.log, delivery)?)?;
        open.rows += delivery.changes.rows() as u64;
        if open.encoder.bytes() >= self.file_size
            && let Some(open) = self.open.remove(stream)
        {
            self.done.push(open.finish()?);
        }
        if self.open.values().map(|open| open.encoder.memory()).sum::<usize>() > MAX_MEMORY {
            self.finish_all()?;
        }
        Ok(())
    }

    /// Ends every file. All of them are durable then.
    pub(super) fn finish(mut self) -> Result<Vec<DataFile>> {
        self.finish_all()?;
        if !self.done.is_empty() {
            disk::sync_folder(&self.working)?;
        }
        self.done.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(self.done)
    }

    fn finish_all(&mut self) -> Result<()> {
        for (_, open) in self.open.drain() {
            self.done.push(open.finish()?);
        }
        Ok(())
    }

    fn begin(&mut self, schema: &StreamSchema) -> Result<OpenFile> {
        let stream = schema.stream();
        let folder = names::encode(&self.writing.table.of(stream))?;
        let (owner, count) = self.folders.entry(folder.clone()).or_insert_with(|| (stream.clone(), 0));
        if owner != stream {
            return Err(Error::config(format!(
                "streams `{owner}` and `{stream}` would share the folder `{folder}`"
            ))
            .hint("use `{stream}` in `table`"));
        }
        let name = names::data_file(self.commits, &self.writing.destination, *count, extension(self.format))?;
        *count += 1;
        let temporary = format!("{}-{}", self.prefix, self.done.len() + self.open.len());
        let file = Sealed::create(self.working.join(&temporary))?;
        let encoder = Encoder::new(self.format, file, schema)?;
        Ok(OpenFile {
            encoder,
            schema: schema.digest(),
            name: format!("{folder}/{name}"),
            temporary,
            rows: 0,
        })
    }
}

impl OpenFile {
    fn finish(self) -> Result<DataFile> {
        let Self { encoder, name, temporary, rows, .. } = self;
        let (bytes, hash) = encoder.finish()?;
        Ok(DataFile { name, temporary, rows, bytes, hash })
    }
}

/// The commits that files of `unit` are named by: those it leads over or, for a stream that was held, those it had missed.
/// Changes that waited for an initial sync may be older.
fn commits(unit: &Unit) -> (u64, u64) {
    let (begin, end) = (unit.begin(), unit.end());
    let revived = begin.held.iter().filter(|(stream, _)| !end.held.contains_key(*stream));
    let after = revived.map(|(_, hold)| hold.after).chain([begin.position.sequence]).min();
    (after.unwrap_or_default() + 1, end.position.sequence)
}

fn extension(format: DestinationFormat) -> &'static str {
    match format {
        DestinationFormat::Parquet => "parquet",
        DestinationFormat::Jsonl => "jsonl",
        DestinationFormat::Csv => "csv",
    }
}
