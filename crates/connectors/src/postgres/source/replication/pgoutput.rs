//! The messages of the output plugin `pgoutput`, protocol version 1, read in place.
//! <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>

use tidemark_engine::{Error, Result, Time};

use crate::postgres::lsn::Lsn;

/// Microseconds from 1970-01-01, where [`Time`] begins, to 2000-01-01, where PostgreSQL's clock does.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) enum Message<'a> {
    Begin(Begin),
    Commit(Commit),
    /// The transaction came to this server from another.
    Origin {
        commit_lsn: Lsn,
        name: &'a str,
    },
    /// How a table looks from here on.
    Relation(Relation<'a>),
    /// The name of a type that is not built in.
    Type {
        oid: u32,
        schema: &'a str,
        name: &'a str,
    },
    Insert {
        relation: u32,
        new: Tuple<'a>,
    },
    Update {
        relation: u32,
        /// Only where the key has changed, or the replica identity is the whole row.
        old: Option<OldTuple<'a>>,
        new: Tuple<'a>,
    },
    Delete {
        relation: u32,
        old: OldTuple<'a>,
    },
    Truncate(Truncate<'a>),
    /// What `pg_logical_emit_message` has written.
    Logical {
        transactional: bool,
        lsn: Lsn,
        prefix: &'a str,
        content: &'a [u8],
    },
}

/// The transaction that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) struct Begin {
    /// Where its commit stands in the log.
    pub(in crate::postgres) final_lsn: Lsn,
    pub(in crate::postgres) commit_time: Time,
    pub(in crate::postgres) xid: u32,
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) struct Commit {
    /// Where the commit stands in the log.
    pub(in crate::postgres) commit_lsn: Lsn,
    /// Where the log goes on after it: what may be acknowledged.
    pub(in crate::postgres) end_lsn: Lsn,
    pub(in crate::postgres) commit_time: Time,
}

/// How a table looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Relation<'a> {
    pub(in crate::postgres) oid: u32,
    pub(in crate::postgres) schema: &'a str,
    pub(in crate::postgres) name: &'a str,
    /// `pg_class.relreplident`: `d` primary key, `n` nothing, `f` the whole row, `i` an index.
    pub(in crate::postgres) identity: u8,
    pub(in crate::postgres) columns: Vec<RelationColumn<'a>>,
}

/// A column that tuples have a value for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) struct RelationColumn<'a> {
    /// Whether it is part of the replica identity.
    pub(in crate::postgres) key: bool,
    pub(in crate::postgres) name: &'a str,
    pub(in crate::postgres) type_oid: u32,
    pub(in crate::postgres) typmod: i32,
}

/// What is known of a row as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) enum OldTuple<'a> {
    /// The columns of the replica identity; the others read as NULL.
    Key(Tuple<'a>),
    /// The whole row.
    Full(Tuple<'a>),
}

/// Tables that were emptied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) struct Truncate<'a> {
    pub(in crate::postgres) cascade: bool,
    pub(in crate::postgres) restart_identity: bool,
    relations: &'a [u8],
}

impl Truncate<'_> {
    /// The tables' oids.
    pub(in crate::postgres) fn relations(&self) -> impl ExactSizeIterator<Item = u32> {
        self.relations.as_chunks().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// A row: one value for each column of its relation. It has been found whole when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) struct Tuple<'a> {
    columns: u16,
    bytes: &'a [u8],
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) enum Value<'a> {
    Null,
    /// A large value that this change has not touched; the server does not repeat it.
    Unchanged,
    /// As the type's output function writes it.
    Text(&'a [u8]),
    /// As the type's send function writes it.
    Binary(&'a [u8]),
}

impl<'a> Tuple<'a> {
    /// How many values it says it has.
    pub(in crate::postgres) fn len(&self) -> usize {
        self.columns.into()
    }

    /// Its values, in the order of the relation's columns.
    pub(in crate::postgres) fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut rest = Reader(self.bytes);
        (0..self.columns).map_while(move |_| rest.value())
    }
}

