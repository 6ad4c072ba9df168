//! The files of a unit before it is committed: whole, but where no reader looks.

use std::{collections::HashMap, fs::File, sync::Arc};

use tidemark_engine::{
    Digest, Error, LogId, Result,
    change::ChangeBatch,
    schema::{StreamName, StreamSchema},
    write::{Delivery, Unit},
};

use super::{
    encoder::{Encoder, Rows},
    entry::DataFile,
    layout::Layout,
    names, partition,
    sealed::{Sealed, Workshop},
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
    workshop: Workshop,
    layout: Layout,
    format: DestinationFormat,
    file_size: u64,
    max_partitions: usize,
    writing: Writing,
    log: LogId,
    /// Begins the temporary names of its files.
    prefix: String,
    commits: (u64, u64),
    /// The entry of the manifest that will hold them, where dead letters are tried again.
    retry: Option<u64>,
    /// By folder.
    open: HashMap<String, OpenFile>,
    done: Vec<Finished>,
    begun: usize,
    /// How many files each folder has been given, and for which stream.
    folders: HashMap<String, (StreamName, usize)>,
}

/// A file that is whole.
pub(super) struct Finished {
    pub(super) file: DataFile,
    /// What it holds, where no name leads to that.
    pub(super) content: Option<Arc<File>>,
}

struct OpenFile {
    encoder: Encoder,
    content: Option<Arc<File>>,
    schema: Digest,
    name: String,
    temporary: String,
    rows: u64,
}

impl Draft {
    /// Begins the files of `unit`, which is to be an entry of the manifest by its epoch and number, in `workshop`, for folders as in `layout`.
    pub(super) fn new(
        workshop: Workshop,
        layout: Layout,
        config: &DestinationConfig,
        writing: &Writing,
        (epoch, entry): (u64, u64),
        unit: &Unit,
    ) -> Self {
        Self {
            workshop,
            layout,
            format: config.format,
            file_size: config.file_size.0,
            max_partitions: config.max_partitions,
            writing: writing.clone(),
            log: unit.end().position.log.clone(),
            prefix: format!("{epoch}-{entry}"),
            commits: commits(unit),
            retry: unit.is_retry().then_some(entry),
            open: HashMap::new(),
            done: Vec::new(),
            begun: 0,
            folders: HashMap::new(),
        }
    }

    /// Adds some changes.
    pub(super) fn write(&mut self, delivery: &Delivery) -> Result<()> {
        if delivery.changes.rows() == 0 {
            return Ok(());
        }
        let stream = names::encode(&self.writing.table.of(delivery.changes.schema().stream()))?;
        for part in partition::split(&self.layout, &stream, delivery)? {
            self.write_part(part.folder, delivery.sequence, &part.changes)?;
        }
        Ok(())
    }

    /// Adds changes of commit `sequence` to the files of `folder`.
    fn write_part(&mut self, folder: String, sequence: u64, changes: &ChangeBatch) -> Result<()> {
        let schema = changes.schema();
        self.enter(&folder, schema.stream())?;
        // A file has one schema.
        if self.open.get(&folder).is_some_and(|open| open.schema != schema.digest()) {
            self.end(&folder)?;
        }
        if !self.open.contains_key(&folder) {
            if self.open.len() >= MAX_OPEN {
                self.end_all()?;
            }
            let open = self.begin(&folder, schema)?;
            self.open.insert(folder.clone(), open);
        }
        let Some(open) = self.open.get_mut(&folder) else { return Ok(()) };
        open.encoder.write(&Rows::new(&self.log, sequence, changes)?)?;
        open.rows += changes.rows() as u64;
        if open.encoder.bytes() >= self.file_size {
            self.end(&folder)?;
        }
        self.relieve()
    }

    /// Notes that `stream` has changes for `folder`, which must be no other's.
    fn enter(&mut self, folder: &str, stream: &StreamName) -> Result<()> {
        if let Some((owner, _)) = self.folders.get(folder) {
            if owner == stream {
                return Ok(());
            }
            let message = format!("streams `{owner}` and `{stream}` would share the folder `{folder}`");
            return Err(Error::config(message).hint("use `{stream}` in `table` and in the folders of `path`"));
        }
        if self.layout.is_partitioned() && self.folders.len() >= self.max_partitions {
            let most = self.max_partitions;
            let message =
                format!("changes of stream `{stream}` would go to more than {most} partitions at once");
            return Err(Error::config(message)
                .hint("partition by something coarser, or raise `max_partitions` of the destination"));
        }
        self.folders.insert(folder.to_owned(), (stream.clone(), 0));
        Ok(())
    }

    /// The files that have become whole since this was last asked.
    pub(super) fn take_done(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.done)
    }

    /// Ends every file; those that have not been taken.
    pub(super) fn finish(mut self) -> Result<Vec<Finished>> {
        self.end_all()?;
        Ok(self.done)
    }

    /// Keeps the open files within their memory.
    fn relieve(&mut self) -> Result<()> {
        let held = |open: &HashMap<String, OpenFile>| -> usize {
            open.values().map(|open| open.encoder.memory()).sum()
        };
        if held(&self.open) <= MAX_MEMORY {
            return Ok(());
        }
        self.open.values_mut().try_for_each(|open| open.encoder.relieve())?;
        // What is left is kept until a file ends.
        if held(&self.open) > MAX_MEMORY / 2 { self.end_all() } else { Ok(()) }
    }

    fn end(&mut self, folder: &str) -> Result<()> {
        if let Some(open) = self.open.remove(folder) {
            self.done.push(open.finish()?);
        }
        Ok(())
    }

    fn end_all(&mut self) -> Result<()> {
        for (_, open) in self.open.drain() {
            self.done.push(open.finish()?);
        }
        Ok(())
    }

    fn begin(&mut self, folder: &str, schema: &StreamSchema) -> Result<OpenFile> {
        let count = self.folders.get_mut(folder).map_or(0, |(_, count)| {
            *count += 1;
            *count - 1
        });
        let name = names::data_file(
            self.commits,
            &self.writing.destination,
            self.retry,
            count,
            extension(self.format),
        )?;
        let temporary = format!("{}-{}", self.prefix, self.begun);
        self.begun += 1;
        let file = Sealed::create(&self.workshop, &temporary)?;
        let content = file.content();
        let encoder = Encoder::new(self.format, file, schema)?;
        let name = format!("{folder}/{name}");
        Ok(OpenFile { encoder, content, schema: schema.digest(), name, temporary, rows: 0 })
    }
}

impl OpenFile {
    fn finish(self) -> Result<Finished> {
        let Self { encoder, content, name, temporary, rows, .. } = self;
        let (bytes, hash) = encoder.finish()?;
        Ok(Finished { file: DataFile { name, temporary, rows, bytes, hash }, content })
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
        DestinationFormat::Xml => "xml",
    }
}
