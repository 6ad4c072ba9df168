//! Our side: a pipeline in a folder of its own.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use tidemark_test_servers::Database;

use crate::{
    Result,
    measure::{Usage, bytes_below, measure},
    project::Project,
    shell::command,
};

pub(super) struct Pipeline {
    folder: PathBuf,
    program: PathBuf,
}

impl Pipeline {
    /// A pipeline called `name` that has not run yet. When it is not `live`, a run only stages.
    pub(super) fn new(
        project: &Project,
        name: &str,
        source: &Database<'_>,
        mirror: &Database<'_>,
        live: bool,
    ) -> Result<Self> {
        let folder = project.target(&format!("bench/postgres/{name}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let (source, mirror) = (source.url(), mirror.url());
        let pipeline = format!(
            "name: {name}
source: {{type: postgres, url: \"{source}\", streams: [public.orders]}}
staging: ./staging
destinations:
  mirror: {{type: postgres, url: \"{mirror}\", write: mirror, live: {live}}}
"
        );
        fs::write(folder.join("pipeline.yaml"), pipeline)?;
        Ok(Self { folder, program: project.target("dist/tidemark") })
    }

    /// Reads and writes until nothing is left to do.
    pub(super) fn run(&self) -> Result<Usage> {
        measure(&mut self.tidemark(&["run", "pipeline.yaml", "--once"]))
    }

    /// Plays everything that is staged into the mirror.
    pub(super) fn replay(&self) -> Result<Usage> {
        measure(&mut self.tidemark(&["replay", "pipeline.yaml", "--to", "mirror"]))
    }

    /// How much is staged.
    pub(super) fn staged_bytes(&self) -> Result<u64> {
        bytes_below(&self.folder.join("staging"))
    }

    fn tidemark(&self, arguments: &[&str]) -> Command {
        let mut tidemark = command(&self.program, arguments);
        tidemark.args(["--log-level", "warn"]).current_dir(&self.folder).stdout(Stdio::null());
        tidemark
    }
}
