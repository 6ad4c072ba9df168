//! What the source offers: its streams, with the schemas that the beginnings of their files have.

use tidemark_engine::{Result, change::Op};

use super::{
    Source,
    folder::{self, Found},
    layout::Stream,
    name::reading_order,
    reader::{FileReader, Opened, Progress},
    sweep::Seen,
};
use crate::config::{Discovered, Extent};
use crate::records::{Known, Table};

/// Files of a stream that are looked into.
const FILES: usize = 32;

impl Source {
    /// The streams that have columns, by name, with the first `sample_rows` records of each.
    pub async fn discover(&self, sample_rows: usize) -> Result<Vec<Discovered>> {
        let source = self.clone();
        tokio::task::spawn_blocking(move || source.look(sample_rows)).await?
    }

    fn look(&self, sample_rows: usize) -> Result<Vec<Discovered>> {
        folder::require(&self.folder)?;
        let found = folder::list(&self.folder, self.layout.deep)?;
        let mut discovered = Vec::new();
        for stream in self.layout.streams(&found) {
            let mut files = found.iter().filter(|file| stream.owns(file)).collect::<Vec<_>>();
            files.sort_by(|a, b| reading_order(&a.path, &b.path));
            discovered.extend(look_into(&stream, &files, sample_rows)?);
        }
        Ok(discovered)
    }
}

fn look_into(stream: &Stream, files: &[&Found], sample_rows: usize) -> Result<Option<Discovered>> {
    let mut table = Table::new(&stream.outline, Known::default());
    let mut first = None;
    for file in files.iter().take(FILES) {
        let seen = Seen { found: (*file).clone(), mark: None, rewritten: false };
        let Opened::Reader(mut reader) = FileReader::open(stream, &seen)? else { continue };
        let progress = match reader.next(&mut table, Op::Read, false)? {
            Progress::Unfinished => reader.last(&mut table, Op::Read, false)?,
            progress => progress,
        };
        table.see(&reader.names());
        if let (None, Progress::Batch(batch)) = (&first, progress) {
            first = Some(batch);
        }
    }
    if !table.has_columns() {
        return Ok(None);
    }
    table.settle();
    let sample = first.filter(|_| sample_rows > 0).map(|batch| batch.slice(0, batch.rows().min(sample_rows)));
    Ok(Some(Discovered { schema: table.schema()?, extent: Extent::Files(files.len()), sample }))
}
