//! What became of records, by which sources and destinations of every kind are compared.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// A stream, and what is compared of it.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    /// Its name.
    pub(super) name: &'static str,
    /// The column of its key.
    pub(super) key: &'static str,
    /// The other columns.
    pub(super) columns: &'static [&'static str],
    /// The column, a number, that decides what goes to the one destination that takes a sample: where ten divides it without rest.
    pub(super) sampled_by: &'static str,
}

/// Of each record the states that it had, in order; [`GONE`] where it was deleted.
pub(super) type Lives = BTreeMap<String, Vec<String>>;

/// That a record was deleted.
pub(super) const GONE: &str = "gone";

impl Stream {
    /// All columns, the key first, as `quote` has names.
    pub(super) fn columns(&self, quote: char) -> String {
        let columns = std::iter::once(&self.key).chain(self.columns);
        columns.map(|column| format!("{quote}{column}{quote}")).collect::<Vec<_>>().join(", ")
    }

    /// Those of `changes` that are in the sample.
    pub(super) fn sample(&self, changes: &[Json]) -> Vec<Json> {
        let is_in = |change: &&Json| change["values"][self.sampled_by].as_i64().unwrap() % 10 == 0;
        changes.iter().filter(is_in).cloned().collect()
    }

    /// The key of a record.
    pub(super) fn key_of(&self, values: &Json) -> String {
        text(&values[self.key])
    }

    /// The state of a record.
    pub(super) fn state_of(&self, values: &Json) -> String {
        self.columns.iter().map(|column| text(&values[column])).collect::<Vec<_>>().join("\t")
    }

    /// What `changes` tell, each an object with `op` and values, in order.
    pub(super) fn lives<'c>(&self, changes: impl Iterator<Item = (&'c Json, &'c Json)>) -> Lives {
        let mut lives = Lives::new();
        for (op, values) in changes {
            let state = if op == "d" { GONE.to_owned() } else { self.state_of(values) };
            lives.entry(self.key_of(values)).or_default().push(state);
        }
        lives
    }
}

/// The records that there are in the end, as rows apart by tabs, in order.
pub(super) fn rows(lives: &Lives) -> Vec<String> {
    let last = lives.iter().filter_map(|(key, states)| Some((key, states.last()?)));
    let mut rows: Vec<_> =
        last.filter(|(_, state)| *state != GONE).map(|(key, state)| format!("{key}\t{state}")).collect();
    rows.sort();
    rows
}

/// Fails with the first record of which they tell otherwise.
pub(super) fn assert_same(found: &Lives, expected: &Lives, whose: &str) {
    let differs = expected.iter().find(|(key, states)| found.get(*key) != Some(*states));
    let of = |lives: &Lives, key: &String| {
        lives.get(key).map(|states| states[states.len().saturating_sub(3)..].to_vec())
    };
    if let Some((key, _)) = differs {
        panic!("{whose}: `{key}` ends with {:?} instead of {:?}", of(found, key), of(expected, key));
    }
    assert_eq!(found.len(), expected.len(), "{whose}: records that there never were");
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
