//! Where a destination stands, all streams considered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, ErrorKind, Position, Result, Time, log::LetterId, schema::StreamName};

/// A destination's position, and the streams that it holds at another.
///
/// Everything up to the position has been applied, but for held streams: of those, everything up to the commit they are held
/// after. A destination keeps it whole, in the same atomic step as the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Where all other streams stand.
    #[serde(flatten)]
    pub position: Position,
    /// Streams that failed here and wait for a person, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<StreamName, Hold>,
    /// Streams that are being filled anew, out of sight, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub anew: BTreeMap<StreamName, Anew>,
    /// The schemas that it keeps to, where it does not follow every one, by stream.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<StreamName, Digest>,
    /// Changes of the commit after the position that have been applied too: those with ordinals below this. Only the state
    /// as of a moment inside a commit has any; nothing goes on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beyond: Option<u64>,
    /// Dead letters that were written in the unit that led here: they are to be forgotten.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub settled: BTreeSet<LetterId>,
}

/// A stream of which a new generation is complete, on its way into a destination that has the former one: it is played into a
/// shadow, a table of its own out of sight, and when that stands where the destination does, it takes the former one's place in
/// one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anew {
    /// The commit after which it began. Another number is another shadow: what the former one holds is void.
    pub from: u64,
    /// The last commit of which the shadow has the changes.
    pub after: u64,
    /// The last commit to play into it, in modes that take a generation and no more; `None`: up to the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Whether the stream's changes are kept from the former generation meanwhile.
    pub waits: bool,
    /// The schema that the shadow keeps to, as [`Standing::schemas`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Digest>,
    /// When the generation was complete, for what must have been deleted some time before.
    pub time: Time,
}

/// What a standing says beside the position: kept as text by destinations that have columns for the position.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Notes {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    held: BTreeMap<StreamName, Hold>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    anew: BTreeMap<StreamName, Anew>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    schemas: BTreeMap<StreamName, Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond: Option<u64>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    settled: BTreeSet<LetterId>,
}

/// How a destination that was filled out of sight takes the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// Where it stands.
    pub standing: Standing,
    /// The streams it was given; empty: all.
    pub streams: Vec<StreamName>,
    /// Whether the other is in use: it goes on from where it then stands. Otherwise of streams that this one has not it holds
    /// nothing.
    pub goes_on: bool,
    /// Whether the other keeps all that it has, and gets what it misses.
    pub adds: bool,
}

impl Standing {
    /// Where this destination stands when `takeover` has taken place, which brings `brought` streams. With all of them it stands
    /// where the other does, and plays on from there, so that its streams show one moment at any time. With some of them, those
    /// are held where they stand until they have caught up.
    ///
    /// Fails with [`ErrorKind::Conflict`] when some of them are ahead.
    pub fn taken_over(&self, takeover: &Takeover, brought: &[StreamName]) -> Result<Self> {
        let other = &takeover.standing;
        if !takeover.goes_on {
            return Ok(other.clone());
        }
        if takeover.adds {
            return Ok(self.clone());
        }
        let (here, there) = (self.position.sequence, other.position.sequence);
        let is_whole = takeover.streams.is_empty();
        if other.position.log != self.position.log || (there > here && !is_whole) {
            return Err(Error::conflict(format!(
                "what was filled anew stands at {}, beyond the destination, which stands at {}",
                other.position, self.position
            ))
            .hint("run the pipeline until the destination is up to date, and replay again"));
        }
        if is_whole {
            return Ok(Self { settled: BTreeSet::new(), ..other.clone() });
        }
        let mut standing = Self { settled: BTreeSet::new(), ..self.clone() };
        for stream in brought {
            standing.held.remove(stream);
            standing.anew.remove(stream);
            standing.schemas.remove(stream);
            standing.schemas.extend(
                other.schemas.get_key_value(stream).map(|(stream, digest)| (stream.clone(), *digest)),
            );
            if there < here {
                standing.held.insert(stream.clone(), Hold::to_catch_up(there));
            }
        }
        Ok(standing)
    }

    /// All but the position, as text; `None` when there is nothing to say.
    pub fn notes(&self) -> Result<Option<String>> {
        let Self { position: _, held, anew, schemas, beyond, settled } = self.clone();
        let is_plain = held.is_empty() && anew.is_empty() && schemas.is_empty();
        if is_plain && beyond.is_none() && settled.is_empty() {
            return Ok(None);
        }
        let notes = serde_json::to_string(&Notes { held, anew, schemas, beyond, settled });
        notes.map(Some).map_err(|error| Error::internal("cannot write down a standing").source(error))
    }

    /// The standing at `position` with `notes`; `None` when they cannot be read.
    pub fn with_notes(position: Position, notes: Option<&str>) -> Option<Self> {
        let Notes { held, anew, schemas, beyond, settled } =
            notes.map_or(Some(Notes::default()), |it| serde_json::from_str(it).ok())?;
        Some(Self { position, held, anew, schemas, beyond, settled })
    }
}

/// Why and where a stream is held at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The last commit of which the stream's changes have been applied.
    pub after: u64,
    /// Whether it has come here from elsewhere, as it was after that commit: what the log says of it since has not even been looked
    /// at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_brought: bool,
    /// What it failed with.
    pub error: String,
    /// The reaction that asks for.
    pub kind: ErrorKind,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Hold {
    /// A stream that has been filled anew up to commit `after`, while the others have come further.
    pub(super) fn to_catch_up(after: u64) -> Self {
        let behind = Error::unavailable("it was filled anew and has to catch up")
            .hint("nothing is to be done: it is played up when the pipeline runs");
        Self { was_brought: true, ..Self::new(after, &behind) }
    }

    /// A stream that failed with `error` when all up to commit `after` had been applied.
    pub fn new(after: u64, error: &Error) -> Self {
        let hint = error.hint_text().map(str::to_owned);
        Self { after, was_brought: false, error: error.to_string(), kind: error.kind(), hint }
    }

    /// The error again, of `stream`.
    pub fn error(&self, stream: &StreamName) -> Error {
        let error =
            Error::new(self.kind, format!("stream `{stream}` is held: {}", self.error)).of_stream(stream);
        match &self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<Position> for Standing {
    /// No stream is held, or filled anew.
    fn from(position: Position) -> Self {
        let (held, anew, schemas, settled) = Default::default();
        Self { position, held, anew, schemas, beyond: None, settled }
    }
}
