//! The files that readers find.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tidemark_engine::{Digest, Error, Result};

use super::{disk, entry::DataFile};

/// Refuses to commit `files` when a name below `root` that one of them will have is another file's.
pub(super) fn check_free(root: &Path, files: &[DataFile]) -> Result<()> {
    files.iter().try_for_each(|file| {
        let path = root.join(&file.name);
        // The same content is there when the manifest was restored from a backup.
        let free = digest(&path)?.is_none_or(|there| there == file.hash);
        if free { Ok(()) } else { Err(in_the_way(&path.display().to_string())) }
    })
}

/// Moves committed `files` from the folder `working` to where readers find them, below `root`. What has been moved
/// already is left alone, wherever its reader may have taken it.
pub(super) fn reveal(root: &Path, working: &Path, files: &[DataFile]) -> Result<()> {
    let mut touched = Vec::new();
    for file in files {
        let (from, to) = (working.join(&file.temporary), root.join(&file.name));
        let folder = to.parent().unwrap_or(root).to_owned();
        disk::make_folder(&folder)?;
        if !to.exists() {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(disk::failed("rename a file to", &to, error));
                }
                _ => {}
            }
        } else if from.exists() {
            // Only what is there already may be removed here.
            if digest(&to)?.is_some_and(|there| there != file.hash) {
                return Err(in_the_way(&to.display().to_string()));
            }
            let _ = fs::remove_file(&from);
        }
        if !touched.contains(&folder) {
            touched.push(folder);
        }
    }
    touched.iter().try_for_each(|folder| disk::sync_folder(folder))
}

/// The hash of the content of the file `path`; `None` when there is none.
fn digest(path: &Path) -> Result<Option<Digest>> {
    let mut hasher = blake3::Hasher::new();
    match File::open(path).and_then(|file| hasher.update_reader(file).map(drop)) {
        Ok(()) => Ok(Some(Digest::from_bytes(hasher.finalize().into()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk::failed("read", path, error)),
    }
}

pub(super) fn in_the_way(path: &str) -> Error {
    Error::conflict(format!("`{path}` is in the way of a new file"))
        .hint("move it away, or give this destination another `path` or `table`")
}
