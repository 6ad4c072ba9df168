//! The part of the cursor that a polled stream keeps.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemark_engine::{Error, Result, Time};

use super::{
    known::{KnownRef, RowHash},
    page::{Ask, Sweep},
    plan::{Changes, Manner, Plan},
    reach::{Marks, Reach},
    shaper::Seen,
};

/// Everything a stream needs to go on where it stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamCursor {
    /// Whether everything has been read once.
    pub(crate) initial_sync_done: bool,
    /// The generation that was begun last, counted from 2; 0 when none was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    /// By what its records are known.
    #[serde(default)]
    pub(crate) manner: Manner,
    /// What records look like.
    #[serde(default)]
    pub(crate) seen: Seen,
    /// Which records are known, and by what content.
    #[serde(default)]
    pub(crate) known: KnownRef,
    /// The column whose marks `reach` is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watermark: Option<String>,
    #[serde(default)]
    pub(crate) reach: Reach,
    /// Records without a key whose marks are below this are not remembered any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forgotten: Option<String>,
    /// What to ask the system with for what has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delta: Option<String>,
    /// When everything was last read and compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compared: Option<Time>,
    /// What the last sweep found, where one alone proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<Found>,
    /// Whether the next sweep has to read everything and compare, whatever is due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) must_compare: bool,
    /// The sweep that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sweep: Option<UnderWay>,
}

/// A sweep that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnderWay {
    pub(crate) sweep: Sweep,
    /// The next page; `None`: the first.
    pub(crate) token: Option<String>,
    pub(crate) begun: Time,
    /// They count when the sweep has come to its end.
    #[serde(default)]
    pub(crate) marks: Marks,
    #[serde(default)]
    pub(crate) sum: Sum,
}

/// What a sweep has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) sweep: Sweep,
    pub(crate) sum: Sum,
}

/// A set of records, whatever their order: two sweeps that found the same have the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    records: u64,
    hash: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, key: u64, content: RowHash) {
        self.records += 1;
        // Of key and content together, so that two records which swap contents show.
        self.hash =
            self.hash.wrapping_add(key.rotate_left(32) ^ content.bits().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

impl UnderWay {
    /// A sweep that begins.
    pub(crate) fn new(sweep: Sweep, begun: Time) -> Self {
        Self { sweep, token: None, begun, marks: Marks::default(), sum: Sum::default() }
    }

    /// What to ask for next; `is_settled`: what the sweep is to bring was brought by one before.
    pub(crate) fn ask(&self, is_settled: bool) -> Ask {
        Ask {
            sweep: self.sweep.clone(),
            token: self.token.clone(),
            begun: self.begun,
            unless_unchanged: is_settled && self.token.is_none(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl StreamCursor {
    /// Reads the part back; `None` is the beginning.
    pub(crate) fn parse(part: Option<&Bytes>) -> Result<Self> {
        let Some(part) = part else { return Ok(Self::default()) };
        serde_json::from_slice(part).map_err(|error| {
            Error::conflict("the cursor of a polled stream cannot be read")
                .hint("a newer Tidemark may have written it: upgrade this one")
                .source(error)
        })
    }

    /// Of a stream that was read in a way which is not asking, up to this generation: all of it is read anew.
    pub(super) fn elsewise(generation: u64) -> Self {
        Self { initial_sync_done: true, generation, ..Self::default() }
    }

    /// The same under `plan`, which may be another than before: what it has no use for is left out.
    pub(crate) fn under(mut self, plan: &Plan) -> Self {
        if self.watermark.as_deref() != plan.watermark() {
            self.watermark = plan.watermark().map(str::to_owned);
            (self.reach, self.forgotten) = (Reach::default(), None);
            self.sweep = self.sweep.filter(|under_way| !matches!(under_way.sweep, Sweep::Since(_)));
        }
        if !matches!(plan.changes, Changes::Delta { .. }) {
            self.delta = None;
            self.sweep = self.sweep.filter(|under_way| !matches!(under_way.sweep, Sweep::Delta(_)));
        }
        self
    }

    /// Whether nothing has been read yet.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self { watermark: self.watermark.clone(), ..Self::default() }
    }

    /// Where a new generation begins: nothing is known but what records look like.
    pub(crate) fn anew(self) -> Self {
        Self {
            generation: self.generation.max(1) + 1,
            seen: self.seen,
            watermark: self.watermark,
            ..Self::default()
        }
    }

    /// Whether it is being read anew, and not for the first time.
    pub(crate) fn is_anew(&self) -> bool {
        self.generation > 0 && !self.initial_sync_done
    }

    /// As the opaque bytes of the cursor.
    pub(crate) fn to_bytes(&self) -> Result<Bytes> {
        let json = serde_json::to_vec(self).map_err(|error| {
            Error::internal("the cursor of a polled stream cannot be written").source(error)
        })?;
        Ok(json.into())
    }
}
