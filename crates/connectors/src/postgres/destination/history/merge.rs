//! Versions in bulk: they go into a work table, and a handful of statements write them and end those they follow upon.

use std::sync::Arc;

use bytes::Bytes;
use tidemark_engine::{
    ChangeId, Error, LogId, Time,
    change::{Cell, Value},
    schema::{Field, Kind},
    write::Delivery,
};
use tokio::task::spawn_blocking;

use super::{
    Columns,
    versions::{Versions, Wants, versions},
};
use crate::postgres::{
    destination::{
        copy::{Form, Rows, of_column},
        failure::{Failure, Result},
        scratch::{Part, Scratch},
        table::Table,
        writer::Writer,
    },
    types::Target,
};

/// Writes `deliveries` into `table`, inside a transaction. `false`, with nothing done, when the changes must be written one by
/// one: records displace one another, are changed and not there, or collide with a constraint.
pub(super) async fn merge(
    writer: &mut Writer,
    table: &Arc<Table>,
    log: &LogId,
    deliveries: &Arc<Vec<Delivery>>,
) -> Result<bool> {
    let (of, log, from) = (table.clone(), log.clone(), deliveries.clone());
    let Some(work) = spawn_blocking(move || Work::prepare(&of, &log, &from)).await?? else {
        return Ok(false);
    };
    Scratch::make(writer, table, &[Part::Versions, Part::Former]).await?;
    writer.run("SAVEPOINT merge").await?;
    let written = match work.apply(writer, table).await {
        Err(failure) if failure.is_collision() => false,
        written => written?,
    };
    writer.run(if written { "RELEASE merge" } else { "ROLLBACK TO merge; RELEASE merge" }).await?;
    Ok(written)
}

/// What is to be done, written down for the work table.
struct Work {
    form: Form,
    rows: Bytes,
    count: usize,
    /// Whether some keys must find nothing, or something, in the table.
    any_free: bool,
    any_needed: bool,
    /// Fields that some version takes from the one it follows upon.
    taken: Vec<bool>,
}

impl Work {
    fn prepare(table: &Table, log: &LogId, deliveries: &[Delivery]) -> Result<Option<Self>> {
        let Some(versions) = versions(deliveries)? else { return Ok(None) };
        let form = Form::of(table.fields.iter().map(|field| &field.target));
        match Self::write(table, log, deliveries, &versions, form) {
            Err(Failure::NeedsText) => Self::write(table, log, deliveries, &versions, Form::Text).map(Some),
            work => work.map(Some),
        }
    }

    fn write(
        table: &Table,
        log: &LogId,
        deliveries: &[Delivery],
        versions: &Versions<'_>,
        form: Form,
    ) -> Result<Self> {
        let width = table.fields.len();
        let mut work = Self {
            form,
            rows: Bytes::new(),
            count: versions.wants().count() + versions.list().len(),
            any_free: false,
            any_needed: false,
            taken: vec![false; width],
        };
        let own = Own::new();
        let mut rows = Rows::begin(form, Own::COLUMNS.len() + width);
        for (entry, wants) in versions.wants().enumerate() {
            let (action, since) = match wants {
                Wants::Nothing => ("f", None),
                Wants::Perhaps(time) => ("c", Some(time)),
                Wants::Version(time) => ("m", Some(time)),
            };
            work.any_free |= wants == Wants::Nothing;
            work.any_needed |= matches!(wants, Wants::Version(_));
            rows.begin_row();
            own.add(&mut rows, &OwnCells { number: Some(entry), action, since, ..OwnCells::default() })?;
            for (index, field) in table.fields.iter().enumerate() {
                let is_told = table.key.contains(&index);
                let cell = if is_told { versions.key_cell(entry, index) } else { Cell::Null };
                let added = rows.add(&field.target, &cell);
                added.map_err(|failure| of_column(failure, &field.plain, &table.stream))?;
            }
            rows.end_row();
        }
        let mut carried = vec![0; width.div_ceil(8)];
        for version in versions.list() {
            carried.fill(0);
            for field in 0..width {
                match versions.cell(version, field) {
                    Some(_) => carried[field / 8] |= 1 << (field % 8),
                    None => work.taken[field] = true,
                }
            }
            let delivery = &deliveries[version.at.delivery];
            let position = position(log, delivery, version.at.row)?;
            let (since, until) = (Some(version.since), version.until);
            let cells = OwnCells {
                base: version.base,
                since,
                until,
                position,
                carried: &carried,
                ..OwnCells::default()
            };
            rows.begin_row();
            own.add(&mut rows, &cells)?;
            for (index, field) in table.fields.iter().enumerate() {
                let added = rows.add(&field.target, &versions.cell(version, index).unwrap_or(Cell::Null));
                added.map_err(|failure| of_column(failure, &field.plain, &table.stream))?;
            }
            rows.end_row();
        }
        rows.end();
        work.rows = rows.finish();
        Ok(work)
    }

