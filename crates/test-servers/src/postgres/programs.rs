//! Where PostgreSQL's programs are, and as whom they run.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian puts the programs of each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The program `name`: from the `PATH`, else Debian's newest.
pub(super) fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(debian_folders())
        .map(|folder| folder.join(name))
        // `psql` and others in Debian's `/usr/bin` are wrappers that look for Debian's own servers.
        .find(|file| file.is_file() && !is_wrapper(file))
        .unwrap_or_else(|| {
            panic!("PostgreSQL's `{name}` is missing: install the Debian package `postgresql`")
        })
}

/// The newest version first.
fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<u32> =
        versions.filter_map(|version| version.file_name().to_str()?.parse().ok()).collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|version| format!("{DEBIAN}/{version}/bin").into()).collect()
}

fn is_wrapper(file: &Path) -> bool {
    fs::read_link(file).is_ok_and(|target| target.ends_with("pg_wrapper"))
}

/// The words to put before a server program: PostgreSQL refuses to run as root.
pub(super) fn as_owner() -> &'static [&'static str] {
    if we_are_root() { &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] } else { &[] }
}

/// Hands `folder` and what is in it to whom the server runs as.
pub(super) fn give_to_owner(folder: &Path) {
    if we_are_root() {
        run(Command::new("chown").args(["-R", "postgres:"]).arg(folder));
    }
}

fn we_are_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
