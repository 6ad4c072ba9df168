//! The initial syncs that are under way, as the stream sees them: what happens to their tables, and whether they are complete.

use std::sync::atomic::Ordering;

use tidemark_engine::{log::SyncStep, schema::StreamName};

use super::ChangeReader;
use crate::postgres::source::{
    cursor::SyncCursor,
    sync::{Completion, Event, Notice, Verdict, What},
};

impl ChangeReader {
    pub(super) fn take_notices(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            self.take_notice(notice);
        }
    }

    pub(super) fn take_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Begun(sync) => {
                self.gathered.anew -= 1;
                self.syncs.insert(sync.table.clone(), sync);
            }
            Notice::Read(completion) => self.gathered.read.push(completion),
        }
    }

    /// The generations that are staged whole, now that the stream has come as far.
    pub(super) fn judge(&mut self) -> Vec<Completion> {
        let seen = self.gathered.seen;
        let all = std::mem::take(&mut self.gathered.read);
        let (ready, waiting) = all.into_iter().partition(|completion| completion.reached <= seen);
        self.gathered.read = waiting;
        ready
    }

    /// Ends a generation with the next boundary: it is complete, or void.
    pub(super) fn end_sync(&mut self, completion: Completion) -> Verdict {
        let Completion { table, generation, chunks, .. } = completion.clone();
        let sync = self.syncs.remove(&table);
        let harm = completion.harm(sync.as_ref().map_or(&[], |sync| &sync.events));
        self.cursor.moved.remove(&table);
        match harm {
            Some(what) => {
                self.cursor.void.insert(table.clone(), generation);
                self.gathered.anew += 1;
                if what == What::Altered {
                    let why =
                        format!("table `{table}` was altered while it was being read: it is looked at again");
                    self.gathered.altered.get_or_insert(why);
                }
            }
            None => {
                self.lane.note(SyncStep::Done { stream: StreamName::new(&table), generation });
                self.lane.forget(SyncCursor::part(&table));
                (0..chunks).for_each(|chunk| self.lane.forget(SyncCursor::chunk_part(&table, chunk)));
                self.cursor.void.remove(&table);
                self.cursor.lapsed.remove(&table);
                self.cursor.synced.extend(sync.map(|sync| (table.clone(), sync.complete)));
            }
        }
        Verdict { table, void: harm }
    }

    /// Notes what happened to a table, if its initial sync is under way.
    pub(super) fn note_event(&mut self, relation: u32, what: What) {
        // One that began before this happened has been told of.
        self.take_notices();
        let Some(Some(known)) = self.gathered.relations.get(&relation) else { return };
        let Some(at) = self.gathered.transaction.as_ref().map(|transaction| transaction.commit) else {
            return;
        };
        let Some(sync) = self.syncs.get_mut(known.schema.stream().as_str()) else { return };
        let event = Event { at, what };
        if sync.events.last() != Some(&event) {
            sync.events.push(event);
        }
        let (table, generation) = (sync.table.clone(), sync.generation);
        match what {
            What::MovedInPart => {
                self.keep_snapshot.store(true, Ordering::Relaxed);
                self.cursor.moved.insert(table, generation);
            }
            // Should this process end before it is judged, the next one starts anew.
            What::Truncated | What::Altered => drop(self.cursor.void.insert(table, generation)),
        }
    }
}