    /// Fills the work table and runs the statements; `false` when one of them found other rows than it should.
    async fn apply(self, writer: &mut Writer, table: &Table) -> Result<bool> {
        let scratch = writer.scratch_of(&table.id)?;
        let (work, former) = (scratch.versions.clone(), scratch.former.clone());
        let empty = [Part::Versions, Part::Former].map(|part| scratch.empty_sql(part, self.count)).join("; ");
        let fields = (0..table.fields.len()).map(|index| format!("c{index}"));
        let columns = Own::COLUMNS.iter().map(|name| (*name).to_owned()).chain(fields);
        let copy = self.form.copy_sql(&work, &columns.collect::<Vec<_>>().join(", "));
        let steps = self.steps(table, &work, &former);
        writer.run(&empty).await?;
        let mut into = writer.copy_in(&copy).await?;
        into.send(self.rows).await?;
        into.finish().await?;
        let sql = steps.iter().map(|(sql, _)| sql.as_str()).collect::<Vec<_>>().join(";\n");
        let counts = writer.counts(&sql).await?;
        let found = |((_, finds_nothing), count): (&(String, bool), &u64)| !finds_nothing || *count == 0;
        Ok(counts.len() == steps.len() && steps.iter().zip(&counts).all(found))
    }

    /// The statements in order, and whether each may find nothing: it is a check.
    fn steps(&self, table: &Table, work: &str, former: &str) -> Vec<(String, bool)> {
        let (name, Columns { position, valid_from, valid_to }) = (table.id.sql(), Columns::new());
        let at_key = format!("{} AND t.{valid_to} IS NULL", table.key_equals("t", "w", 'c'));
        let mut steps = Vec::new();
        if !table.is_exact {
            // PostgreSQL itself says whether it takes two of the keys for one.
            let key = table.key.iter().map(|index| format!("c{index}")).collect::<Vec<_>>().join(", ");
            let twice =
                format!("SELECT FROM {work} WHERE action <> 'v' GROUP BY {key} HAVING count(*) > 1 LIMIT 1");
            steps.push((twice, true));
        }
        if self.any_free {
            let taken =
                format!("SELECT FROM {work} AS w JOIN {name} AS t ON {at_key} WHERE w.action = 'f' LIMIT 1");
            steps.push((taken, true));
        }
        steps.push((
            format!(
                "INSERT INTO {former} SELECT w.id, t.{position}, t.{valid_from} FROM {work} AS w
                 JOIN {name} AS t ON {at_key} WHERE w.action IN ('c', 'm')"
            ),
            false,
        ));
        if self.any_needed {
            let missing = format!(
                "SELECT FROM {work} AS w WHERE w.action = 'm' AND NOT EXISTS (SELECT FROM {former} AS f WHERE f.id = w.id) LIMIT 1"
            );
            steps.push((missing, true));
        }
        steps.push((
            format!(
                "UPDATE {name} AS t SET {valid_to} = greatest(w.since, t.{valid_from})
                 FROM {former} AS f JOIN {work} AS w ON w.id = f.id WHERE t.{position} = f.position"
            ),
            false,
        ));
        steps.push((self.insert_sql(table, work, former), false));
        steps
    }

