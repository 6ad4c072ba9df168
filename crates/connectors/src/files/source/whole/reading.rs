//! A sweep over files, one piece of one file after another.

use std::sync::Arc;

use tidemark_engine::{Error, Result};

use super::{
    super::{
        super::SourceFormat,
        cursor::Mark,
        folder::Found,
        layout::Stream,
        reader::{FileReader, Opened, Taken},
        sweep::Seen,
    },
    place::{Place, digest},
};
use crate::{
    polling::Records,
    records::{Known, Table},
};

/// A sweep that is under way.
pub(super) struct Reading {
    stream: Arc<Stream>,
    pub(super) files: Arc<Vec<Found>>,
    /// The token of the page that comes next; `None`: the first.
    pub(super) token: Option<String>,
    place: Place,
    reader: Option<Box<FileReader>>,
    /// Types what has kinds of its own.
    table: Table,
}

/// What comes next of a sweep.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Step {
    Records {
        records: Records,
        bytes: usize,
        /// The file that they are from.
        origin: String,
    },
    /// All files have been read to their ends.
    End,
    /// One of them is not what it was when the sweep began.
    Changed,
}

impl Reading {
    pub(super) fn new(stream: Arc<Stream>, files: Vec<Found>) -> Self {
        let place = Place { files: digest(&files), ended: 0, mark: None };
        let table = Table::new(&stream.outline, Known::default());
        Self { stream, files: Arc::new(files), token: None, place, reader: None, table }
    }

    /// Goes on at `token`, among the `files` that are there now; `None` when they are not those that the sweep began with.
    pub(super) fn at(stream: Arc<Stream>, files: Vec<Found>, token: &str) -> Option<Self> {
        let place = Place::from_token(token)?;
        let reading = Self::new(stream, files);
        (place.files == reading.place.files).then(|| Self { token: Some(token.to_owned()), place, ..reading })
    }

    /// The next records. Touches the disk.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when a file does not end with a whole record: part of it would look like records
    /// gone.
    pub(super) fn step(&mut self) -> Result<Step> {
        let files = self.files.clone();
        while let Some(found) = files.get(self.place.ended) {
            let mut reader = match self.reader.take() {
                Some(reader) => reader,
                None => match self.open(found)? {
                    Opened::Reader(reader) => reader,
                    Opened::Unfinished if found.is_as_found()? => return Err(self.unfinished(found)),
                    Opened::Unfinished | Opened::Gone => return Ok(Step::Changed),
                },
            };
            let taken = reader.records(&mut self.table);
            // What a file says that has changed meanwhile says nothing.
            let is_over = !matches!(taken, Ok(Taken::Records { .. }));
            if is_over && !found.is_as_found()? {
                return Ok(Step::Changed);
            }
            match taken? {
                Taken::Records { records, bytes } => {
                    self.go_to(self.place.ended, Some(reader.mark()))?;
                    self.reader = Some(reader);
                    return Ok(Step::Records { records, bytes, origin: found.path.clone() });
                }
                Taken::End if self.lacks_its_header(found, &reader)? => return Err(self.unfinished(found)),
                Taken::End => self.go_to(self.place.ended + 1, None)?,
                Taken::Unfinished => return Err(self.unfinished(found)),
            }
        }
        Ok(Step::End)
    }

    fn open(&self, found: &Found) -> Result<Opened> {
        let seen = Seen { found: found.clone(), mark: self.place.mark.clone(), rewritten: false };
        FileReader::open(&self.stream, &seen)
    }

    /// An export without a record still says which columns it has.
    fn lacks_its_header(&self, found: &Found, reader: &FileReader) -> Result<bool> {
        Ok(self.stream.format(&found.path)? == SourceFormat::Csv && reader.names().is_empty())
    }

    fn go_to(&mut self, ended: usize, mark: Option<Mark>) -> Result<()> {
        (self.place.ended, self.place.mark) = (ended, mark);
        self.token = Some(self.place.to_token()?);
        Ok(())
    }

