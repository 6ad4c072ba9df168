//! What the strategy keeps in the log's cursor, so that the newest commit alone says where to go on.
//!
//! | Part | Holds |
//! |---|---|
//! | `stream` | how far the replication stream is staged, of which server, and which tables are complete |
//! | `sync/<table>` | the generation of a table that is being read, and where its chunks begin |
//! | `sync/<table>/<n>` | that chunk `n` of it is staged, and the consistent point it was read at |

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tidemark_engine::{Cursor, Digest, Error, PartId, Result, log::Former};

use super::{publication::Edition, replication::Identity, slot::Standing};
use crate::postgres::lsn::Lsn;

/// What the parts of initial syncs begin with.
const PREFIX: &str = "sync/";

/// The replication stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StreamCursor {
    /// Every transaction that was committed before this is staged.
    pub(super) lsn: Lsn,
    /// The server's identifier: a cursor means nothing on another one.
    pub(super) system: String,
    /// The server's timeline: after a failover the log may have gone another way.
    pub(super) timeline: u32,
    /// The slot it is read from.
    pub(super) slot: String,
    /// The publication it is read through; `None` where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) publication: Option<Edition>,
    /// Tables whose initial sync is complete, and of which every change since is staged. One of them may be being read anew all the
    /// same, because somebody asked for it.
    pub(super) synced: BTreeMap<String, Synced>,
    /// Tables of which changes since their complete initial sync are wanting, with the number of its generation: see
    /// [`super::continuity`]. Until another one is complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) lapsed: BTreeMap<String, u64>,
    /// Tables whose initial sync must start anew, with the number of the generation that is void: what happened to them since
    /// its snapshot cannot be put together with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) void: BTreeMap<String, u64>,
    /// Tables of which a record moved to another key, and not all its values were told, while the initial sync was under
    /// way, with the number of its generation: all its chunks must be of one snapshot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) moved: BTreeMap<String, u64>,
    /// Tables that were read, and are not any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) left: BTreeSet<String>,
}

/// A table whose initial sync is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Synced {
    pub(super) generation: u64,
    /// The number that the server knows the table by: one that was made anew under the same name is another one.
    pub(super) table: u32,
    /// See [`Table::terms`](super::table::Table::terms).
    pub(super) terms: Digest,
    /// See [`Table::parts_of_terms`](super::table::Table::parts_of_terms); empty where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<String>,
    /// The publication's row of it; `None` where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<u32>,
}

/// The initial sync of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SyncCursor {
    /// The generation, counted from 1.
    pub(super) generation: u64,
    /// The number that the server knows the table by.
    pub(super) table: u32,
    /// The hash of the definition of its columns: chunks of two definitions do not go together.
    pub(super) definition: Digest,
    /// See [`Table::terms`](super::table::Table::terms).
    pub(super) terms: Digest,
    /// The column that chunks are ranges of; `None`: the table is one chunk.
    pub(super) column: Option<String>,
    /// Where each chunk but the first begins, as texts of that column.
    pub(super) bounds: Vec<String>,
    /// The publication's row of the table when it began; `None` where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<u32>,
}

impl SyncCursor {
    /// How many chunks the table is read in.
    pub(super) fn chunks(&self) -> usize {
        self.bounds.len() + 1
    }
}

impl StreamCursor {
    /// Where the stream begins, before anything of it is staged.
    pub(super) fn begin(lsn: Lsn, server: Identity, slot: &str, publication: Edition) -> Self {
        let (system, timeline) = (server.system, server.timeline);
        let (synced, lapsed, void, moved, left) = Default::default();
        let (slot, publication) = (slot.to_owned(), Some(publication));
        Self { lsn, system, timeline, slot, publication, synced, lapsed, void, moved, left }
    }

    /// The names of all tables that were ever read. `from` is the whole cursor.
    pub(super) fn names(&self, from: &Cursor) -> BTreeSet<String> {
        let complete = self.synced.keys().chain(self.lapsed.keys()).chain(&self.left).cloned();
        complete.chain(SyncCursor::all(from).into_iter().map(|(table, _)| table)).collect()
    }

    /// The same place with what is known of tables, when changes of all of them may be wanting. `from` is the whole cursor.
    pub(super) fn with_lapsed(self, known: Option<Self>, from: &Cursor) -> Self {
        let Self { synced, mut lapsed, left, .. } = match known {
            Some(known) => known,
            None => return self,
        };
        lapsed.extend(synced.into_iter().map(|(table, synced)| (table, synced.generation)));
        let void = SyncCursor::all(from).into_iter().map(|(table, sync)| (table, sync.generation)).collect();
        Self { lapsed, void, left, ..self }
    }

    /// What there is of `table` when a generation of it begins now.
    pub(super) fn former(&self, table: &str) -> Former {
        match (self.synced.contains_key(table), self.lapsed.contains_key(table)) {
            (true, _) => Former::Current,
            (false, true) => Former::Stale,
            (false, false) => Former::Nothing,
        }
    }

