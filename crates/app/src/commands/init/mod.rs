//! `tidemark init`

mod starter;
mod system;

use std::{fs::OpenOptions, io, io::Write, path::PathBuf};

use clap::Args;
use tidemark_engine::Error;

use crate::{cli::EXIT_CODES, failure::Failure, output::Output, pipeline_file};
use system::{Destination, Source};

/// Write a starter pipeline file
///
/// With --source and --destination the pipeline is ready to run; without them, the starter explains what to fill in. A
/// file that is already there is left alone.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Init {
    /// The pipeline file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to read: a PostgreSQL database (`postgres://user@host/database`), a folder of files, or one file
    #[arg(long, value_name = "PATH_OR_URL")]
    source: Option<String>,
    /// What to write to: a PostgreSQL or SQLite database (`postgres://…`, `copy.db`, `sqlite:PATH`), or a folder for Parquet
    /// files
    #[arg(long, value_name = "PATH_OR_URL")]
    destination: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  tidemark init pipeline.yaml
  tidemark init --source ./data --destination ./copy.db pipeline.yaml
  tidemark init --source postgres://me@localhost/shop --destination ./shop.db pipeline.yaml
  tidemark init --source ./data/orders.csv --destination ./archive pipeline.yaml";

impl Init {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let folder = self.file.parent().unwrap_or("".as_ref());
        let source = self.source.map(|typed| Source::parse(&typed, folder)).transpose()?;
        let destination = self.destination.map(|typed| Destination::parse(&typed, folder)).transpose()?;
        let text = starter::write(&starter::name_for(&self.file), source.as_ref(), destination.as_ref());
        // What is written must be sound: a destination inside the source, say, is told now.
        pipeline_file::read(&self.file, text.clone())?;

        let file = self.file.display();
        let written = OpenOptions::new().write(true).create_new(true).open(&self.file);
        written.and_then(|mut new| new.write_all(text.as_bytes())).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::config(format!("`{file}` is already there"))
                .hint("name another file, or remove this one first"),
            _ => Error::config(format!("cannot write `{file}`")).source(error),
        })?;
        output.say(format!("wrote `{file}`; next: tidemark check {file}"))
    }
}
