//! Our side: a pipeline in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tidemark_test_servers::Database;

use super::super::kit::Kit;
use crate::{
    Result,
    measure::{Running, Usage, bytes_below, measure},
    shell::command,
};

pub(super) struct Pipeline {
    name: String,
    folder: PathBuf,
    program: PathBuf,
    source: String,
}

impl Pipeline {
    /// A pipeline called `name` that has not run yet.
    pub(super) fn new(kit: &Kit<'_>, name: &str, source: &Database<'_>) -> Result<Self> {
        let folder = kit.fresh_folder(&format!("postgres/{name}"))?;
        Ok(Self { name: name.to_owned(), folder, program: kit.program(), source: source.url() })
    }

    /// Writes into `mirror` whatever it reads.
    pub(super) fn mirrors(&self, mirror: &Database<'_>) -> Result {
        self.describe(mirror, true)
    }

    /// Only stages what it reads. `mirror` is what the log may be replayed into.
    pub(super) fn stages(&self, mirror: &Database<'_>) -> Result {
        self.describe(mirror, false)
    }

    fn describe(&self, mirror: &Database<'_>, live: bool) -> Result {
        let Self { name, source, .. } = self;
        let mirror = mirror.url();
        let pipeline = format!(
            "name: {name}
source: {{type: postgres, url: \"{source}\", streams: [public.orders]}}
staging: ./staging
destinations:
  mirror: {{type: postgres, url: \"{mirror}\", write: mirror, live: {live}}}
"
        );
        Ok(fs::write(self.folder.join("pipeline.yaml"), pipeline)?)
    }

    /// Where it keeps what it stages.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads and writes until nothing is left to do; with the bytes that were staged meanwhile.
    pub(super) fn run(&self) -> Result<(Usage, u64)> {
        let before = self.staged_bytes()?;
        let usage = measure(&mut self.tidemark(&["run", "pipeline.yaml", "--once"]))?;
        Ok((usage, self.staged_bytes()?.saturating_sub(before)))
    }

    /// Reads and writes until it is stopped.
    pub(super) fn start(&self) -> Result<Running> {
        Running::start(&mut self.tidemark(&["run", "pipeline.yaml"]))
    }

    /// Plays everything that is staged into the mirror.
    pub(super) fn replay(&self) -> Result<Usage> {
        measure(&mut self.tidemark(&["replay", "pipeline.yaml", "--to", "mirror"]))
    }

    /// How much is staged.
    pub(super) fn staged_bytes(&self) -> Result<u64> {
        let staging = self.folder.join("staging");
        if staging.exists() { bytes_below(&staging) } else { Ok(0) }
    }

    /// Removes what it has staged, and its slot, for whose sake the server would keep its log. It runs no more.
    pub(super) fn end(self, source: &Database<'_>) -> Result {
        source.query(&format!(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'tidemark_{}'",
            self.name
        ));
        Ok(fs::remove_dir_all(self.folder)?)
    }

    fn tidemark(&self, arguments: &[&str]) -> Command {
        let mut tidemark = command(&self.program, arguments);
        tidemark.args(["--log-level", "warn"]).current_dir(&self.folder).stdout(Stdio::null());
        tidemark
    }
}
