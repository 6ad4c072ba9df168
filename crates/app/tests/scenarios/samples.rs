//! The data that scenarios run on.

use std::path::{Path, PathBuf};

/// The CSV files of nycflights13, whole.
pub(crate) fn nycflights13() -> PathBuf {
    let test_data = std::env::var_os("TIDEMARK_TEST_DATA").map(PathBuf::from);
    let test_data = test_data.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-data"));
    let folder = test_data.join("nycflights13");
    assert!(folder.exists(), "{} is missing: run `cargo xtask test --install`", folder.display());
    folder
}

/// Where Python finds DuckDB and PyArrow.
pub(crate) fn readers() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/readers");
    assert!(folder.exists(), "{} is missing: run `cargo xtask test --install`", folder.display());
    folder
}

/// A file of `examples/flights`.
pub(crate) fn example(path: &str) -> PathBuf {
    examples("flights").join(path)
}

/// A file of `examples`.
pub(crate) fn examples(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path)
}
