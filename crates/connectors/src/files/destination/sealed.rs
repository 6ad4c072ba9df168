//! A file on its way: hashed while it is written, durable when it is sealed.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use tidemark_engine::{Digest, Result};

use super::disk;

/// A new file in the working folder.
#[derive(Debug)]
pub(super) struct Sealed {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Box<blake3::Hasher>,
    bytes: u64,
}

impl Sealed {
    /// Makes the file `path`.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|error| disk::failed("create", &path, error))?;
        Ok(Self { path, file: BufWriter::with_capacity(1 << 16, file), hasher: Box::default(), bytes: 0 })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// How many bytes have been written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it durable; its size and hash.
    pub(super) fn seal(mut self) -> Result<(u64, Digest)> {
        self.file.flush().map_err(|error| disk::failed("write", &self.path, error))?;
        disk::sync(self.file.get_ref(), &self.path)?;
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
