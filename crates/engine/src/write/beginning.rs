//! Where a destination begins, when the log does not reach back to its own beginning any more: with the base, which is the state of
//! each stream as of some commit. What only every single change would do for cannot begin there.

use super::{Standing, WriteLoop, WriteMode};
use crate::{Error, Result};

impl WriteLoop {
    /// Checks that a destination that stands at the beginning will have all that it should when it has played what is kept.
    ///
    /// Fails with [`crate::ErrorKind::Config`] when it would not: nobody has lost anything, but what is asked for cannot be had.
    pub(super) async fn check_beginning(&self, standing: &Standing) -> Result<()> {
        let Some(base) = self.log.begins_after().filter(|_| standing.position.sequence == 0) else {
            return Ok(());
        };
        let name = &self.destination;
        if self.plan.mode == WriteMode::Append {
            let message =
                format!("`append` takes every change, and those up to commit {base} are not kept any more");
            return Err(Error::config(message).hint(format!(
                "begin with what is kept: set `live: false` on `{name}`, `tidemark replay FILE --to {name} --from seq:{base}`, then \
                 remove `live`"
            )));
        }
        let lost = self.log.streams_cut_off().await?;
        match lost.into_iter().find(|stream| self.plan.selection.takes(stream)) {
            None => Ok(()),
            Some(stream) => {
                let message =
                    format!("stream `{stream}` has no key, so nothing is kept of it up to commit {base}");
                Err(Error::config(message)
                    .hint(format!("have it read anew first: `tidemark resync FILE --stream {stream}`"))
                    .of_stream(&stream))
            }
        }
    }

    /// `error`, with what can be done where it is that what comes after `standing` is not kept any more.
    pub(super) fn left_behind(&self, error: Error, standing: Option<&Standing>) -> Error {
        let is_left_behind = |standing: &Standing| {
            let mut anew = standing.anew.values();
            self.log.is_dropped(standing.position.sequence)
                || anew.any(|anew| anew.after > anew.from && self.log.is_dropped(anew.after))
        };
        if !standing.is_some_and(is_left_behind) {
            return error;
        }
        let name = &self.destination;
        let base = self.log.begins_after().unwrap_or_default();
        if !self.leaves_marks {
            // Nobody knows it by its name, and nobody waits for it.
            return error.hint(
                "it was dropped while it was being read: do the same again, which begins with what is kept",
            );
        }
        error.hint(match self.plan.mode {
            WriteMode::Append => format!(
                "it lacks changes that nobody has any more: go on in a new destination with `live: false`, by `tidemark replay FILE \
                 --to NEW --from seq:{base}`"
            ),
            _ => format!(
                "fill it anew from what is kept: `tidemark replay FILE --to {name} --from beginning`; where `live` is false, into a new \
                 destination"
            ),
        })
    }
}
