//! The pipeline file: from YAML to a sound [`Pipeline`], or to everything that is wrong with it at once.
//!
//! | Step | Module |
//! |---|---|
//! | The text becomes a tree that knows its lines; `${…}` in values is replaced | `parse`, `tree`, `interpolation` |
//! | What a preset says is put beneath what the file says | `presets` |
//! | The tree is held against the JSON Schema | `schema`, `structure`, `expectation`, `suggestion` |
//! | The keys become structs (what was typed), and these a pipeline (what it means) | `document`, `meaning`, `pipeline`, `trigger` |
//! | Problems are shown with the lines they are on | `problem`, `source_text`, `rendering` |

mod document;
mod expectation;
mod interpolation;
mod meaning;
mod origin;
mod parse;
mod pipeline;
mod presets;
mod problem;
#[cfg(test)]
mod reference;
mod rendering;
mod schema;
mod source_text;
mod structure;
mod suggestion;
mod tree;
mod trigger;

use std::{env, fs, io, path::Path};

use tidemark_engine::Error;

pub(crate) use pipeline::{Destination, Encryption, Expected, KeySource, Pipeline, StagingPlace, Test};
pub(crate) use presets::preset_about;
pub(crate) use problem::{Problem, Problems};
pub(crate) use schema::schema;
pub(crate) use suggestion::{closest, did_you_mean};
pub(crate) use trigger::{Occasions, Schedule, Trigger, Webhook};

use crate::failure::Failure;
use interpolation::{Interpolation, Variables};
use origin::Origin;
use source_text::SourceText;
use tree::Span;

/// Reads the pipeline file at `path`, with variables from the environment. Touches nothing but the file and the
/// `${file:…}` that it names.
pub(crate) fn load(path: &Path) -> Result<Pipeline, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        let unreadable = Error::config(format!("cannot read the pipeline file `{}`", path.display()));
        match error.kind() {
            io::ErrorKind::NotFound => {
                unreadable.hint(format!("write a starter with `tidemark init {}`", path.display()))
            }
            _ => unreadable,
        }
        .source(error)
    })?;
    Ok(read(path, text)?)
}

/// Reads `text` as if it stood in the file at `path`.
pub(crate) fn read(path: &Path, text: String) -> Result<Pipeline, Problems> {
    read_with(SourceText { path: path.to_owned(), text }, &|name| env::var(name).ok())
}

/// Reads a pipeline out of `file`, with variables from `variables`.
fn read_with(file: SourceText, variables: &Variables<'_>) -> Result<Pipeline, Problems> {
    let mut problems = Vec::new();
    let folder = file.folder().to_owned();
    let mut interpolation = Interpolation::new(variables, &folder);
    let Some(mut root) = parse::parse(&file, &mut interpolation, &mut problems) else {
        return Err(Problems::new(file, problems));
    };
    presets::apply(&mut root, &folder, &mut problems);
    let concealed = interpolation.into_concealed();
    let json = structure::check(schema().as_value(), &root, &mut problems);
    if !problems.is_empty() {
        return Err(Problems::new(file, problems));
    }
    let document = match serde_json::from_value(json) {
        Ok(document) => document,
        // What the schema lets through and the structs do not. It has no place, but it is not silent either.
        Err(error) => {
            let problem = Problem::new(Span::default(), &[], concealed.hide(&error.to_string()));
            return Err(Problems::new(file, vec![problem]));
        }
    };
    let origin = Origin { file: file.clone(), root, concealed };
    let pipeline = meaning::interpret(document, origin, &mut problems);
    if problems.is_empty() { Ok(pipeline) } else { Err(Problems::new(file, problems)) }
}
