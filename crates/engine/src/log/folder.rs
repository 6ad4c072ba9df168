//! A log's folder on this machine: whether it is still the one that was opened, and what a death leaves torn in it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{Error, Result, world::World};

/// A file that is being written may stand under its temporary name for as long as this.
const BEING_WRITTEN: Duration = Duration::from_secs(600);

/// The folder that holds a log.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held open, so that its number stays its own for as long as we know it.
    _held: File,
    identity: (u64, u64),
}

impl Folder {
    /// The folder at `path`, made when absent, and durable in those above.
    pub(super) fn open_or_create(path: &Path) -> io::Result<Self> {
        create_durably(path)?;
        let path = path.canonicalize()?;
        let held = File::open(&path)?;
        let identity = identity(&held.metadata()?);
        Ok(Self { path, _held: held, identity })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails when another folder, or none, is in its place now: whatever is read or written there has nothing to do with the log.
    ///
    /// When a disk is unmounted, its mount point stays: an empty folder that takes every commit, until the disk comes back and
    /// the log has a hole.
    pub(super) fn check_there(&self) -> Result<()> {
        let fail = |what: &str| {
            Error::unavailable(format!("the staging folder `{}` {what}", self.path.display()))
                .hint("mount its disk again, or put the folder back: Tidemark goes on by itself")
        };
        match fs::metadata(&self.path) {
            Ok(found) if identity(&found) == self.identity => Ok(()),
            Ok(_) => Err(fail("is not the one that was opened: its disk is gone, or it was exchanged")),
            Err(error) => Err(fail("is gone").source(error)),
        }
    }

    /// Removes what processes that died had begun to write; returns how many files. The store's own listings leave such files
    /// out, and nobody ever reads them, but they take up the disk.
    pub(super) fn remove_torn(&self, world: &World) -> io::Result<usize> {
        let now = u64::try_from(world.now().as_micros()).unwrap_or(0);
        let before = SystemTime::UNIX_EPOCH + Duration::from_micros(now).saturating_sub(BEING_WRITTEN);
        let (mut folders, mut removed) = (vec![self.path.clone()], 0);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if is_torn(&entry.file_name().to_string_lossy())
                    && entry.metadata()?.modified()? < before
                {
                    fs::remove_file(entry.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

/// Whether a file has the name under which an object is written before it gets its own: `<object>#<number>`. No object of a log
/// has a `#` in its name.
fn is_torn(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn identity(folder: &fs::Metadata) -> (u64, u64) {
    (folder.dev(), folder.ino())
}

/// Makes `folder` and those it is in, each durable in the one above.
fn create_durably(folder: &Path) -> io::Result<()> {
    let made: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    for folder in made {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(".".as_ref()))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn another_folder_in_its_place_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let (place, aside) = (root.path().join("log"), root.path().join("aside"));
        let folder = Folder::open_or_create(&place).unwrap();
        folder.check_there().unwrap();
        fs::rename(&place, &aside).unwrap();
        assert_eq!(folder.check_there().unwrap_err().kind(), ErrorKind::Unavailable);
        fs::create_dir(&place).unwrap();
        let error = folder.check_there().unwrap_err();
        assert!(error.to_string().contains("is not the one that was opened"), "{error}");
        fs::remove_dir(&place).unwrap();
        fs::rename(&aside, &place).unwrap();
        folder.check_there().unwrap();
    }

    #[test]
    fn only_old_torn_files_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open_or_create(root.path()).unwrap();
        let now = Duration::from_micros(World::real().now().as_micros() as u64);
        let old = SystemTime::UNIX_EPOCH + now - 2 * BEING_WRITTEN;
        fs::create_dir(root.path().join("data")).unwrap();
        for (name, is_old) in
            [("data/a.parquet#1", true), ("data/b.parquet#2", false), ("data/c#x", true), ("7", true)]
        {
            let file = File::create(root.path().join(name)).unwrap();
            if is_old {
                file.set_modified(old).unwrap();
            }
        }
        assert_eq!(folder.remove_torn(&World::real()).unwrap(), 1);
        assert!(!root.path().join("data/a.parquet#1").exists());
        assert!(root.path().join("data/b.parquet#2").exists() && root.path().join("7").exists());
    }
}
