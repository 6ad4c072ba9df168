//! Files and folders that are durable when a call returns, and what their errors ask for.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
};

use tidemark_engine::{Error, Result};

/// The error of doing something (`cannot write`) to `path`.
pub(super) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    let message = format!("cannot {doing} `{}`", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::unavailable(message).source(error).hint("free some space: writing goes on by itself")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::denied(message).source(error).hint("grant write access to the destination's folder")
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            Error::config(message).source(error).hint("name a folder with `path`")
        }
        _ => Error::unavailable(message).source(error),
    }
}

/// The error of making a hard link in `folder` to a file that could be made.
pub(super) fn link_failed(folder: &Path, error: io::Error) -> Error {
    match error.kind() {
        // What vfat says: who may make a file may make a link, where there are links.
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => {
            Error::config(format!("cannot make a hard link in `{}`", folder.display()))
                .source(error)
                .hint("choose a folder on a file system that has hard links: they make a commit atomic")
        }
        _ => failed("make a hard link in", folder, error),
    }
}

/// Makes the content of `file`, at `path`, durable.
pub(super) fn sync(file: &File, path: &Path) -> Result<()> {
    // After a failed fsync the system may forget what it could not write and report success the next time, so it is
    // never tried again.
    file.sync_all().map_err(|error| {
        Error::internal(format!("the system could not make `{}` durable (fsync failed)", path.display()))
            .source(error)
            .hint("check the disk, then start again")
    })
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    let opened = File::open(folder).map_err(|error| failed("open", folder, error))?;
    sync(&opened, folder)
}

/// Makes `folder` and every folder above it that is missing, durably.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(failed("make the folder", folder, error))
        }
        _ => folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder),
    }
}

/// The names in `folder`, sorted; none when there is no such folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed("list", folder, error))?,
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let names = entries.map(name).collect::<io::Result<Vec<_>>>();
    let mut names = names.map_err(|error| failed("list", folder, error))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_links_is_named_as_such() {
        // link(2) on vfat and exfat says EPERM, which is `PermissionDenied`.
        for kind in [ErrorKind::PermissionDenied, ErrorKind::Unsupported] {
            let error = link_failed(Path::new("archive"), kind.into());
            assert_eq!(error.kind(), tidemark_engine::ErrorKind::Config);
            assert!(error.hint_text().unwrap().contains("hard links"), "{error}");
        }
        let error = link_failed(Path::new("archive"), ErrorKind::StorageFull.into());
        assert_eq!(error.kind(), tidemark_engine::ErrorKind::Unavailable);
    }
}
