//! What has been loaded ahead of the position.

use std::collections::HashMap;

use tidemark_engine::change::ChangeBatch;

use super::{ahead::runs, ledger::LoadedRows};

/// The rows that have been loaded, by stream and commit, as spans of ordinals.
#[derive(Debug, Default)]
pub(super) struct Loaded(HashMap<(String, u64), Vec<(u64, u64)>>);

impl Loaded {
    pub(super) fn note(&mut self, rows: LoadedRows) {
        self.0.entry((rows.stream, rows.sequence)).or_default().push((rows.first, rows.last));
    }

    /// Forgets what is known of `stream` up to commit `sequence`.
    pub(super) fn forget(&mut self, stream: &str, sequence: u64) {
        self.0.retain(|(of, at), _| of != stream || *at > sequence);
    }

    /// Forgets what comes after `rows` in their stream.
    pub(super) fn forget_after(&mut self, rows: &LoadedRows) {
        for ((stream, sequence), spans) in &mut self.0 {
            spans.retain(|(first, _)| {
                stream != &rows.stream || (*sequence, *first) <= (rows.sequence, rows.first)
            });
        }
    }

    /// Whether anything that comes after `rows` in their stream has been loaded.
    pub(super) fn has_after(&self, rows: &LoadedRows) -> bool {
        self.0.iter().any(|((stream, sequence), spans)| {
            let is_after = |(first, _): &(u64, u64)| (*sequence, *first) > (rows.sequence, rows.first);
            stream == &rows.stream && spans.iter().any(is_after)
        })
    }

    /// The parts of `changes` that have not been loaded.
    pub(super) fn missing(&self, sequence: u64, changes: &ChangeBatch) -> Vec<ChangeBatch> {
        let key = (changes.schema().stream().as_str().to_owned(), sequence);
        let (Some(spans), Some(ordinals)) = (self.0.get(&key), changes.ordinals()) else {
            return vec![changes.clone()];
        };
        let is_loaded = |row: usize| {
            let ordinal = ordinals.value(row);
            spans.iter().any(|(first, last)| (*first..=*last).contains(&ordinal))
        };
        runs(changes.rows(), is_loaded)
            .into_iter()
            .filter(|(_, _, loaded)| !loaded)
            .map(|(start, rows, _)| changes.slice(start, rows))
            .collect()
    }
}

/// `changes` in parts between which others of their commit are wanting, as dead letters are.
pub(super) fn without_gaps(changes: &ChangeBatch) -> Vec<ChangeBatch> {
    let Some(ordinals) = changes.ordinals() else { return vec![changes.clone()] };
    let ordinals = ordinals.values();
    let begins = |row: &usize| *row == 0 || ordinals[*row] != ordinals[*row - 1] + 1;
    let begins = (0..changes.rows()).filter(begins).collect::<Vec<_>>();
    let ends = begins.iter().skip(1).copied().chain([changes.rows()]);
    begins.iter().zip(ends).map(|(begin, end)| changes.slice(*begin, end - begin)).collect()
}
