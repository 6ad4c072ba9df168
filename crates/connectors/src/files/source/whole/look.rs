//! Looking at the files of a stream until nobody writes to them.

use std::{sync::Arc, time::Duration};

use tidemark_engine::{Error, Result, read::ReadContext};

use super::super::{
    super::SourceFormat,
    folder::{self, Found},
    layout::Stream,
    name::reading_order,
    stream::Place as Folder,
    watch::Watch,
};

/// How often to wait for files to come to rest, in a run that is to end.
const WAITS: u32 = 5;

/// Finds the files of one stream.
pub(super) struct Looking {
    pub(super) stream: Arc<Stream>,
    pub(super) cx: ReadContext,
    folder: Folder,
    at_rest: Duration,
    watch: Watch,
}

impl Looking {
    pub(super) fn new(stream: Arc<Stream>, folder: Folder, at_rest: Duration, cx: ReadContext) -> Self {
        Self { stream, cx, folder, at_rest, watch: Watch::default() }
    }

    /// The files as they are now, in the order to read them.
    pub(super) async fn now(&self) -> Result<Vec<Found>> {
        let (stream, folder) = (self.stream.clone(), self.folder.clone());
        let work = move || {
            let mut found = folder::list(&folder.folder, folder.deep)?;
            found.retain(|file| stream.owns(file));
            found.sort_by(|a, b| reading_order(&a.path, &b.path));
            require_one_kind(&stream, &found)?;
            Ok(found)
        };
        self.cx.world.compute(work).await?
    }

    /// The files once there are some and nobody has written to them for a while; `None`: they are those `before`.
    ///
    /// That there is no file proves nothing. A run that is to end fails then with [`tidemark_engine::ErrorKind::Data`], and with
    /// [`tidemark_engine::ErrorKind::Unavailable`] where files are written to for too long.
    pub(super) async fn at_rest(&mut self, before: Option<&[Found]>) -> Result<Option<Vec<Found>>> {
        let (stream, mut waits) = (self.stream.clone(), 0);
        loop {
            let files = self.now().await?;
            if before == Some(files.as_slice()) {
                return Ok(None);
            }
            let rest = self.rest(&files);
            let wait = match rest {
                None if !files.is_empty() => return Ok(Some(files)),
                Some(rest) => rest,
                None => self.folder.poll,
            };
            if waits == 0 && files.is_empty() {
                let (name, pattern) = (&stream.outline.name, stream.pattern());
                tracing::warn!(stream = %name, "no file matches `{pattern}`: waiting for one, and nothing counts as gone");
            }
            waits += 1;
            if self.cx.until_caught_up && (files.is_empty() || waits > WAITS) {
                return Err(self.unready(&files));
            }
            self.cx.world.sleep(wait).await;
        }
    }

    /// How long until nobody has written to `files` for as long as they are to be at rest; `None`: that is so.
    fn rest(&mut self, files: &[Found]) -> Option<Duration> {
        let now = self.cx.world.now();
        self.watch.keep(files);
        files.iter().filter_map(|file| self.watch.rest(file, self.at_rest, now)).max()
    }

    fn unready(&self, files: &[Found]) -> Error {
        let (name, pattern) = (&self.stream.outline.name, self.stream.pattern());
        let error = match files {
            [] => Error::data(format!("no file matches `{pattern}` of stream `{name}`: nothing is deleted"))
                .hint("put the file back, or correct `files`"),
            _ => Error::unavailable(format!("the files of stream `{name}` are being written to"))
                .hint("run it again when they are complete, or make `at_rest` shorter"),
        };
        error.of_stream(name)
    }
}

/// Records of one stream come as text, or with kinds of their own.
fn require_one_kind(stream: &Stream, found: &[Found]) -> Result<()> {
    let mut typed = None;
    for file in found {
        let is_typed = stream.format(&file.path)? == SourceFormat::Parquet;
        if *typed.get_or_insert(is_typed) != is_typed {
            let name = &stream.outline.name;
            return Err(Error::config(format!(
                "stream `{name}` has Parquet files and others, which cannot be compared as one"
            ))
            .hint("narrow its `files`, such as `stock*.csv`")
            .of_stream(name));
        }
    }
    Ok(())
}