    fn unfinished(&self, found: &Found) -> Error {
        let (path, name) = (&found.path, &self.stream.outline.name);
        Error::data(format!("`{path}` of stream `{name}` does not end with a whole record: nothing is deleted"))
            .hint("copy the file again; whoever writes it should do so under another name, and rename it when it is complete")
            .of_stream(name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::super::folder, *};

    /// A folder with two files of 20,000 records, and the stream that they are.
    struct Export {
        folder: tempfile::TempDir,
    }

    impl Export {
        fn new() -> Self {
            let export = Self { folder: tempfile::tempdir().unwrap() };
            export.write("stock.csv", 0);
            export.write("stock.jsonl", 20_000);
            export
        }

        fn write(&self, name: &str, from: usize) {
            let line =
                |id| if name.ends_with("csv") { format!("{id}\n") } else { format!("{{\"id\":{id}}}\n") };
            let header = if name.ends_with("csv") { "id\n" } else { "" };
            let lines = (from..from + 20_000).map(line).collect::<String>();
            fs::write(self.folder.path().join(name), format!("{header}{lines}")).unwrap();
        }

        fn look(&self) -> (Arc<Stream>, Vec<Found>) {
            let mut found = folder::list(self.folder.path(), false).unwrap();
            found.sort_by(|a, b| a.path.cmp(&b.path));
            (Arc::new(Stream::of_stem("stock", &Arc::default())), found)
        }

        fn begin(&self) -> Reading {
            let (stream, found) = self.look();
            Reading::new(stream, found)
        }

        /// As another process goes on.
        fn resume(&self, token: &str) -> Option<Reading> {
            let (stream, found) = self.look();
            Reading::at(stream, found, token)
        }
    }

    /// How many records come next; `None` at the end.
    fn step(reading: &mut Reading) -> Option<usize> {
        match reading.step().unwrap() {
            Step::Records { records, .. } => Some(records.len()),
            Step::End => None,
            Step::Changed => panic!("the files are as they were"),
        }
    }

    #[test]
    fn every_page_is_gone_on_with_in_another_process() {
        let export = Export::new();
        let mut reading = export.begin();
        let (mut records, mut tokens) = (0, Vec::new());
        while let Some(more) = step(&mut reading) {
            records += more;
            tokens.push((records, reading.token.clone().unwrap()));
        }
        assert_eq!((records, tokens.len()), (40_000, 6));
        for (before, token) in tokens {
            let mut reading = export.resume(&token).unwrap();
            let rest = std::iter::from_fn(|| step(&mut reading)).sum::<usize>();
            assert_eq!(before + rest, 40_000, "{token}");
        }
    }

    #[test]
    fn a_sweep_whose_files_change_is_none() {
        let export = Export::new();
        let is_changed = |reading: &mut Reading| loop {
            match reading.step().unwrap() {
                Step::Records { .. } => {}
                Step::End => break false,
                Step::Changed => break true,
            }
        };
        let mut reading = export.begin();
        assert_eq!(step(&mut reading), Some(8_192));
        let token = reading.token.clone().unwrap();
        export.write("stock.csv", 1);
        assert!(is_changed(&mut reading), "the file that is being read");
        assert!(export.resume(&token).is_none());

        let mut reading = export.begin();
        step(&mut reading);
        fs::remove_file(export.folder.path().join("stock.jsonl")).unwrap();
        assert!(is_changed(&mut reading), "one that is still to be read");

        export.write("stock.jsonl", 20_000);
        let mut reading = export.begin();
        for _ in 0..4 {
            step(&mut reading);
        }
        export.write("stock.csv", 2);
        assert!(!is_changed(&mut reading), "one that has been read changes for the next sweep");
        assert!(export.resume("{}").is_none() && export.resume("no place").is_none());
    }
}
