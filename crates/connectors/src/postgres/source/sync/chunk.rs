//! One chunk of a table, from the server into the log.

use std::sync::Arc;

use bytes::Bytes;
use tidemark_engine::{
    Error, Result,
    change::Value,
    log::{KeyRange, SyncStep},
    read::{Phase, Ticket},
    schema::{Kind, ordered},
};

use super::{
    TableSync, end_of_log,
    look::Look,
    rows::Copying,
    work::{Progress, Round},
};
use crate::postgres::{
    connection::{Session, failure},
    identifier::{literal, quoted},
    source::cursor::SyncCursor,
};

/// A range of a table's keys, or the whole table.
#[derive(Clone)]
pub(super) struct Chunk {
    pub(super) sync: Arc<TableSync>,
    pub(super) number: usize,
    /// Of the table.
    pub(super) progress: Arc<Progress>,
}

impl Chunk {
    /// Reads the chunk in the round's snapshot and puts a boundary behind it. The snapshot's transaction ends with the chunk, so that no
    /// lock on the table outlives it.
    pub(super) async fn read(&self, session: &Session, round: &Round) -> Result<Ticket> {
        let table = &self.sync.shape.table;
        let part = SyncCursor::chunk_part(&self.sync.name(), self.number);
        self.enter(session, &round.snapshot).await?;
        let mut lane = round.out.lane(part, Phase::InitialSync);
        let mut rows = Copying::begin(session, &self.sync.shape, &self.clauses(), round.point).await?;
        while let Some(batch) = rows.next().await? {
            lane.batch(batch).await?;
        }
        let ended = session.batch_execute("COMMIT").await;
        ended.map_err(|error| failure(format!("cannot read table `{}`", table.id), error))?;
        let now = Look::at(session, table).await?;
        if let Some(what) = round.looks.get(&table.oid).and_then(|before| now.difference(table, before)) {
            self.progress.see(what);
        }
        self.progress.reach(end_of_log(session).await?);
        let point = round.point.to_bytes();
        lane.note(SyncStep::Chunk {
            stream: self.sync.shape.table.stream(),
            generation: self.sync.plan.generation,
            range: self.range()?,
            point: point.to_vec(),
        });
        lane.boundary(Bytes::copy_from_slice(&point), None).await
    }

    /// Begins a transaction that shows what the snapshot does: every row, or none.
    async fn enter(&self, session: &Session, snapshot: &str) -> Result<()> {
        let sql = format!(
            "SET row_security = off; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            literal(snapshot)
        );
        // Whatever became of it, another one can be taken.
        let gone = |error: tokio_postgres::Error| {
            let code = error.code().map_or("", |code| code.code()).to_owned();
            Error::unavailable(format!(
                "the snapshot of the initial sync is gone ({code}): a new one is taken"
            ))
        };
        session.batch_execute(&sql).await.map_err(gone)
    }

    /// The condition that a row of the chunk meets.
    fn clauses(&self) -> String {
        let mut conditions = Vec::new();
        if let Some(column) = &self.sync.plan.column {
            let (from, until) = self.bounds();
            conditions.extend(from.map(|from| format!("{} >= {}", quoted(column), literal(from))));
            conditions.extend(until.map(|until| format!("{} < {}", quoted(column), literal(until))));
        }
        let asked_for = &self.sync.shape.table.condition;
        conditions.extend(asked_for.iter().map(|condition| format!("({condition})")));
        match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        }
    }

    /// Where the chunk begins and where the next does, as texts.
    fn bounds(&self) -> (Option<&str>, Option<&str>) {
        let bounds = &self.sync.plan.bounds;
        let from = self.number.checked_sub(1).and_then(|before| bounds.get(before));
        (from.map(String::as_str), bounds.get(self.number).map(String::as_str))
    }

    /// The keys it covers.
    fn range(&self) -> Result<KeyRange> {
        let (from, until) = self.bounds();
        let ordered = |text: Option<&str>| text.map(|text| self.ordered(text)).transpose();
        Ok(KeyRange { from: ordered(from)?, until: ordered(until)? })
    }

    /// A bound as bytes that compare as keys do.
    fn ordered(&self, text: &str) -> Result<Vec<u8>> {
        let TableSync { shape, plan, .. } = self.sync.as_ref();
        let field = shape.schema.fields().iter().find(|field| Some(&field.name) == plan.column.as_ref());
        let bytes = field.and_then(|field| bound(&field.kind, text));
        bytes.ok_or_else(|| {
            Error::internal(format!("a chunk of stream `{}` has an unsound bound", shape.schema.stream()))
        })
    }
}

/// The value that `text` prints, as bytes that compare as values do.
fn bound(kind: &Kind, text: &str) -> Option<Vec<u8>> {
    let bytes_of = |digits: &str| -> Option<Vec<u8>> {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        digits.as_bytes().chunks(2).map(byte).collect()
    };
    match kind {
        Kind::Int16 | Kind::Int32 | Kind::Int64 => ordered(&Value::Int(text.parse().ok()?)),
        Kind::UInt32 => ordered(&Value::UInt(text.parse().ok()?)),
        Kind::Uuid => ordered(&Value::Uuid(&bytes_of(&text.replace('-', ""))?)),
        Kind::Bytes => ordered(&Value::Bytes(&bytes_of(text.strip_prefix("\\x")?)?)),
        Kind::Text => ordered(&Value::Text(text)),
        _ => None,
    }
}