    /// The number of the last generation of `table` that was complete; 0 when none was.
    pub(super) fn complete_generation(&self, table: &str) -> u64 {
        let synced = self.synced.get(table).map(|synced| synced.generation);
        synced.or(self.lapsed.get(table).copied()).unwrap_or(0)
    }

    /// What the slot must agree with.
    pub(super) fn standing(&self) -> Standing {
        Standing { system: self.system.clone(), timeline: self.timeline, lsn: self.lsn }
    }

    /// Its part.
    pub(super) fn part() -> PartId {
        PartId::new("stream")
    }

    /// Where `cursor` says the stream is; `None` before the first commit.
    pub(super) fn read(cursor: &Cursor) -> Result<Option<Self>> {
        cursor.get(&Self::part()).map(read).transpose()
    }

    /// As the part of a cursor.
    pub(super) fn write(&self) -> Result<Bytes> {
        write(self)
    }
}

impl SyncCursor {
    /// The part of `table`.
    pub(super) fn part(table: &str) -> PartId {
        PartId::new(format!("{PREFIX}{table}"))
    }

    /// The part of chunk `number` of `table`.
    pub(super) fn chunk_part(table: &str, number: usize) -> PartId {
        PartId::new(format!("{PREFIX}{table}/{number}"))
    }

    /// What `cursor` says of `table`; `None` when it is not being read.
    pub(super) fn read(cursor: &Cursor, table: &str) -> Result<Option<Self>> {
        cursor.get(&Self::part(table)).map(read).transpose()
    }

    /// Every initial sync that is under way, by table.
    pub(super) fn all(cursor: &Cursor) -> Vec<(String, Self)> {
        // The parts of chunks hold a point, which is no JSON object.
        let sync = |(part, bytes): (&PartId, &Bytes)| {
            let table = part.as_str().strip_prefix(PREFIX)?;
            Some((table.to_owned(), serde_json::from_slice(bytes).ok()?))
        };
        cursor.parts().filter_map(sync).collect()
    }

    /// As the part of a cursor.
    pub(super) fn write(&self) -> Result<Bytes> {
        write(self)
    }

    /// The consistent points of the chunks of `table` that `cursor` says are staged, by number.
    pub(super) fn staged(&self, cursor: &Cursor, table: &str) -> BTreeMap<usize, Lsn> {
        let point = |number: usize| {
            let bytes = cursor.get(&Self::chunk_part(table, number))?;
            Some((number, Lsn(u64::from_be_bytes(bytes.as_ref().try_into().ok()?))))
        };
        (0..self.chunks()).filter_map(point).collect()
    }
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de Bytes) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::conflict("the staging log's cursor is not one of this PostgreSQL source")
            .hint("give the pipeline a new name: a new name is a new log")
            .source(error)
    })
}

fn write(part: &impl Serialize) -> Result<Bytes> {
    let json = serde_json::to_vec(part);
    json.map(Bytes::from).map_err(|error| Error::internal("a cursor cannot be written").source(error))
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("expected a log sequence number such as `16/B374D848`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_read_back() {
        let definition = Digest::of(b"id int8");
        let stream = StreamCursor {
            lsn: Lsn(0x16_B374_D848),
            system: "7".into(),
            timeline: 1,
            slot: "tidemark_orders".into(),
            publication: Some(Edition { number: 9, operations: [true; 4], via_root: true }),
            synced: [(
                "public.orders".to_owned(),
                Synced {
                    generation: 1,
                    table: 16_385,
                    terms: definition,
                    parts: vec!["1".into()],
                    published: Some(3),
                },
            )]
            .into(),
            lapsed: BTreeMap::new(),
            void: BTreeMap::new(),
            moved: BTreeMap::new(),
            left: ["public.gone".to_owned()].into(),
        };
        let sync = SyncCursor {
            generation: 2,
            table: 1,
            definition,
            terms: definition,
            column: Some("id".into()),
            bounds: vec!["10".into()],
            published: None,
        };
        let mut cursor = Cursor::default();
        cursor.set(StreamCursor::part(), stream.write().unwrap());
        cursor.set(SyncCursor::part("public.orders"), sync.write().unwrap());
        let point = Lsn(7).to_bytes();
        cursor.set(SyncCursor::chunk_part("public.orders", 1), Bytes::copy_from_slice(&point));
        assert_eq!(StreamCursor::read(&cursor).unwrap(), Some(stream));
        assert_eq!(SyncCursor::read(&cursor, "public.orders").unwrap().as_ref(), Some(&sync));
        assert_eq!(sync.staged(&cursor, "public.orders"), [(1, Lsn(7))].into());
        assert_eq!(SyncCursor::read(&cursor, "public.other").unwrap(), None);
        assert_eq!(SyncCursor::all(&cursor), [("public.orders".to_owned(), sync)]);
    }
}
