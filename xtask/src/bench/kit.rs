//! What every benchmark works with.

use std::{fs, path::PathBuf};

use super::options::{Options, Sizes};
use crate::{
    Result,
    project::Project,
    shell::{command, run},
};

/// The program that is measured, on how much work, how often.
pub(super) struct Kit<'p> {
    pub(super) project: &'p Project,
    pub(super) profile: String,
    pub(super) sizes: Sizes,
    pub(super) runs: u32,
}

impl<'p> Kit<'p> {
    pub(super) fn new(project: &'p Project, options: &Options) -> Self {
        Self { project, profile: options.profile().to_owned(), sizes: options.sizes(), runs: options.runs }
    }

    /// Builds the program.
    pub(super) fn build(&self) -> Result {
        let build = ["build", "--profile", &self.profile, "--package", "tidemark"];
        run(command("cargo", build).current_dir(self.project.root()))
    }

    /// The program that is measured.
    pub(super) fn program(&self) -> PathBuf {
        self.built_with(&self.profile, "tidemark")
    }

    /// What a build with `profile` has left at `path`.
    pub(super) fn built_with(&self, profile: &str, path: &str) -> PathBuf {
        self.project.target(if profile == "dev" { "debug" } else { profile }).join(path)
    }

    /// An empty folder called `name`.
    pub(super) fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.project.target("bench").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Does `pair` as often as is asked, with a number for each time.
    pub(super) fn pairs<T>(&self, mut pair: impl FnMut(u32) -> Result<T>) -> Result<Vec<T>> {
        (0..self.runs).map(&mut pair).collect()
    }
}
