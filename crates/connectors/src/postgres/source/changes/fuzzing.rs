//! Doors for the fuzz targets, built for them alone: a stream of changes that no server has sent.

use std::{collections::HashMap, sync::Arc};

use tidemark_engine::{ErrorKind, Result, contract::codec::read_every_cell};

use super::{
    relation::Relation,
    table::{TableChanges, Transaction},
};
use crate::postgres::{
    identifier::TableId,
    source::{
        replication::pgoutput::{self, Message, OldTuple},
        table::{Column, Table},
    },
    types::ColumnType,
};

/// More columns than these, and a described table is passed over: each costs memory, whatever its rows hold.
const MOST_COLUMNS: usize = 64;

/// Reads messages of `pgoutput`, each with its length before it (32 bits, big endian), as a connection would get them, and makes
/// batches of what they say.
pub fn messages(mut stream: &[u8]) {
    let mut session = Session::default();
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        let (message, rest) = rest.split_at(length);
        if let Err(error) = session.read(message) {
            assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
        }
        stream = rest;
    }
    for (_, changes) in session.tables {
        read_every_cell(&changes.finish().expect("changes that were taken make a batch"));
    }
}

#[derive(Default)]
struct Session {
    relations: HashMap<u32, Arc<Relation>>,
    tables: HashMap<u32, TableChanges>,
    rows: u64,
}

impl Session {
    fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let message = Message::read(bytes)?;
        match message {
            Message::Relation(message) => self.describe(&message),
            Message::Insert { relation, new } => {
                assert_eq!(new.values().count(), new.len());
                self.change(relation, |table| table.insert(new))
            }
            Message::Update { relation, old, new } => {
                if let Some(OldTuple::Full(old) | OldTuple::Key(old)) = old {
                    assert_eq!(old.values().count(), old.len());
                }
                self.change(relation, |table| table.update(old, new))
            }
            Message::Delete { relation, old } => self.change(relation, |table| table.delete(old)),
            Message::Truncate(truncate) => {
                truncate.relations().try_for_each(|relation| self.change(relation, TableChanges::truncate))
            }
            _ => Ok(()),
        }
    }

    fn describe(&mut self, message: &pgoutput::Relation<'_>) -> Result<()> {
        if message.columns.len() > MOST_COLUMNS {
            return Ok(());
        }
        let types = message.columns.iter().map(|column| ColumnType::invented(column.type_oid, column.typmod));
        let types: Vec<_> = types.collect();
        let key = message.columns.iter().filter(|column| column.key).map(|column| column.name.to_owned());
        let table = Table {
            id: TableId { schema: message.schema.to_owned(), name: message.name.to_owned() },
            oid: message.oid,
            published: None,
            partitioned: false,
            columns: message.columns.iter().map(column).collect(),
            key: key.collect(),
            excluded: vec!["left out".to_owned()],
            condition: None,
            layout: String::new(),
        };
        let relation = Relation::new(&table, message, types)?;
        self.relations.insert(message.oid, Arc::new(relation));
        if let Some(changes) = self.tables.remove(&message.oid) {
            read_every_cell(&changes.finish()?);
        }
        Ok(())
    }

    /// A run ends with the first change that cannot be taken, so nothing is read into those before it.
    fn change(
        &mut self,
        relation: u32,
        add: impl FnOnce(&mut TableChanges) -> Result<tidemark_engine::change::Op>,
    ) -> Result<()> {
        let Some(known) = self.relations.get(&relation) else { return Ok(()) };
        let table = self.tables.entry(relation).or_insert_with(|| TableChanges::new(known.clone()));
        let op = match add(table) {
            Ok(op) => op,
            Err(error) => {
                self.tables.remove(&relation);
                return Err(error);
            }
        };
        let transaction = Transaction {
            commit: crate::postgres::lsn::Lsn(1),
            time: tidemark_engine::Time::EPOCH,
            name: "1".to_owned(),
            changes: self.rows,
            first: 0,
        };
        table.end_row(op, &transaction, self.rows);
        self.rows += 1;
        Ok(())
    }
}

fn column(column: &pgoutput::RelationColumn<'_>) -> Column {
    Column {
        name: column.name.to_owned(),
        type_oid: column.type_oid,
        modifier: column.typmod,
        not_null: column.key,
    }
}
