//! What the initial sync and the reader of the stream tell each other.
//!
//! A chunk shows the table as it was at its point, and the stream brings every change after that. The two fit together unless
//! something happened to the table while it was being read that a snapshot does not keep out: a truncate (rows that were
//! there at the point cannot be read any more), a new definition, or, where chunks have different points, a record that moved
//! from one chunk into another and of which not every value was told. The reader of the stream sees such events, with their
//! place in the server's log, and judges when all chunks are staged and the stream has come as far.

use tidemark_engine::Digest;

use crate::postgres::{lsn::Lsn, source::cursor::Synced};

/// What the reader of the stream is told.
#[derive(Debug)]
pub(in crate::postgres::source) enum Notice {
    /// A generation has begun, durably; its snapshot is not taken yet.
    Begun(OpenSync),
    /// Every chunk of it is staged.
    Read(Completion),
}

/// A generation that is not complete.
#[derive(Debug, Clone)]
pub(in crate::postgres::source) struct OpenSync {
    pub(in crate::postgres::source) table: String,
    pub(in crate::postgres::source) generation: u64,
    /// See [`SyncCursor::definition`](super::super::cursor::SyncCursor::definition).
    pub(in crate::postgres::source) definition: Digest,
    /// What is to be known of it once it is complete.
    pub(in crate::postgres::source) complete: Synced,
    /// What happened to the table since, as far as the stream has come.
    pub(in crate::postgres::source) events: Vec<Event>,
}

/// Something that a snapshot does not keep out, and where its transaction's commit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres::source) struct Event {
    pub(in crate::postgres::source) at: Lsn,
    pub(in crate::postgres::source) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres::source) enum What {
    Truncated,
    Altered,
    /// A record moved to another key, and not every value of it was told.
    MovedInPart,
}

/// A generation of which every chunk is staged.
#[derive(Debug, Clone)]
pub(in crate::postgres::source) struct Completion {
    pub(in crate::postgres::source) table: String,
    pub(in crate::postgres::source) generation: u64,
    pub(in crate::postgres::source) chunks: usize,
    /// The first and the last point that chunks were read at.
    pub(in crate::postgres::source) points: (Lsn, Lsn),
    /// Where the server's log was when the last chunk had been read.
    pub(in crate::postgres::source) reached: Lsn,
    /// What was seen to have happened to the table itself between two looks at it.
    pub(in crate::postgres::source) seen: Option<What>,
}

/// What became of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres::source) struct Verdict {
    pub(in crate::postgres::source) table: String,
    /// Why it does not count; `None`: it is complete.
    pub(in crate::postgres::source) void: Option<What>,
}

impl Completion {
    /// What makes the generation void, of all that happened: a new definition above all, for with it the table has to be looked
    /// up anew.
    pub(in crate::postgres::source) fn harm(&self, events: &[Event]) -> Option<What> {
        let harms =
            || events.iter().filter(|event| self.suffers(event)).map(|event| event.what).chain(self.seen);
        harms().find(|what| *what == What::Altered).or_else(|| harms().next())
    }

    /// Whether `event` happened while it could do harm.
    fn suffers(&self, event: &Event) -> bool {
        let (first, last) = self.points;
        match event.what {
            What::Truncated | What::Altered => first <= event.at && event.at < self.reached,
            What::MovedInPart => first <= event.at && event.at < last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_while_it_was_read_does_harm() {
        let completion = |first, last| Completion {
            table: "t".to_owned(),
            generation: 1,
            chunks: 2,
            points: (Lsn(first), Lsn(last)),
            reached: Lsn(30),
            seen: None,
        };
        let suffers = |completion: &Completion, at, what| completion.suffers(&Event { at: Lsn(at), what });
        let (one, two) = (completion(10, 10), completion(10, 20));
        for (at, harm) in [(9, false), (10, true), (29, true), (30, false)] {
            assert_eq!(suffers(&one, at, What::Truncated), harm, "{at}");
            assert_eq!(suffers(&two, at, What::Altered), harm, "{at}");
        }
        for (at, harm) in [(9, false), (10, true), (19, true), (20, false)] {
            assert!(!suffers(&one, at, What::MovedInPart), "{at}");
            assert_eq!(suffers(&two, at, What::MovedInPart), harm, "{at}");
        }
        let events = [What::Truncated, What::Altered].map(|what| Event { at: Lsn(15), what });
        assert_eq!(one.harm(&events), Some(What::Altered));
        assert_eq!(Completion { seen: Some(What::Truncated), ..one }.harm(&[]), Some(What::Truncated));
    }
}
