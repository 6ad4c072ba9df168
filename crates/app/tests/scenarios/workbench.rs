//! A folder of its own for each test, and `tidemark` to run in it.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
};

use tempfile::TempDir;

use crate::{
    process::{Outcome, Running},
    samples::example,
};

/// A folder that goes away with the test, unless it fails.
pub(crate) struct Workbench {
    folder: TempDir,
    /// The environment of what runs in it.
    variables: Vec<(&'static str, String)>,
}

impl Workbench {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// A folder with this as its `pipeline.yaml` and nothing else.
    pub(crate) fn with_pipeline(pipeline: &str) -> Self {
        let bench = Self::new();
        bench.write("pipeline.yaml", pipeline);
        bench
    }

    /// The same folder, with these environment variables for all that runs in it.
    pub(crate) fn in_environment(mut self, variables: &[(&'static str, String)]) -> Self {
        self.variables = variables.to_vec();
        self
    }

    /// A copy of `examples/flights`.
    pub(crate) fn of_the_flights_example() -> Self {
        let bench = Self::with_pipeline(&fs::read_to_string(example("pipeline.yaml")).unwrap());
        for file in fs::read_dir(example("data")).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            bench.write(&format!("data/{name}"), &fs::read_to_string(file.path()).unwrap());
        }
        bench
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds to the end of a file, which is made when absent.
    pub(crate) fn append(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Runs `tidemark` with `arguments`, as typed in this folder, to its end.
    pub(crate) fn tidemark(&self, arguments: &str) -> Outcome {
        self.start(arguments).ends()
    }

    /// The same with environment variables.
    pub(crate) fn tidemark_with(&self, variables: &[(&str, &str)], arguments: &str) -> Outcome {
        self.start_with(variables, arguments).ends()
    }

    /// Starts `tidemark` with `arguments`, as typed in this folder.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        self.start_with(&[], arguments)
    }

    /// The same with environment variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)], arguments: &str) -> Running {
        let own = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<_> = own.chain(variables.iter().copied()).collect();
        Running::start(self.folder.path(), &variables, arguments)
    }
}

impl Drop for Workbench {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("The test's folder is kept: {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}
