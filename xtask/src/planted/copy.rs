//! A copy of the sources to put bugs into, and a build folder of its own: in the project's, everything of the copy would take the place
//! of the project's own, for cargo tells workspaces apart by what is in them and not by where they are.
//!
//! Both stay for the next time. What is as it should be is not touched, so that little is built anew.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    project::Project,
    shell::{command, read, run},
};

use super::bug::Bug;

/// The copy.
pub(super) struct Copy {
    original: PathBuf,
    pub(super) source: PathBuf,
    /// What is built of it.
    pub(super) build: PathBuf,
    /// What its tests say.
    pub(super) output: PathBuf,
    pub(super) test_data: PathBuf,
}

impl Copy {
    /// The copy of `project`, brought up to it.
    pub(super) fn of(project: &Project) -> Result<Self> {
        let folder = project.target("planted");
        let copy = Self {
            original: project.root().to_owned(),
            source: folder.join("source"),
            build: folder.join("build"),
            output: folder.join("output"),
            test_data: project.test_data(),
        };
        fs::create_dir_all(&copy.source)?;
        fs::create_dir_all(&copy.output)?;
        if !copy.build.exists() {
            copy.take_dependencies(&project.target("debug"))?;
        }
        copy.refresh()?;
        Ok(copy)
    }

    /// Makes it what the project is, bugs or not. A file that differs is written, which makes it new to cargo.
    pub(super) fn refresh(&self) -> Result {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listing = read(command("git", arguments).current_dir(&self.original))?;
        let mut files = BTreeSet::new();
        for name in listing.split_terminator('\0').filter(|name| self.original.join(name).is_file()) {
            let (content, to) = (fs::read(self.original.join(name))?, self.source.join(name));
            if fs::read(&to).ok().as_ref() != Some(&content) {
                fs::create_dir_all(to.parent().unwrap_or(&self.source))?;
                fs::write(&to, content)?;
            }
            files.insert(to);
        }
        remove_others(&self.source, &files)
    }

    /// Puts a bug in.
    pub(super) fn apply(&self, bug: &Bug) -> Result {
        let mut apply = command("git", ["apply", "--whitespace=nowarn"]);
        apply.arg(&bug.patch).current_dir(&self.source);
        // It must not find the project's repository, where the copy is a folder to be passed over.
        let above = self.source.parent().unwrap_or(&self.source);
        apply.env("GIT_CEILING_DIRECTORIES", above).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        let applied = read(&mut apply);
        applied.map(drop).map_err(|error| format!("its patch does not apply: {error}").into())
    }

    /// Takes over what is built of the dependencies, to build it no second time.
    fn take_dependencies(&self, from: &Path) -> Result {
        for folder in [".fingerprint", "build", "deps"] {
            let Ok(built) = fs::read_dir(from.join(folder)) else { continue };
            let to = self.build.join("debug").join(folder);
            fs::create_dir_all(&to)?;
            // Its times are what tells cargo that it is not out of date.
            let mut cp = command("cp", ["--archive", "--target-directory"]);
            cp.arg(to);
            for entry in built {
                let path = entry?.path();
                if is_of_a_dependency(&path) {
                    cp.arg(path);
                }
            }
            run(&mut cp)?;
        }
        Ok(())
    }
}

/// Whether it is not what a package of ours is built into; of programs, which have no ending, most are tests.
fn is_of_a_dependency(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_ours = ["tidemark", "libtidemark", "xtask"].iter().any(|ours| name.starts_with(ours));
    !is_ours && (path.is_dir() || path.extension().is_some())
}

/// Removes every file in `folder` that is not among `files`.
fn remove_others(folder: &Path, files: &BTreeSet<PathBuf>) -> Result {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, files)?;
        } else if !files.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
