//! A folder of its own for each test, and `tidemark` to run in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A folder that goes away with the test.
pub(crate) struct Workbench {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workbench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file, and the folders it is in.
    pub(crate) fn file(&self, path: &str, content: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Runs `tidemark` with `arguments`, separated by spaces, in the folder.
    pub(crate) fn tidemark(&self, arguments: &str) -> Ended {
        self.tidemark_with(&[], arguments)
    }

    /// The same with environment variables.
    pub(crate) fn tidemark_with(&self, variables: &[(&str, &str)], arguments: &str) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Ended { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
