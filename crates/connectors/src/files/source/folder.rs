//! The folder: which files there are.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use tidemark_engine::{Error, ErrorKind, Result, Time};

use super::name::is_ignored;

/// A file as the last look at the folder found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path below the folder, with `/` between the parts.
    pub(super) path: String,
    /// Where it is.
    pub(super) location: PathBuf,
    /// Its size in bytes.
    pub(super) size: u64,
    /// When it was last written to.
    pub(super) modified: Time,
    /// Device and number of its inode, where there are such: a rename keeps them.
    pub(super) inode: Option<(u64, u64)>,
}

/// Fails with [`ErrorKind::Config`] when there is no such folder: until something has been read from it, the path is
/// more likely wrong than the disk away.
pub(super) fn require(folder: &Path) -> Result<()> {
    let path = folder.display();
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Error::config(format!("`{path}` is not a folder"))
            .hint("name the folder in `path`, and the file under `streams`")),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(Error::config(format!("the folder `{path}` does not exist"))
                .hint("correct `path`, or make the folder; if it is on a disk of its own, mount that"))
        }
        Err(error) => Err(unreadable(folder, error)),
    }
}

/// Every file below `folder`, of the folder itself only unless `deep`. Hidden and unfinished files are left out,
/// symbolic links are followed.
pub(super) fn list(folder: &Path, deep: bool) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    // A link may lead back up: each folder is visited once.
    let mut visited = HashSet::new();
    let mut open = vec![(folder.to_path_buf(), String::new())];
    while let Some((place, prefix)) = open.pop() {
        let real = fs::canonicalize(&place).map_err(|error| unreadable(&place, error))?;
        if !visited.insert(real) {
            continue;
        }
        for entry in fs::read_dir(&place).map_err(|error| unreadable(&place, error))? {
            let entry = entry.map_err(|error| unreadable(&place, error))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(Error::data(format!("a file name in `{}` is not UTF-8", place.display()))
                    .hint("rename the file, or move it out of the folder"));
            };
            if is_ignored(name) {
                continue;
            }
            let (path, location) = (format!("{prefix}{name}"), entry.path());
            let metadata = match fs::metadata(&location) {
                Ok(metadata) => metadata,
                // Renamed or deleted since the folder was listed, or a link to nowhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&location, error)),
            };
            if metadata.is_dir() {
                if deep {
                    open.push((location, format!("{path}/")));
                }
            } else if metadata.is_file() {
                found.push(Found::new(path, location, &metadata));
            }
        }
    }
    Ok(found)
}

impl Found {
    fn new(path: String, location: PathBuf, metadata: &fs::Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let micros = modified.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Self {
            path,
            location,
            size: metadata.len(),
            modified: Time::from_micros(micros),
            inode: inode(metadata),
        }
    }

    /// Whether it is still there, and nobody has written to it since.
    pub(super) fn is_as_found(&self) -> Result<bool> {
        match fs::metadata(&self.location) {
            Ok(metadata) => Ok(Self::new(self.path.clone(), self.location.clone(), &metadata) == *self),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unreadable(&self.location, error)),
        }
    }

    /// Opens the file; `None` when its name stands for no file any more, or for another one than the look found.
    pub(super) fn open(&self) -> Result<Option<File>> {
        let file = match File::open(&self.location) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&self.location, error)),
        };
        let metadata = file.metadata().map_err(|error| unreadable(&self.location, error))?;
        Ok((inode(&metadata) == self.inode).then_some(file))
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// The error for a file or folder that cannot be read, by what the system says.
pub(super) fn unreadable(path: &Path, error: io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "grant this user read access to it"),
        io::ErrorKind::NotFound => (ErrorKind::Unavailable, "check `path`, and that the disk is mounted"),
        _ => (ErrorKind::Unavailable, "check the disk that holds it"),
    };
    Error::new(kind, format!("`{}` cannot be read", path.display())).hint(hint).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        fs::write(path("a.csv"), "a\n").unwrap();
        fs::write(path("b.tmp"), "b\n").unwrap();
        let found = list(folder.path(), false).unwrap().remove(0);
        assert!(found.open().unwrap().is_some());
        fs::rename(path("b.tmp"), path("a.csv")).unwrap();
        #[cfg(unix)]
        assert!(found.open().unwrap().is_none());
        fs::remove_file(path("a.csv")).unwrap();
        assert!(found.open().unwrap().is_none());
    }

    #[test]
    fn lists_files_and_follows_links_without_going_round() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("a.csv"), "a\n").unwrap();
        fs::write(folder.path().join(".hidden.csv"), "a\n").unwrap();
        fs::write(folder.path().join("sub/b.csv"), "a\n").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), folder.path().join("sub/up")).unwrap();
        let paths = |deep| {
            let mut paths =
                list(folder.path(), deep).unwrap().into_iter().map(|found| found.path).collect::<Vec<_>>();
            paths.sort();
            paths
        };
        assert_eq!(paths(false), ["a.csv"]);
        assert_eq!(paths(true), ["a.csv", "sub/b.csv"]);
        let missing = list(&folder.path().join("nowhere"), false).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Unavailable);
    }
}
