//! Where things are in the project.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The workspace and the folder that its builds go to.
pub(crate) struct Project {
    root: PathBuf,
    target: PathBuf,
}

impl Project {
    /// The workspace that this program was built in.
    pub(crate) fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        Self { root, target }
    }

    /// A file of the project, from its root.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The project's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is made and may be deleted at any time, from the build folder.
    pub(crate) fn target(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }

    /// Real data that is too large for the repository.
    pub(crate) fn test_data(&self) -> PathBuf {
        self.target("test-data")
    }

    /// The CSV files of nycflights13, whole.
    pub(crate) fn nycflights13(&self) -> PathBuf {
        self.test_data().join("nycflights13")
    }
}
