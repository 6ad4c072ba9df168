//! The end of a unit: what its changes come to is written, in one transaction with the position.

use std::collections::BTreeMap;

use redis::{Cmd, cmd};
use tidemark_engine::{Result, schema::StreamName, write::Anew};

use super::{
    fold::Fold,
    holding::{Holding, Span},
    names::Layer,
    pieces::{Pieces, with_members},
    streams::Known,
};

/// Keys in one command on a set.
const KEYS: usize = 500;

impl Holding {
    /// Writes what the changes of `span` come to, has streams that were filled anew with it take their places, and moves the position.
    pub(super) async fn settle(&mut self, mut span: Span) -> Result<()> {
        let (mut commands, mut known) = (Vec::new(), Vec::new());
        let mut arriving = BTreeMap::new();
        for (stream, fold) in std::mem::take(&mut span.folds) {
            if span.begin.anew.contains_key(&stream) && !span.end.anew.contains_key(&stream) {
                arriving.insert(stream, fold);
                continue;
            }
            let layer = self.layer(&span, &stream);
            if fold.empties {
                // What is filled anew is behind what is seen: until it takes its place nobody knows how far it has come.
                let until = if span.into_shadows { u64::MAX } else { fold.seen };
                let mut pieces = self.pieces(&stream, &[&layer], until).await?;
                self.clear(&layer, &mut pieces).await?;
                commands.extend(pieces.commands());
            }
            let after = self.known_after(&stream, fold.seen, span.into_shadows);
            self.write(&mut commands, &layer, fold);
            known.push((stream, after));
        }
        for (stream, anew) in
            span.begin.anew.iter().filter(|(stream, _)| !span.end.anew.contains_key(*stream))
        {
            let fold = arriving.remove(stream).filter(|_| span.into_shadows).unwrap_or_default();
            let (seen, layer) = (self.names.seen(stream), self.names.anew(anew.from, stream.as_str()));
            let mut pieces = self.pieces(stream, &[&seen, &layer], u64::MAX).await?;
            match fold.empties {
                true => self.clear(&seen, &mut pieces).await?,
                false => self.exchange(&seen, &layer, &mut pieces).await?,
            }
            commands.extend(pieces.commands());
            let applied = fold.seen.max(anew.after).max(self.known(stream).applied);
            // What the unit has of it goes straight to where it is seen.
            self.write(&mut commands, &seen, fold);
            commands.push(self.void(anew.from, stream));
            known.push((stream.clone(), Known { log: self.log.clone(), applied, mixed_until: None }));
        }
        // Of what was filled out of sight of a generation that another has overtaken nothing is left either.
        for (stream, anew) in &span.begin.anew {
            if span.end.anew.get(stream).is_some_and(|next| next.from != anew.from) {
                commands.push(self.void(anew.from, stream));
            }
        }
        for (stream, known) in &known {
            commands.push(known.note(&self.names.streams(), stream)?);
        }
        let is_done = |(stream, anew): (&StreamName, &Anew)| {
            span.end.anew.get(stream).is_none_or(|next| next.from != anew.from)
        };
        let leaves_void = span.begin.anew.iter().any(is_done);
        self.finish(&mut span, commands).await?;
        self.known.extend(known);
        if leaves_void { self.remove_void().await } else { Ok(()) }
    }

    /// What is known of `stream` when a unit has brought it, or what is filled anew of it, up to commit `seen`.
    fn known_after(&self, stream: &StreamName, seen: u64, into_shadows: bool) -> Known {
        let known = self.known(stream);
        let applied = if into_shadows { known.applied } else { known.applied.max(seen) };
        Known { applied, mixed_until: known.mixed_until.filter(|until| seen < *until), ..known }
    }

    /// Adds what puts the records of `fold` into `layer`.
    fn write(&self, commands: &mut Vec<Cmd>, layer: &Layer, fold: Fold) {
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for (key, record) in fold.into_news() {
            match record {
                Some(record) => {
                    commands.extend(self.terms.form.put(&layer.record(&key), &record));
                    there.push(key);
                }
                None => gone.push(key),
            }
        }
        commands.extend(there.chunks(KEYS).map(|keys| with_members("SADD", &layer.set, keys)));
        for keys in gone.chunks(KEYS) {
            let mut unlink = cmd("UNLINK");
            unlink.arg(keys.iter().map(|key| layer.record(key)).collect::<Vec<_>>());
            commands.extend([unlink, with_members("SREM", &layer.set, keys)]);
        }
    }
}

impl Pieces {
    /// What is left to do in the transaction of the unit.
    fn commands(self) -> Vec<Cmd> {
        match self {
            Self::Few(commands) => commands,
            Self::Many => Vec::new(),
        }
    }
}
