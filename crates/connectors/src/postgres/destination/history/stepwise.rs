//! Change by change in source order: whatever order of values the source's own constraints allowed is allowed here. For a few
//! changes it is also the quickest way, for it needs no work table.
//!
//! A source that checks its keys at the end of a transaction may have two records under one key in between. The version of the
//! one that was there first ends when the other comes, and what later leaves the key is that one first.

use tidemark_engine::{Error, LogId, change::Op, write::Delivery};

use super::{Columns, merge::position};
use crate::{
    postgres::destination::{
        failure::Result,
        literal::{Literal, as_parameters},
        table::{START_ANEW, Table},
        writer::Writer,
    },
    tables::View,
};

/// Records of one table that another's change of key has displaced: the positions of their last versions, which have ended, in
/// the order in which they were displaced.
#[derive(Debug, Clone, Default)]
pub(in crate::postgres::destination) struct Displaced(Vec<String>);

impl Displaced {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all of them: at the end of a unit nothing can ask for one any more.
    pub(in crate::postgres::destination) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Writes every change of `delivery` to `table`, inside a transaction.
pub(super) async fn write(
    writer: &mut Writer,
    table: &Table,
    log: &LogId,
    delivery: &Delivery,
    displaced: &mut Displaced,
) -> Result<()> {
    let view = View::new(&delivery.changes);
    for row in 0..view.rows() {
        let (position, time) = (position(log, delivery, row)?, Literal::time(delivery.watermark(row)?)?);
        let columns = Columns::new();
        let mut step = Step { writer, table, columns, view: &view, row, position, time };
        match view.op(row)? {
            Op::Truncate => {
                step.close_all().await?;
                displaced.forget();
            }
            Op::Delete => {
                view.keys(row)?;
                if step.take_displaced(displaced, false).await?.is_none() {
                    step.close().await?;
                }
            }
            Op::Update if view.keys(row)?.old.is_some() => {
                if !step.change_key(displaced).await? {
                    step.update().await?;
                }
            }
            Op::Update => step.update().await?,
            Op::Read | Op::Create => step.follow().await?,
        }
    }
    Ok(())
}

/// One change on its way into a table.
struct Step<'a> {
    writer: &'a mut Writer,
    table: &'a Table,
    columns: Columns,
    view: &'a View<'a>,
    row: usize,
    position: String,
    time: Literal,
}

/// The version that another follows upon.
enum Former {
    /// The one that is valid under this key; it ends.
    Valid(Vec<Literal>),
    /// One that has ended already, by its position.
    Displaced(String),
}

