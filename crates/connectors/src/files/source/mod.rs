//! Reading files: which stream a file belongs to, what is new in it, and what its records are.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file ask for? | `validate`, `layout` |
//! | Which files are there, in which order? | `folder`, `name` |
//! | Which file is which, and is it still what was read? | `sweep`, `watch`, `fingerprint`, `cursor` |
//! | What is read of a file, in which format? | `reader`, `lines`, `parquet`; [`crate::records`] |
//! | When is what handed over? | `strategy`, `stream` |
//! | What if the files together are all there is? | `whole` |

mod check;
mod cursor;
mod discover;
mod fingerprint;
mod folder;
mod layout;
mod lines;
mod name;
mod parquet;
mod parquet_kind;
mod reader;
mod strategy;
mod stream;
mod sweep;
#[cfg(test)]
mod tests;
mod validate;
mod watch;
mod whole;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tidemark_engine::{Error, Result};
use tokio::sync::Semaphore;

pub use strategy::FilesStrategy;

use super::SourceConfig;
use layout::Layout;
use stream::Place;

/// Files read at once, over all streams.
const FILES_OPEN: usize = 4;

/// A folder of files as a source.
#[derive(Debug, Clone)]
pub struct Source {
    folder: PathBuf,
    layout: Arc<Layout>,
    poll: Duration,
}

impl Source {
    /// The source that `config` describes, its path taken from `base` (the pipeline file's folder). Touches no file.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when [`SourceConfig::validate`] finds a problem.
    pub fn new(config: SourceConfig, base: &Path) -> Result<Self> {
        if let Some(problem) = config.validate().into_iter().next() {
            let error = Error::config(format!("{}: {}", problem.path.join("."), problem.message));
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        let layout = Arc::new(Layout::new(&config)?);
        Ok(Self { folder: base.join(&config.path), layout, poll: config.poll.0 })
    }

    /// Reads every stream from where its part of the cursor stands; one part and one lane a stream, under its name.
    ///
    /// - Each record is one change: `r` until everything that was there at first has been read, `c` afterwards.
    /// - A boundary is put every 65,536 rows or 8 MiB, always behind a whole record, and when all files of the stream
    ///   have been read to the size they had.
    /// - A file is known by its content: renamed, it goes on where it stood; rewritten, `on_rewrite` decides, and with
    ///   `stop` the run fails with [`tidemark_engine::ErrorKind::Conflict`].
    /// - A last line without a line end is read once the file has not been written to for a minute, or for two seconds
    ///   in a run that is to end. If it grows after that, the run fails with
    ///   [`tidemark_engine::ErrorKind::Conflict`].
    ///
    /// A stream with `changes: full-refresh` is compared as a whole instead: whenever its files have changed and nobody has written to
    /// them for a while, all of them are read, and the changes are `c`, `u` and `d` by key.
    pub fn strategy(&self) -> FilesStrategy {
        FilesStrategy::new(self.layout.clone(), self.place())
    }

    fn place(&self) -> Place {
        Place {
            folder: self.folder.clone(),
            deep: self.layout.deep,
            poll: self.poll,
            files_open: Arc::new(Semaphore::new(FILES_OPEN)),
        }
    }
}
