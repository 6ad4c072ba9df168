//! Where the emulators are: `cargo xtask test --install` puts them into the build folder.

use std::{env, path::PathBuf};

/// A file or folder of the tools; `path` is seen from their folder.
pub(crate) fn tool(path: &str) -> PathBuf {
    let program = env::current_exe().expect("a test knows its own program");
    let found = program.ancestors().map(|folder| folder.join("tools").join(path)).find(|file| file.exists());
    found.unwrap_or_else(|| panic!("`tools/{path}` is missing: run `cargo xtask test --install`"))
}
