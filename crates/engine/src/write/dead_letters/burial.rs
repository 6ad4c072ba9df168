//! How a change that fails becomes a dead letter.

use futures::TryStreamExt;

use super::holds::Change;
use crate::{
    Error, ErrorKind, Result,
    change::{Keys, Op},
    log::{LetterId, Playing, Selection},
    schema::StreamName,
    write::{Delivery, OnError, WriteLoop, write_loop::Run},
};

impl WriteLoop {
    /// Sees to it that a unit that was played as `playing` has it, and failed with `error`, may go well without the change that
    /// it failed over: that one is a dead letter now, or will be found. `None`: it is to be played again. Any other error comes
    /// back, and so does that of a change too many.
    pub(in crate::write) async fn bury(
        &self,
        error: Error,
        playing: &Playing,
        run: &mut Run<'_>,
    ) -> Result<Option<Error>> {
        let letters = &mut run.letters;
        if self.plan.on_error != OnError::DeadLetter || error.kind() != ErrorKind::Data {
            return Ok(Some(error));
        }
        let Some(stream) = error.stream().cloned() else { return Ok(Some(error)) };
        let Some((sequence, ordinal)) = error.change() else {
            // One that was looked for in vain is no matter of a single change.
            letters.suspects = !letters.suspects;
            return Ok((!letters.suspects).then_some(error));
        };
        let id = LetterId { sequence, ordinal, shadow: playing.shadow_of(&stream) };
        let plays = letters.book.played_with(&stream, sequence);
        let Some(delivery) = self.delivered(&stream, (sequence, ordinal), &plays, playing).await? else {
            return Ok(Some(error));
        };
        let op = delivery.changes.op(0)?;
        // A truncate concerns every key: nothing could go on behind it.
        if op == Op::Truncate || letters.book.has(id) {
            return Ok(Some(error));
        }
        let now = self.log.world().now();
        if let Err(too_many) = letters.breaker.admit(&stream, letters.book.count(), now) {
            return Ok(Some(too_many.source(error)));
        }
        let destination = &self.destination;
        tracing::warn!(%destination, %stream, letter = %id, %error, hint = error.hint_text(), "a change could not be written and is a dead letter");
        let change = Change { id, op, keys: Keys::new(&delivery.changes).of(0, op) };
        letters.book.keep(&stream, vec![change.letter(&error, &delivery, playing, now)]).await?;
        Ok(None)
    }

    /// The change of `stream` with this commit and ordinal, alone, as it is delivered when one of the commits `plays` is played.
    async fn delivered(
        &self,
        stream: &StreamName,
        (sequence, ordinal): (u64, u64),
        plays: &[u64],
        playing: &Playing,
    ) -> Result<Option<Delivery>> {
        let alone = Selection { streams: vec![stream.clone()], ..Selection::default() };
        for played in plays {
            let commit = self.log.commit(*played).await?;
            let commits = futures::stream::iter([Ok(commit)]);
            let mut deliveries = self.log.played(commits, &alone, playing.clone());
            while let Some(delivery) = deliveries.try_next().await? {
                if delivery.sequence == sequence
                    && let Some(row) = delivery.row_of(ordinal)
                {
                    return Ok(Some(Delivery { changes: delivery.changes.slice(row, 1), ..delivery }));
                }
            }
        }
        Ok(None)
    }
}
