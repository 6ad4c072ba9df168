//! `tidemark presets`

use clap::Args;
use serde::Serialize;
use tidemark_connectors::http::PRESETS;
use tidemark_engine::Error;

use crate::{
    failure::Failure,
    output::Output,
    pipeline_file::{closest, did_you_mean, preset_about},
};

/// List what is known of kinds of APIs: presets for sources of type `http`
///
/// With a name, the preset itself is printed: a file to read, or to write one of your own after. A pipeline file names a preset, or the
/// path of such a file, under `preset`.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "Examples:\n  tidemark presets\n  tidemark presets odata\n  tidemark presets github > mine.yaml"
)]
pub(crate) struct Presets {
    /// Print this one
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Listed {
    preset: &'static str,
    about: String,
}

impl Presets {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match &self.name {
            Some(name) => print(name, output),
            None => list(self.json, output),
        }
    }
}

fn print(name: &str, output: &Output) -> Result<(), Failure> {
    match PRESETS.iter().find(|preset| preset.name == name) {
        Some(preset) => output.data(preset.text.trim_end()),
        None => {
            let names = PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>();
            let hint = closest(name, &names)
                .map_or_else(|| format!("choose from: {}", names.join(", ")), did_you_mean);
            Err(Error::config(format!("there is no preset `{name}`")).hint(hint).into())
        }
    }
}

fn list(json: bool, output: &Output) -> Result<(), Failure> {
    let listed =
        PRESETS.iter().map(|preset| Listed { preset: preset.name, about: preset_about(preset.text) });
    let listed = listed.collect::<Vec<_>>();
    if json {
        return output.json(&listed);
    }
    let width = listed.iter().map(|listed| listed.preset.len()).max().unwrap_or(0);
    listed.iter().try_for_each(|Listed { preset, about }| output.data(format!("{preset:width$}  {about}")))
}
