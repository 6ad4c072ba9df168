//! A file on its way: hashed while it is written, whole when it is sealed.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use tidemark_engine::{Digest, Error, Result};

use super::disk;

/// Where files are made.
#[derive(Debug, Clone)]
pub(super) enum Workshop {
    /// In this folder, under their temporary names; they are durable when they are sealed.
    Folder(PathBuf),
    /// In the system's temporary folder, without a name: gone with whoever has it open.
    Nameless,
}

/// A new file.
#[derive(Debug)]
pub(super) struct Sealed {
    path: PathBuf,
    file: BufWriter<Arc<File>>,
    is_durable: bool,
    hasher: Box<blake3::Hasher>,
    bytes: u64,
}

impl Sealed {
    /// Makes the file that is called `temporary` in `workshop`.
    pub(super) fn create(workshop: &Workshop, temporary: &str) -> Result<Self> {
        let (path, file, is_durable) = match workshop {
            Workshop::Folder(folder) => {
                let path = folder.join(temporary);
                let file = File::create(&path).map_err(|error| disk::failed("create", &path, error))?;
                (path, file, true)
            }
            Workshop::Nameless => {
                let folder = std::env::temp_dir();
                let file = tempfile::tempfile_in(&folder).map_err(|error| {
                    Error::unavailable(format!("cannot make a temporary file in `{}`", folder.display()))
                        .source(error)
                        .hint("make room there, or name another folder in `TMPDIR`")
                })?;
                (folder, file, false)
            }
        };
        let file = BufWriter::with_capacity(1 << 16, Arc::new(file));
        Ok(Self { path, file, is_durable, hasher: Box::default(), bytes: 0 })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// What it will hold, where no name leads to that.
    pub(super) fn content(&self) -> Option<Arc<File>> {
        (!self.is_durable).then(|| self.file.get_ref().clone())
    }

    /// How many bytes have been written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends it; its size and hash.
    pub(super) fn seal(mut self) -> Result<(u64, Digest)> {
        self.file.flush().map_err(|error| disk::failed("write", &self.path, error))?;
        if self.is_durable {
            disk::sync(self.file.get_ref(), &self.path)?;
        }
        Ok((self.bytes, Digest::from_bytes(self.hasher.finalize().into())))
    }
}

impl Write for Sealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
