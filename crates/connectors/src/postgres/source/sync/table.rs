//! The initial sync of one table: a generation, its chunks, and which of them are staged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidemark_engine::{
    Cursor, Result,
    change::{BitmapBuilder, ChangeBatch, Columns, Op},
    log::{Former, SyncStep},
    read::{Outlet, Phase, Ticket},
};

use super::{OpenSync, plan};
use crate::postgres::{
    connection::Session,
    lsn::Lsn,
    source::{
        cursor::{StreamCursor, SyncCursor, Synced},
        table::{Shape, definition},
    },
    types::ColumnBuilder,
};

/// A generation of one table.
pub(in crate::postgres::source) struct TableSync {
    pub(super) shape: Shape,
    pub(super) plan: SyncCursor,
    /// The points of the chunks that were staged when it was last looked at.
    pub(super) staged: BTreeMap<usize, Lsn>,
    /// What there is of the table beside it.
    former: Former,
}

impl TableSync {
    /// Goes on with the generation that `cursor` knows, or begins one: durably, once the ticket says so.
    pub(super) async fn open(
        shape: Shape,
        session: &Session,
        out: &Outlet,
        cursor: &Cursor,
        stream: &StreamCursor,
    ) -> Result<(Arc<Self>, Option<Ticket>)> {
        let name = shape.table.id.to_string();
        let former = stream.former(&name);
        let last = match SyncCursor::read(cursor, &name)? {
            Some(plan) if !must_start_anew(&plan, &shape, stream, cursor) => {
                let staged = plan.staged(cursor, &name);
                return Ok((Arc::new(Self { shape, plan, staged, former }), None));
            }
            Some(plan) => (plan.generation, plan.chunks()),
            None => (stream.complete_generation(&name), 0),
        };
        let (begun, ticket) = Self::begin(shape, session, out, former, last).await?;
        Ok((begun, Some(ticket)))
    }

    /// The next generation after this one, begun durably.
    pub(super) async fn anew(&self, session: &Session, out: &Outlet) -> Result<Arc<Self>> {
        let void = (self.plan.generation, self.plan.chunks());
        let (begun, ticket) = Self::begin(self.shape.clone(), session, out, self.former, void).await?;
        ticket.durable().await?;
        Ok(begun)
    }

    /// Begins the generation after `last`, of which as many chunks as it says were staged in vain. Once that is durable, the table's
    /// changes wait for its completion, beside what goes on of a `former` one.
    ///
    /// Where a destination plays the generation in place, what it has before is void, and a truncate tells it so: where none was
    /// ever complete, and in appended histories of a table of which changes are wanting. Others play it into a shadow, which
    /// is empty anyway.
    async fn begin(
        shape: Shape,
        session: &Session,
        out: &Outlet,
        former: Former,
        (last, void_chunks): (u64, usize),
    ) -> Result<(Arc<Self>, Ticket)> {
        let generation = last + 1;
        let (column, bounds) = plan::chunks(session, &shape.table, &shape.schema).await?;
        let (table, terms) = (shape.table.oid, shape.table.terms());
        let (definition, published) = (definition(&shape.schema), shape.table.published);
        let plan = SyncCursor { generation, table, definition, terms, column, bounds, published };
        let begun = Self { shape, plan, staged: BTreeMap::new(), former };

        let name = begun.name();
        let mut lane = out.lane(SyncCursor::part(&name), Phase::InitialSync);
        lane.note(SyncStep::Begin { stream: begun.shape.table.stream(), generation, former });
        if generation > 1 {
            tracing::info!(table = name, generation, "the initial sync starts anew");
        }
        (0..void_chunks).for_each(|chunk| lane.forget(SyncCursor::chunk_part(&name, chunk)));
        if generation > 1 && former != Former::Current {
            lane.batch(begun.nothing_left()?).await?;
        }
        let ticket = lane.boundary(begun.plan.write()?, None).await?;
        Ok((Arc::new(begun), ticket))
    }

    /// The stream's name.
    pub(super) fn name(&self) -> String {
        self.shape.table.id.to_string()
    }

    /// What the reader of the stream must know of it.
    pub(in crate::postgres::source) fn describe(&self) -> OpenSync {
        OpenSync {
            table: self.name(),
            generation: self.plan.generation,
            definition: self.plan.definition,
            complete: Synced {
                generation: self.plan.generation,
                table: self.plan.table,
                terms: self.plan.terms,
                parts: self.shape.table.parts_of_terms(),
                published: self.plan.published,
            },
            events: Vec::new(),
        }
    }

    /// The numbers of the chunks that are not staged.
    pub(super) fn left(&self) -> Vec<usize> {
        (0..self.plan.chunks()).filter(|number| !self.staged.contains_key(number)).collect()
    }

    /// A truncate: whatever a destination has of the table is void.
    fn nothing_left(&self) -> Result<ChangeBatch> {
        let Shape { schema, types, .. } = &self.shape;
        let mut columns: Vec<_> = types.iter().map(ColumnBuilder::new).collect();
        let mut unchanged = BitmapBuilder::new(columns.len());
        for (index, column) in columns.iter_mut().enumerate() {
            column.append_null();
            unchanged.set(index);
        }
        unchanged.end_row();
        let values = columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<_>>()?;
        let columns = Columns {
            unchanged: unchanged.finish(),
            ..Columns::new(vec![Op::Truncate.letter()].into(), values)
        };
        ChangeBatch::new(schema.clone(), columns)
    }
}

/// Whether chunks that are staged cannot be put together with ones that would be read now.
fn must_start_anew(plan: &SyncCursor, shape: &Shape, stream: &StreamCursor, cursor: &Cursor) -> bool {
    let table = shape.table.id.to_string();
    let staged = plan.staged(cursor, &table);
    let points: BTreeSet<Lsn> = staged.values().copied().collect();
    let is_mixed = points.len() > 1 || (points.len() == 1 && staged.len() < plan.chunks());
    let moved = stream.moved.get(&table) == Some(&plan.generation);
    plan.table != shape.table.oid
        || plan.terms != shape.table.terms()
        || plan.definition != definition(&shape.schema)
        || stream.void.get(&table) == Some(&plan.generation)
        || (moved && is_mixed)
}