impl Step<'_> {
    async fn run(&mut self, sql: &str, parameters: &[Literal]) -> Result<u64> {
        let parameters = as_parameters(parameters);
        self.writer.execute(sql, &parameters).await
    }

    async fn texts(&mut self, sql: &str, parameters: &[Literal]) -> Result<Option<Vec<String>>> {
        let parameters = as_parameters(parameters);
        self.writer.texts(sql, &parameters).await
    }

    /// Ends every version that is valid.
    async fn close_all(&mut self) -> Result<()> {
        let (table, Columns { valid_from, valid_to, .. }) = (self.table.id.sql(), &self.columns);
        let sql = format!(
            "UPDATE {table} SET {valid_to} = greatest($1::timestamptz, {valid_from}) WHERE {valid_to} IS NULL"
        );
        let time = self.time.clone();
        self.run(&sql, &[time]).await?;
        Ok(())
    }

    /// Ends the version that is valid under the change's key, if there is one.
    async fn close(&mut self) -> Result<()> {
        let close = self.close_sql(1, 2);
        let mut values = vec![self.time.clone()];
        values.extend(self.key(false)?);
        self.run(&close, &values).await?;
        Ok(())
    }

    /// The statement that ends the version under the key in the parameters from `key` on, at parameter `time` or when it began.
    fn close_sql(&self, time: usize, key: usize) -> String {
        let (table, Columns { valid_from, valid_to, .. }) = (self.table.id.sql(), &self.columns);
        format!(
            "UPDATE {table} SET {valid_to} = greatest(${time}::timestamptz, {valid_from}) WHERE {}",
            self.is_valid(key)
        )
    }

    /// A version of which the change gives everything, after the one that is valid under its key if there is one.
    async fn follow(&mut self) -> Result<()> {
        self.view.keys(self.row)?;
        let key = self.key(false)?;
        let fields = (0..self.table.fields.len()).collect::<Vec<_>>();
        let (table, Columns { position, valid_from, valid_to }) = (self.table.id.sql(), &self.columns);
        let close = self.close_sql(1, 3);
        let marks = (0..fields.len()).map(|at| format!("${}", at + 3 + key.len()));
        let sql = format!(
            "WITH former AS ({close} RETURNING {valid_to})
             INSERT INTO {table} ({position}, {valid_from}, {})
             VALUES ($2, greatest($1::timestamptz, (SELECT max({valid_to}) FROM former)), {})",
            self.table.field_list(),
            marks.collect::<Vec<_>>().join(", ")
        );
        let mut values = vec![self.time.clone(), Literal(Some(self.position.clone()))];
        values.extend(key);
        values.extend(self.values(&fields)?);
        self.run(&sql, &values).await?;
        Ok(())
    }

    /// An update that keeps its key.
    async fn update(&mut self) -> Result<()> {
        if !self.view.is_partial(self.row) {
            return self.follow().await;
        }
        self.view.keys(self.row)?;
        let key = self.key(false)?;
        if self.succeed(Former::Valid(key), Literal(None)).await? {
            return Ok(());
        }
        Err(Error::data(format!(
            "an update of stream `{}` leaves columns as they are in a record of which table `{}` has no version",
            self.table.stream, self.table.id
        ))
        .hint(START_ANEW)
        .into())
    }

    /// A version that takes what the change does not carry from `former`, and begins neither before that ends nor before `floor`.
    /// `false` when there is none.
    async fn succeed(&mut self, former: Former, floor: Literal) -> Result<bool> {
        let (table, Columns { position, valid_from, valid_to }) = (self.table.id.sql(), &self.columns);
        let carried = |index: usize| self.view.carries(index, self.row);
        let taken = self.table.fields.iter().enumerate().filter(|(index, _)| !carried(*index));
        let taken = taken.map(|(_, field)| format!(", {}", field.name)).collect::<String>();
        let begins = format!("greatest($1::timestamptz, $2::timestamptz, {valid_to}) AS {valid_to}{taken}");
        let (former, at) = match former {
            Former::Valid(key) => (format!("{} RETURNING {begins}", self.close_sql(1, 4)), key),
            Former::Displaced(at) => {
                (format!("SELECT {begins} FROM {table} WHERE {position} = $4"), vec![Literal(Some(at))])
            }
        };
        let mut values = vec![self.time.clone(), floor, Literal(Some(self.position.clone()))];
        values.extend(at);
        let mut cells = Vec::new();
        for (index, field) in self.table.fields.iter().enumerate() {
            if carried(index) {
                values.push(self.literal(index, false)?);
                cells.push(format!("${}", values.len()));
            } else {
                cells.push(format!("former.{}", field.name));
            }
        }
        let sql = format!(
            "WITH former AS ({former}) INSERT INTO {table} ({position}, {valid_from}, {})
             SELECT $3, former.{valid_to}, {} FROM former",
            self.table.field_list(),
            cells.join(", ")
        );
        Ok(self.run(&sql, &values).await? > 0)
    }

    /// A record goes on under another key. What is valid there ends. `false` when there is no record under the old key.
    async fn change_key(&mut self, displaced: &mut Displaced) -> Result<bool> {
        let old_key = self.key(true)?;
        let former = match self.take_displaced(displaced, true).await? {
            Some(position) => Former::Displaced(position),
            None => {
                let position = &self.columns.position;
                let sql =
                    format!("SELECT {position} FROM {} WHERE {}", self.table.id.sql(), self.is_valid(1));
                if self.texts(&sql, &old_key).await?.is_none() {
                    return Ok(false);
                }
                Former::Valid(old_key.clone())
            }
        };
        let floor = self.displace(displaced, &old_key).await?;
        if self.succeed(former, Literal(floor)).await? {
            return Ok(true);
        }
        let what = format!("a change of key in table `{}` has lost its record", self.table.id);
        Err(Error::internal(what).into())
    }

    /// Ends what is valid under the new key, and keeps it in mind; not the record that moves there from `old_key`, which it is
    /// where PostgreSQL takes the two keys for one (`1.0` and `1.00`). Tells when that ended.
    async fn displace(&mut self, displaced: &mut Displaced, old_key: &[Literal]) -> Result<Option<String>> {
        let mut close = self.close_sql(1, 2);
        let mut values = vec![self.time.clone()];
        values.extend(self.key(false)?);
        if !self.table.is_exact {
            close += &format!(" AND NOT ({})", self.is_key(values.len() + 1));
            values.extend_from_slice(old_key);
        }
        let Columns { position, valid_to, .. } = &self.columns;
        let sql = format!("{close} RETURNING {position}, {valid_to}::text");
        match self.texts(&sql, &values).await?.as_deref() {
            Some([position, until]) => {
                displaced.0.push(position.clone());
                Ok(Some(until.clone()))
            }
            _ => Ok(None),
        }
    }

    /// The record under the change's key, `old` or new, that was displaced first: the position of its last version. It leaves the
    /// key.
    async fn take_displaced(&mut self, displaced: &mut Displaced, old: bool) -> Result<Option<String>> {
        if displaced.is_empty() {
            return Ok(None);
        }
        let (table, position) = (self.table.id.sql(), &self.columns.position);
        let sql = format!("SELECT {position} FROM {table} WHERE {position} = $1 AND {}", self.is_key(2));
        let key = self.key(old)?;
        for (at, waiting) in displaced.0.clone().into_iter().enumerate() {
            let mut values = vec![Literal(Some(waiting.clone()))];
            values.extend(key.iter().cloned());
            if self.texts(&sql, &values).await?.is_some() {
                displaced.0.remove(at);
                return Ok(Some(waiting));
            }
        }
        Ok(None)
    }

    /// The condition that the key is the parameters from `at` on.
    fn is_key(&self, at: usize) -> String {
        let parts = self.table.key.iter().zip(at..);
        let parts = parts.map(|(&index, at)| format!("{} = ${at}", self.table.fields[index].name));
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// The condition that it is the valid version under that key.
    fn is_valid(&self, at: usize) -> String {
        format!("{} AND {} IS NULL", self.is_key(at), self.columns.valid_to)
    }

    fn key(&self, old: bool) -> Result<Vec<Literal>> {
        self.table.key.iter().map(|&index| self.literal(index, old)).collect()
    }

    fn values(&self, fields: &[usize]) -> Result<Vec<Literal>> {
        fields.iter().map(|&index| self.literal(index, false)).collect()
    }

    fn literal(&self, index: usize, old: bool) -> Result<Literal> {
        let field = &self.table.fields[index];
        let cell = if old { self.view.old_cell(index, self.row) } else { self.view.cell(index, self.row) };
        let text = field.target.literal_text(&cell).map_err(|error| {
            error.context(format_args!("column `{}` of stream `{}`", field.plain, self.table.stream))
        })?;
        Ok(Literal(text))
    }
}
