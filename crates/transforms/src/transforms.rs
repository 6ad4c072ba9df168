//! The list of steps, as the engine sees it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tidemark_engine::{
    Digest, Result,
    change::{ChangeBatch, Refused, Reshape},
    schema::{StreamName, StreamSchema},
    write::WriteMode,
};

use crate::{
    Problem, Step, glob,
    passing::Passing,
    steps::{Verb, Work},
    validate,
};

/// Where a list of steps stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before staging.
    Staging,
    /// On the way to a destination.
    Destination {
        /// How it treats changes.
        mode: WriteMode,
        /// Whether a change that it cannot take becomes a dead letter.
        dead_letters: bool,
    },
}

impl Place {
    /// Whether records have to be told apart by their key there. Before staging nobody knows yet who will need it.
    pub(crate) fn needs_key(self) -> bool {
        match self {
            Self::Staging => true,
            Self::Destination { mode, .. } => mode.needs_key(),
        }
    }

    /// Whether a filter is about records there, and not about changes.
    pub(crate) fn is_of_records(self) -> bool {
        !matches!(self, Self::Destination { mode: WriteMode::Append, .. })
    }
}

/// A list of steps. What it does is a function of the changes and of the list alone.
pub struct Transforms {
    steps: Vec<Part>,
    place: Place,
    /// What the steps do to changes of each schema that has come along.
    lines: Mutex<HashMap<Digest, Line>>,
    fingerprint: String,
}

/// One step: for which streams, and what.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) streams: Option<Vec<String>>,
    pub(crate) verb: Verb,
}

/// The steps that concern changes of one schema.
type Line = Arc<Vec<Box<dyn Work>>>;

impl Transforms {
    /// The steps as they are typed, to be done at `place`; everything that is wrong with them.
    pub fn new(steps: &[Step], place: Place) -> Result<Self, Vec<Problem>> {
        let fingerprint = fingerprint(steps);
        let steps = validate::parts(steps, place)?;
        Ok(Self { steps, place, lines: Mutex::default(), fingerprint })
    }

    /// What tells this list from another, keys included. Nothing of a key can be found out by it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn line(&self, schema: &Arc<StreamSchema>) -> Result<Line> {
        let lines = || self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines().get(&schema.digest()) {
            return Ok(line.clone());
        }
        let (mut line, mut schema_now): (Vec<Box<dyn Work>>, _) = (Vec::new(), schema.clone());
        for part in self.steps.iter().filter(|part| part.takes(schema.stream())) {
            let work = part.verb.work(&schema_now, self.place)?;
            schema_now = work.schema().clone();
            line.push(work);
        }
        let line = Arc::new(line);
        lines().insert(schema.digest(), line.clone());
        Ok(line)
    }
}

/// 16 hexadecimal digits that other steps, or the same with other keys, do not have.
fn fingerprint(steps: &[Step]) -> String {
    let mut hasher =
        blake3::Hasher::new_derive_key("tidemark transforms, version 1: what tells lists of steps apart");
    hasher.update(format!("{steps:?}").as_bytes());
    for step in steps {
        let keys =
            [step.hash.as_ref().map(|hash| &hash.key), step.encrypt.as_ref().map(|encrypt| &encrypt.key)];
        for key in keys.into_iter().flatten() {
            hasher.update(key.expose().as_bytes());
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

impl Part {
    fn takes(&self, stream: &StreamName) -> bool {
        let Some(streams) = &self.streams else { return true };
        streams.iter().any(|pattern| glob::matches(pattern, stream.as_str()))
    }
}

impl Reshape for Transforms {
    fn schema(&self, schema: &Arc<StreamSchema>) -> Result<Arc<StreamSchema>> {
        Ok(self.line(schema)?.last().map_or_else(|| schema.clone(), |work| work.schema().clone()))
    }

    fn changes(&self, changes: ChangeBatch) -> Result<ChangeBatch, Refused> {
        let line = self.line(changes.schema())?;
        let mut passing = Passing::new(changes);
        for work in line.iter() {
            passing = work.apply(passing)?;
        }
        Ok(passing.batch)
    }
}

impl fmt::Debug for Transforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transforms")
            .field("steps", &self.steps)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
