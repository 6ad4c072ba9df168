//! Which changes are kept from a destination: dead ones, and what comes later of their keys.

use std::collections::{BTreeMap, HashMap};

use arrow_array::BooleanArray;

use crate::{
    Error, Result, Time,
    change::{Keys, Op},
    log::{DeadLetter, LetterId, Playing, letter_of},
    schema::StreamName,
    write::Delivery,
};

/// What is held while a unit is played.
#[derive(Debug)]
pub(super) struct Holds {
    playing: Playing,
    time: Time,
    streams: HashMap<StreamName, Held>,
}

/// What is held of one stream.
#[derive(Debug, Default)]
struct Held {
    /// The keys of each dead change, by commit and ordinal, and the letter that it is behind or that it is itself.
    dead: BTreeMap<(u64, u64), (Vec<String>, LetterId)>,
    /// The letter that everything of a key is behind, as of the changes seen so far.
    keys: HashMap<String, LetterId>,
    /// The letters met so far that no truncate has released.
    met: Vec<LetterId>,
}

/// What becomes of a delivery.
#[derive(Debug)]
pub(super) struct Sifted {
    /// What the destination gets of it.
    pub(super) delivery: Option<Delivery>,
    /// Letters to be kept before it gets any of that.
    pub(super) behind: Vec<DeadLetter>,
    /// Letters whose keys are held no more, from the commit on that the delivery is played with.
    pub(super) released: Vec<LetterId>,
}

impl Holds {
    /// Those of `letters`, when each stream stands at the commit that `stands_at` tells; what is played is played as `playing` has
    /// it, and letters that come to be are of `time`.
    pub(super) fn new<'l>(
        letters: impl Iterator<Item = &'l DeadLetter>,
        stands_at: impl Fn(&StreamName) -> u64,
        playing: Playing,
        time: Time,
    ) -> Self {
        let mut letters = letters.collect::<Vec<_>>();
        letters.sort_by_key(|letter| letter.order());
        let mut streams = HashMap::<_, Held>::new();
        for letter in letters {
            let held = streams.entry(letter.stream.clone()).or_default();
            let at = stands_at(&letter.stream);
            let keys = if letter.discarded { Vec::new() } else { letter.keys.clone() };
            if letter.played <= at && letter.released.is_none_or(|released| released > at) {
                held.hold(letter.id, &keys, letter.behind.unwrap_or(letter.id));
            }
            let dead = (keys, letter.behind.unwrap_or(letter.id));
            held.dead.insert((letter.id.sequence, letter.id.ordinal), dead);
        }
        Self { playing, time, streams }
    }

    /// Takes dead changes, and what is held behind them, out of `delivery`, which follows upon those before.
    pub(super) fn sift(&mut self, delivery: Delivery) -> Result<Sifted> {
        let (mut behind, mut released) = (Vec::new(), Vec::new());
        let stream = delivery.changes.schema().stream();
        let Some(held) = self.streams.get_mut(stream) else {
            return Ok(Sifted { delivery: Some(delivery), behind, released });
        };
        let unnumbered = || Error::internal("a batch reached a destination before it was numbered");
        let ordinals = delivery.changes.ordinals().ok_or_else(unnumbered)?;
        let shadow = self.playing.shadow_of(stream);
        let all = Keys::new(&delivery.changes);
        let mut passes = Vec::with_capacity(delivery.changes.rows());
        for row in 0..delivery.changes.rows() {
            let (sequence, ordinal) = (delivery.sequence, ordinals.value(row));
            let id = LetterId { sequence, ordinal, shadow };
            let op = delivery.changes.op(row)?;
            if let Some((keys, holder)) = held.dead.get(&(sequence, ordinal)).cloned() {
                held.hold(id, &keys, holder);
                passes.push(false);
                continue;
            }
            if op == Op::Truncate {
                released.append(&mut held.met);
                held.keys.clear();
            }
            let keys = if held.keys.is_empty() { Vec::new() } else { all.of(row, op) };
            let holder = keys.iter().filter_map(|key| held.keys.get(key)).min().copied();
            if let Some(holder) = holder {
                held.hold(id, &keys, holder);
                held.dead.insert((sequence, ordinal), (keys.clone(), holder));
                let change = Change { id, op, keys };
                behind.push(change.behind(holder, &delivery, &self.playing, self.time));
            }
            passes.push(holder.is_none());
        }
        let delivery = match passes.iter().filter(|passes| **passes).count() {
            0 => None,
            all if all == passes.len() => Some(delivery),
            _ => {
                let changes = delivery.changes.filter(&BooleanArray::from(passes))?;
                Some(Delivery { changes, ..delivery })
            }
        };
        Ok(Sifted { delivery, behind, released })
    }
}

impl Held {
    /// From here on `keys` are held because of the letter `id`, behind whatever they were behind before, or `holder`.
    fn hold(&mut self, id: LetterId, keys: &[String], holder: LetterId) {
        for key in keys {
            self.keys.entry(key.clone()).or_insert(holder);
        }
        self.met.push(id);
    }
}

/// A change on its way to becoming a letter.
pub(super) struct Change {
    pub(super) id: LetterId,
    pub(super) op: Op,
    pub(super) keys: Vec<String>,
}

impl Change {
    fn behind(self, holder: LetterId, delivery: &Delivery, playing: &Playing, time: Time) -> DeadLetter {
        let error = Error::data(format!("an earlier change of its key, `{holder}`, is a dead letter"));
        let letter = self.letter(&error, delivery, playing, time);
        DeadLetter { behind: Some(holder), attempts: 0, ..letter }
    }

    /// The letter that says that it could not be written because of `error`.
    pub(super) fn letter(
        self,
        error: &Error,
        delivery: &Delivery,
        playing: &Playing,
        time: Time,
    ) -> DeadLetter {
        DeadLetter {
            id: self.id,
            stream: delivery.changes.schema().stream().clone(),
            op: letter_of(self.op),
            keys: self.keys,
            played: delivery.played,
            phase: delivery.phase,
            from: playing.from,
            by_shadow: self.id.shadow,
            error: error.to_string(),
            kind: error.kind(),
            hint: error.hint_text().map(str::to_owned),
            behind: None,
            time,
            attempts: 1,
            at_first: false,
            discarded: false,
            released: None,
            voided_by: None,
        }
    }
}
