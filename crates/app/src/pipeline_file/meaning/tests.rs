//! The tests of transforms.

use tidemark_engine::{change::Op, schema::StreamName};
use tidemark_transforms::{Example, Record, Shown};

use super::Findings;
use crate::pipeline_file::{
    document::{self, Letter, TestChange},
    pipeline::{Destination, Expected, Test},
};

/// What `through` says of the transforms before staging.
const STAGING: &str = "staging";

impl Findings<'_> {
    pub(super) fn tests(&mut self, typed: Vec<document::Test>, destinations: &[Destination]) -> Vec<Test> {
        typed
            .into_iter()
            .enumerate()
            .map(|(index, test)| self.test(&index.to_string(), test, destinations))
            .collect()
    }

    fn test(&mut self, index: &str, typed: document::Test, destinations: &[Destination]) -> Test {
        let document::Test { name, stream, through, key, types, change, expect, error } = typed;
        let names: Vec<_> = destinations.iter().map(|it| it.writing.destination.as_str()).collect();
        if through != STAGING && !names.contains(&through.as_str()) {
            let message = format!("there is no destination `{through}` to test");
            let hint = format!("choose from: {STAGING}, {}", names.join(", "));
            self.add(&["tests", index, "through"], &message, Some(&hint));
        }
        if error.is_some() && !expect.is_empty() {
            let hint = "keep one of them";
            self.add(&["tests", index, "error"], "a test expects both changes and an error", Some(hint));
        }
        let Shown { op, before, after } = shown(change);
        let example = Example { stream: StreamName::new(stream), key, types, op, before, after };
        if let Err(error) = example.changes() {
            self.add(&["tests", index, "change"], error.message(), error.hint_text());
        }
        let expected = match error {
            Some(words) => Expected::Error(words),
            None => Expected::Changes(expect.into_iter().map(shown).collect()),
        };
        Test { name, example, through: (through != STAGING).then_some(through), expected }
    }
}

fn shown(typed: TestChange) -> Shown {
    let op = match typed.op {
        Letter::R => Op::Read,
        Letter::C => Op::Create,
        Letter::U => Op::Update,
        Letter::D => Op::Delete,
        Letter::T => Op::Truncate,
    };
    let record = |cells: indexmap::IndexMap<String, document::Cell>| -> Record {
        cells.into_iter().map(|(name, cell)| (name, cell.0)).collect()
    };
    Shown { op, before: typed.before.map(record), after: typed.after.map(record) }
}
