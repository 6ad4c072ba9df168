//! What is sent: orders that were read from a file and stand in the staging log.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::expect;
use crate::{
    Result,
    bench::kit::Kit,
    measure::{Usage, measure as usage},
    shell::{command, read, run},
};

/// So many times fewer than the rows of a table.
const SHARE: u64 = 20;

/// Staged orders.
pub(super) struct Feed {
    pub(super) rows: u64,
    folder: PathBuf,
    /// How often it has been played: where a destination stands is kept under its name.
    played: Cell<u32>,
}

impl Feed {
    /// Reads them into the log.
    pub(super) fn staged(kit: &Kit<'_>) -> Result<Self> {
        let feed = Self {
            rows: kit.sizes.rows / SHARE,
            folder: kit.fresh_folder("destinations")?,
            played: Cell::default(),
        };
        fs::create_dir(feed.folder.join("data"))?;
        fs::write(feed.orders(), feed.text()?)?;
        feed.describe("{type: files, path: ./archive, format: jsonl, write: append}", "archive")?;
        run(&mut feed.tidemark(kit, &["run", "--once"]))?;
        let changes = read(&mut feed.tidemark(kit, &["changes", "--json"]))?;
        expect("staged changes", changes.lines().count(), feed.rows)?;
        fs::write(feed.messages(), changes)?;
        Ok(feed)
    }

    /// The orders as CSV.
    pub(super) fn orders(&self) -> PathBuf {
        self.folder.join("data/orders.csv")
    }

    /// Each change as a line of JSON, about as long as the message that it becomes.
    pub(super) fn messages(&self) -> PathBuf {
        self.folder.join("messages")
    }

    /// Where something may be written down.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has the program write them to a destination that comes later.
    pub(super) fn play(&self, kit: &Kit<'_>, destination: &str) -> Result<Usage> {
        self.played.update(|played| played + 1);
        self.describe(destination, &format!("destination{}", self.played.get()))?;
        usage(self.tidemark(kit, &["run", "--once", "--log-level", "warn"]).stdout(Stdio::null()))
    }

    /// Fails unless these are the ids of all changes, each once.
    pub(super) fn expect_ids(&self, ids: impl IntoIterator<Item = String>) -> Result {
        let (mut count, mut different) = (0_u64, BTreeSet::new());
        for id in ids {
            count += 1;
            different.insert(id);
        }
        expect("messages", count, self.rows)?;
        expect("different ids", different.len(), self.rows)
    }

    pub(super) fn remove(self) -> Result {
        Ok(fs::remove_dir_all(self.folder)?)
    }

    fn text(&self) -> Result<String> {
        let mut text = "id,customer,status,total,created,note\n".to_owned();
        for id in 1..=self.rows {
            let (customer, cents, second) = (id % 997, id * 37 % 100_000, id % 60);
            writeln!(
                text,
                "{id},customer {customer},paid,{}.{:02},2026-03-01T12:00:{second:02}Z,order number {id} of many",
                cents / 100,
                cents % 100
            )?;
        }
        Ok(text)
    }

    fn describe(&self, destination: &str, name: &str) -> Result {
        let pipeline = format!(
            "name: bench
source:
  type: files
  path: ./data
  streams: {{orders: {{files: orders.csv, key: [id], types: {{total: \"decimal(12,2)\", created: timestamptz}}}}}}
staging: ./staging
destinations:
  {name}: {destination}
"
        );
        Ok(fs::write(self.folder.join("pipeline.yaml"), pipeline)?)
    }

    fn tidemark(&self, kit: &Kit<'_>, arguments: &[&str]) -> Command {
        let (first, others) = arguments.split_at(1);
        let mut tidemark = command(kit.program(), [first, &["pipeline.yaml"], others].concat());
        tidemark.current_dir(&self.folder);
        tidemark
    }
}