    fn insert_sql(&self, table: &Table, work: &str, former: &str) -> String {
        let (name, Columns { position, valid_from, valid_to }) = (table.id.sql(), Columns::new());
        let values = table.fields.iter().zip(&self.taken).enumerate().map(|(index, (field, taken))| {
            let column = &field.name;
            match taken {
                true => {
                    format!("CASE WHEN get_bit(w.carried, {index}) = 1 THEN w.c{index} ELSE o.{column} END")
                }
                false => format!("w.c{index}"),
            }
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let takes = self.taken.contains(&true);
        let taken =
            if takes { format!("LEFT JOIN {name} AS o ON o.{position} = f.position") } else { String::new() };
        format!(
            "INSERT INTO {name} ({position}, {valid_from}, {valid_to}, {})
             SELECT w.position, greatest(w.since, f.valid_from),
                    CASE WHEN w.until IS NOT NULL THEN greatest(w.until, f.valid_from) END, {values}
             FROM {work} AS w LEFT JOIN {former} AS f ON f.id = w.base {taken} WHERE w.action = 'v'",
            table.field_list()
        )
    }
}

/// The identity of the change in `row`, as `_tidemark_position` has it.
pub(super) fn position(log: &LogId, delivery: &Delivery, row: usize) -> Result<String> {
    let ordinals = delivery.changes.ordinals();
    let ordinals =
        ordinals.ok_or_else(|| Error::internal("a batch reached a destination before it was numbered"))?;
    Ok(ChangeId { log, sequence: delivery.sequence, ordinal: ordinals.value(row) }.to_string())
}

/// The work table's own columns.
struct Own {
    number: Target,
    text: Target,
    time: Target,
    bits: Target,
}

/// What they hold in a row: of a key that is looked for, its number and when the version under it ends; of a version, the number
/// of the key it goes back to, when it is valid, its position, and which fields it carries.
#[derive(Default)]
struct OwnCells<'a> {
    number: Option<usize>,
    action: &'a str,
    base: Option<usize>,
    since: Option<Time>,
    until: Option<Time>,
    position: String,
    carried: &'a [u8],
}

impl Own {
    const COLUMNS: [&str; 7] = ["id", "action", "base", "since", "until", "position", "carried"];

    fn new() -> Self {
        let of = |kind| Target::of(&Field::new("own", kind), &|_| false);
        Self {
            number: of(Kind::Int32),
            text: of(Kind::Text),
            time: of(Kind::TimestampTz),
            bits: of(Kind::Bytes),
        }
    }

    fn add(&self, rows: &mut Rows, cells: &OwnCells<'_>) -> Result<()> {
        // A batch has some ten thousand changes.
        let number = |number: Option<usize>| match number.map(i64::try_from) {
            Some(number) => Cell::Value(Value::Int(number.unwrap_or(i64::MAX))),
            None => Cell::Null,
        };
        let time = |time: Option<Time>| {
            time.map_or(Cell::Null, |time| Cell::Value(Value::TimestampTz(time.as_micros())))
        };
        let action = if cells.action.is_empty() { "v" } else { cells.action };
        rows.add(&self.number, &number(cells.number))?;
        rows.add(&self.text, &Cell::Value(Value::Text(action)))?;
        rows.add(&self.number, &number(cells.base))?;
        rows.add(&self.time, &time(cells.since))?;
        rows.add(&self.time, &time(cells.until))?;
        rows.add(&self.text, &Cell::Value(Value::Text(&cells.position)))?;
        rows.add(&self.bits, &Cell::Value(Value::Bytes(cells.carried)))
    }
}
