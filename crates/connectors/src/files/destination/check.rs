//! Whether a folder can be written to, found out without leaving anything behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tidemark_engine::Error;

use super::disk;

pub(super) fn check(root: &Path) -> Vec<Error> {
    let above = root.ancestors().map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    for folder in above {
        match fs::metadata(folder) {
            // It will be made; then its parent must allow that.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return vec![disk::failed("look at", folder, error)],
            Ok(metadata) if !metadata.is_dir() => {
                return vec![
                    Error::config(format!("`{}` is not a folder", folder.display()))
                        .hint("name a folder with `path`"),
                ];
            }
            Ok(_) => return probe(folder).err().into_iter().collect(),
        }
    }
    Vec::new()
}

/// Makes a file and a link to it, and removes both.
fn probe(folder: &Path) -> Result<(), Error> {
    let name =
        |suffix: &str| -> PathBuf { folder.join(format!(".tidemark-check-{}{suffix}", std::process::id())) };
    let (file, link) = (name(""), name("-link"));
    let made = fs::write(&file, b"").map_err(|error| disk::failed("write to", folder, error));
    let linked =
        made.and_then(|()| fs::hard_link(&file, &link).map_err(|error| disk::link_failed(folder, error)));
    for path in [link, file] {
        // What was not made need not be removed.
        let _ = fs::remove_file(path);
    }
    linked
}
