//! Streams as people name them on the command line.

use tidemark_engine::{
    Error, Result,
    log::{Log, Selection},
    schema::StreamName,
};

use crate::pipeline_file::{closest, did_you_mean};

/// The selection of the streams called `names`; none: all. Each must be in the log, for a mistyped one would
/// look like one without changes.
pub(crate) async fn select(log: &Log, names: &[String]) -> Result<Selection> {
    let streams: Vec<_> = names.iter().map(StreamName::new).collect();
    if !streams.is_empty() {
        let known = log.streams().await?;
        let known: Vec<_> = known.iter().map(StreamName::as_str).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(unknown("the staging log holds", name, &known));
        }
    }
    Ok(Selection { streams, ..Selection::default() })
}

/// The error for a stream that is not among the `known` ones. `whose` begins the sentence.
pub(crate) fn unknown(whose: &str, name: &str, known: &[&str]) -> Error {
    let hint = match closest(name, known) {
        Some(closest) => did_you_mean(closest),
        None => format!("choose from: {}", known.join(", ")),
    };
    Error::config(format!("{whose} no stream `{name}`")).hint(hint)
}
