//! `tidemark schema`

use clap::Args;

use crate::{failure::Failure, output::Output, pipeline_file};

/// Print the JSON Schema of the pipeline file
///
/// Editors complete, explain and check a pipeline file with it. With the YAML language server, begin the file with:
///
///   # yaml-language-server: $schema=pipeline.schema.json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = "Examples:\n  tidemark schema > pipeline.schema.json")]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        output.json(&pipeline_file::schema())
    }
}
