//! What becomes of streams at the source, as `tidemark status` shows it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tidemark_engine::{
    Error,
    log::{Former, Log, Request, Syncing},
    schema::StreamName,
};

use crate::{digits::grouped, pipeline_file::Pipeline};

/// What becomes of streams at the source.
pub(super) struct Streams {
    /// Initial syncs under way.
    syncing: BTreeMap<StreamName, Syncing>,
    /// Streams in the log that are not read any more.
    left: Vec<StreamName>,
    /// What has been asked for and not begun; empty: all.
    asked: Vec<Vec<StreamName>>,
}

impl Streams {
    /// As the log of `pipeline` tells.
    pub(super) async fn of(pipeline: &Pipeline, log: &Log) -> Result<Self, Error> {
        // A cursor of another source is for the run to complain of.
        let left = pipeline.source.left(&log.cursor()).unwrap_or_default();
        let asked = log.requests().await?.into_iter().filter_map(|(_, request)| match request {
            Request::Resync { streams } => Some(streams),
            _ => None,
        });
        let mut syncing = log.syncing();
        syncing.retain(|stream, _| !left.contains(stream));
        Ok(Self { syncing, left, asked: asked.collect() })
    }

    /// As lines.
    pub(super) fn for_people(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let is_first = |syncing: &&Syncing| syncing.former == Former::Nothing;
        match self.syncing.values().filter(is_first).count() {
            0 => {}
            1 => lines.push("  initial sync of 1 stream under way".to_owned()),
            streams => lines.push(format!("  initial sync of {} streams under way", grouped(streams as u64))),
        }
        for (stream, Syncing { generation, former, .. }) in &self.syncing {
            let beside = match former {
                Former::Nothing => continue,
                Former::Current => "its changes go on meanwhile",
                Former::Stale => "destinations keep what they have until then",
            };
            lines.push(format!("  `{stream}` is being read anew (generation {generation}); {beside}"));
        }
        for streams in &self.asked {
            lines.push(match streams.as_slice() {
                [] => "  every stream is asked to be read anew".to_owned(),
                streams => format!("  asked to be read anew: {}", listed(streams)),
            });
        }
        if !self.left.is_empty() {
            lines.push(format!("  not read any more: {}", listed(&self.left)));
        }
        lines
    }

    /// As an object.
    pub(super) fn for_programs(&self) -> Json {
        let syncing = self.syncing.iter().map(|(stream, Syncing { generation, since, former })| {
            json!({"stream": stream, "generation": generation, "since": since, "former": former})
        });
        json!({
            "syncing": syncing.collect::<Vec<_>>(),
            "asked": self.asked,
            "left": self.left,
        })
    }
}

fn listed(streams: &[StreamName]) -> String {
    streams.iter().map(|stream| format!("`{stream}`")).collect::<Vec<_>>().join(", ")
}