impl<'a> Message<'a> {
    /// Reads a message that `pgoutput` sent.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] on one that is unknown, cut off or longer than it should be: what cannot
    /// be read is never passed over.
    pub(in crate::postgres) fn read(bytes: &'a [u8]) -> Result<Self> {
        let kind = bytes.first().copied();
        let mut rest = Reader(bytes.get(1..).unwrap_or_default());
        let known = kind.is_some_and(|kind| b"BCORYIUDTM".contains(&kind));
        match kind.filter(|_| known).and_then(|kind| rest.message(kind)) {
            Some(message) if rest.0.is_empty() => Ok(message),
            _ => Err(unreadable(kind, known)),
        }
    }
}

fn unreadable(kind: Option<u8>, known: bool) -> Error {
    let name = kind.map(|kind| kind.escape_ascii().to_string()).unwrap_or_default();
    let what = if known { "cannot be read" } else { "is of a kind that is not known" };
    Error::data(format!("the server's change message `{name}` {what}; to go on would be to lose a change"))
        .hint("report this with the version of the server")
}

/// What has not been read yet of a message. Each verb takes its part from the front; `None` where it is not there.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn message(&mut self, kind: u8) -> Option<Message<'a>> {
        Some(match kind {
            b'B' => {
                let (final_lsn, commit_time) = (self.lsn()?, self.time()?);
                Message::Begin(Begin { final_lsn, commit_time, xid: self.u32()? })
            }
            b'C' => {
                let _flags = self.u8()?;
                let (commit_lsn, end_lsn) = (self.lsn()?, self.lsn()?);
                Message::Commit(Commit { commit_lsn, end_lsn, commit_time: self.time()? })
            }
            b'O' => Message::Origin { commit_lsn: self.lsn()?, name: self.text()? },
            b'R' => Message::Relation(self.relation()?),
            b'Y' => Message::Type { oid: self.u32()?, schema: self.text()?, name: self.text()? },
            b'I' => Message::Insert { relation: self.u32()?, new: self.new_tuple()? },
            b'U' => {
                let relation = self.u32()?;
                let old = if self.0.first() == Some(&b'N') { None } else { Some(self.old_tuple()?) };
                Message::Update { relation, old, new: self.new_tuple()? }
            }
            b'D' => Message::Delete { relation: self.u32()?, old: self.old_tuple()? },
            b'T' => Message::Truncate(self.truncate()?),
            b'M' => self.logical()?,
            _ => return None,
        })
    }

    fn relation(&mut self) -> Option<Relation<'a>> {
        let (oid, schema, name, identity) = (self.u32()?, self.text()?, self.text()?, self.u8()?);
        let columns = self.u16()?;
        let column = |_| {
            Some(RelationColumn {
                key: self.u8()? & 1 != 0,
                name: self.text()?,
                type_oid: self.u32()?,
                typmod: self.u32()?.cast_signed(),
            })
        };
        let columns = (0..columns).map(column).collect::<Option<_>>()?;
        Some(Relation { oid, schema, name, identity, columns })
    }

    fn truncate(&mut self) -> Option<Truncate<'a>> {
        let (count, options) = (self.u32()?, self.u8()?);
        let relations = self.take(usize::try_from(count).ok()?.checked_mul(4)?)?;
        Some(Truncate { cascade: options & 1 != 0, restart_identity: options & 2 != 0, relations })
    }

    fn logical(&mut self) -> Option<Message<'a>> {
        let (flags, lsn, prefix) = (self.u8()?, self.lsn()?, self.text()?);
        let length = self.u32()?;
        let content = self.take(usize::try_from(length).ok()?)?;
        Some(Message::Logical { transactional: flags & 1 != 0, lsn, prefix, content })
    }

    fn new_tuple(&mut self) -> Option<Tuple<'a>> {
        (self.u8()? == b'N').then(|| self.tuple())?
    }

    fn old_tuple(&mut self) -> Option<OldTuple<'a>> {
        match self.u8()? {
            b'K' => self.tuple().map(OldTuple::Key),
            b'O' => self.tuple().map(OldTuple::Full),
            _ => None,
        }
    }

    fn tuple(&mut self) -> Option<Tuple<'a>> {
        let columns = self.u16()?;
        let start = self.0;
        for _ in 0..columns {
            self.value()?;
        }
        let (bytes, _) = start.split_at(start.len() - self.0.len());
        Some(Tuple { columns, bytes })
    }

    fn value(&mut self) -> Option<Value<'a>> {
        Some(match self.u8()? {
            b'n' => Value::Null,
            b'u' => Value::Unchanged,
            b't' => Value::Text(self.counted()?),
            b'b' => Value::Binary(self.counted()?),
            _ => return None,
        })
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn lsn(&mut self) -> Option<Lsn> {
        self.array().map(|bytes| Lsn(u64::from_be_bytes(bytes)))
    }

    fn time(&mut self) -> Option<Time> {
        let micros = self.array().map(i64::from_be_bytes)?;
        Some(Time::from_micros(micros.saturating_add(POSTGRES_EPOCH)))
    }

    /// A text that ends with a NUL.
    fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UPDATE: &[u8] = b"U\0\0\0\x07K\0\x01t\0\0\0\x011N\0\x03t\0\0\0\x012nu";

    #[test]
    fn an_update_has_both_rows() {
        let Message::Update { relation: 7, old: Some(OldTuple::Key(old)), new } =
            Message::read(UPDATE).unwrap()
        else {
            panic!("{:?}", Message::read(UPDATE))
        };
        assert_eq!(old.values().collect::<Vec<_>>(), [Value::Text(b"1")]);
        assert_eq!(new.values().collect::<Vec<_>>(), [Value::Text(b"2"), Value::Null, Value::Unchanged]);
        assert_eq!((old.values().count(), new.values().count()), (1, 3));
    }

    #[test]
    fn a_begin_tells_when() {
        let bytes = b"B\0\0\0\x16\xB3\x74\xD8\x48\0\0\0\0\0\0\0\x01\0\0\0\x09";
        let begin = Begin {
            final_lsn: Lsn(0x16_B374_D848),
            commit_time: Time::parse("2000-01-01T00:00:00.000001Z").unwrap(),
            xid: 9,
        };
        assert_eq!(Message::read(bytes).unwrap(), Message::Begin(begin));
    }

    #[test]
    fn a_truncate_names_its_tables() {
        let Message::Truncate(truncate) = Message::read(b"T\0\0\0\x02\x01\0\0\0\x05\0\0\0\x06").unwrap()
        else {
            panic!()
        };
        assert_eq!(truncate.relations().collect::<Vec<_>>(), [5, 6]);
        assert!(truncate.cascade && !truncate.restart_identity);
    }

    #[test]
    fn what_cannot_be_read_is_never_passed_over() {
        for bytes in [&b""[..], b"S\0\0\0\x01", b"I\0\0\0\x01K\0\0", b"T\xff\xff\xff\xff\0", b"U\0\0\0\x07X"]
        {
            let error = Message::read(bytes).unwrap_err();
            assert_eq!(error.kind(), tidemark_engine::ErrorKind::Data, "{bytes:?}");
        }
        for length in 0..UPDATE.len() {
            Message::read(&UPDATE[..length]).unwrap_err();
        }
        Message::read(&[UPDATE, b"\0"].concat()).unwrap_err();
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in "[BCORYIUDTM]", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            drop(Message::read(&[kind.as_bytes(), &bytes].concat()));
        }

        #[test]
        fn no_change_of_a_message_makes_it_panic(at in 0..UPDATE.len(), byte in any::<u8>()) {
            let mut bytes = UPDATE.to_vec();
            bytes[at] = byte;
            if let Ok(Message::Update { new, .. }) = Message::read(&bytes) {
                prop_assert_eq!(new.values().count(), new.len());
            }
        }
    }
}
