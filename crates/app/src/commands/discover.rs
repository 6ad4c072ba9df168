//! `tidemark discover`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Value as Json, json, value::RawValue};
use tidemark_connectors::config::{Discovered, Extent};
use tidemark_engine::{Error, Result, schema::Field};

use crate::{
    change_line::values_of, cli::EXIT_CODES, failure::Failure, output::Output, pipeline_file, streams,
};

/// List the streams that the source offers, with their columns and keys
///
/// Looks at the beginning of each stream. Where types are inferred, later records may widen them: `types` in the pipeline
/// file decides otherwise.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Discover {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only this stream
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Show the first records too
    #[arg(long)]
    sample: bool,
    /// Print it as a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidemark discover pipeline.yaml
  tidemark discover pipeline.yaml --stream flights --sample";

/// Records in a sample.
const SAMPLE: usize = 5;

impl Discover {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let pipeline = pipeline_file::load(&self.file)?;
        let sample = if self.sample { SAMPLE } else { 0 };
        let mut streams = pipeline.source.discover(&pipeline.home, sample).await?;
        if let Some(name) = &self.stream {
            let known: Vec<_> = streams.iter().map(|stream| stream.schema.stream().as_str()).collect();
            if !known.contains(&name.as_str()) {
                return Err(streams::unknown("the source offers", name, &known).into());
            }
            streams.retain(|stream| stream.schema.stream().as_str() == name);
        }
        if self.json {
            return output.json(&streams.iter().map(for_programs).collect::<Result<Vec<_>>>()?);
        }
        for stream in &streams {
            output.data(for_people(stream))?;
        }
        if streams.is_empty() {
            output.say("the source offers no stream with a column")?;
        }
        Ok(())
    }
}

fn for_people(discovered: &Discovered) -> String {
    let Discovered { schema, extent, sample } = discovered;
    let key = match schema.key_names() {
        [] => "no key".to_owned(),
        names => format!("key {}", names.join(", ")),
    };
    let width = schema.fields().iter().map(|field| field.name.len()).max().unwrap_or(0);
    let mut lines = vec![format!("{}: {extent}, {key}", schema.stream())];
    lines.extend(schema.fields().iter().map(|field| format!("  {:width$}  {}", field.name, kind(field))));
    if let Some(batch) = sample {
        lines.extend((0..batch.rows()).map(|row| format!("  {}", values_of(batch, row))));
    }
    lines.join("\n")
}

/// A stream as programs read it; its records keep every digit.
#[derive(Serialize)]
struct ForPrograms<'a> {
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    key: &'a [String],
    columns: Vec<Json>,
    sample: Vec<Box<RawValue>>,
}

fn for_programs(discovered: &Discovered) -> Result<ForPrograms<'_>> {
    let Discovered { schema, extent, sample } = discovered;
    let columns = schema.fields().iter().map(|field| {
        json!({"name": field.name, "kind": field.kind.name(), "nullable": field.nullable, "source_type": field.source_type})
    });
    let shown = sample.iter().flat_map(|batch| (0..batch.rows()).map(|row| values_of(batch, row)));
    let shown = shown.map(|record| {
        RawValue::from_string(record).map_err(|error| Error::internal("a sample is not JSON").source(error))
    });
    let (files, records) = match extent {
        Extent::Files(files) => (Some(*files), None),
        Extent::Records(records) => (None, *records),
    };
    Ok(ForPrograms {
        stream: schema.stream().as_str(),
        files,
        records,
        key: schema.key_names(),
        columns: columns.collect(),
        sample: shown.collect::<Result<_>>()?,
    })
}

/// The kind of a column, and whether it may be null, as people read it.
fn kind(field: &Field) -> String {
    let required = if field.nullable { "" } else { ", required" };
    format!("{}{required}", field.kind.name())
}
