//! The content of a table is brought to that of a shadow: what differs is written, and nothing else.
//!
//! Rows are compared byte by byte (`record_image_ne`): `1.0` is another value than `1.00`, and `json` has no equality of its own.
//! <https://www.postgresql.org/docs/current/functions-comparisons.html#COMPOSITE-TYPE-COMPARISON>

use tidemark_engine::write::WriteMode;

use super::{
    Of, Place,
    columns::{Column, align},
    constant, key,
};
use crate::{
    metadata,
    postgres::{
        destination::{
            failure::Result, history, relation::Relation, table::metadata_of, terms::Terms, writer::Writer,
        },
        identifier::{TableId, quoted},
    },
};

/// What is to be done to have the content of a shadow in a table.
pub(super) struct Exchange {
    mode: WriteMode,
    place: Place,
    shadow: TableId,
    columns: Vec<Column>,
    /// What tells records apart.
    key: Vec<String>,
    /// Whether the table tells them apart by the same.
    fits: bool,
}

impl Exchange {
    /// Makes the columns of the table hold what those of the shadow do.
    pub(super) async fn prepare(
        writer: &mut Writer,
        terms: &Terms,
        shadow: &TableId,
        filled: &Relation,
        place: Place,
    ) -> Result<Self> {
        let (client, mode) = (writer.client(), terms.writing.mode);
        let key = key::of(client, filled, mode).await?;
        let fits = key::fits(client, &place, &key, mode).await?;
        let columns = align(client, shadow, filled, &place).await?;
        // Nobody has counted its rows yet.
        client.batch_execute(&format!("ANALYZE {}", shadow.sql())).await?;
        Ok(Self { mode, place, shadow: shadow.clone(), columns, key, fits })
    }

    /// Brings the content over.
    pub(super) async fn run(&self, writer: &mut Writer, of: Of) -> Result<()> {
        if self.mode == WriteMode::Append {
            let by = self.by(&[metadata::POSITION.to_owned()]);
            return writer.run(&self.insert_missing(&by)).await;
        }
        if !self.fits || self.key.is_empty() {
            return self.replace(writer).await;
        }
        let by = match self.mode {
            WriteMode::History => self.by(&[metadata::POSITION.to_owned()]),
            _ => self.by(&self.key),
        };
        match (self.mode, of) {
            (WriteMode::History, Of::Generation(_)) => self.succeed(writer, of).await,
            (WriteMode::SoftDelete, Of::Generation(time)) => {
                let (table, missing) = (self.place.id.sql(), self.missing(&by));
                let (deleted, time) = (quoted(metadata::DELETED_AT), constant(time)?);
                let mark = format!(
                    "UPDATE {table} AS t SET {deleted} = {time} WHERE {deleted} IS NULL AND {missing}"
                );
                self.exchange(writer, &by, &mark).await
            }
            _ => {
                let (table, missing) = (self.place.id.sql(), self.missing(&by));
                self.exchange(writer, &by, &format!("DELETE FROM {table} AS t WHERE {missing}")).await
            }
        }
    }

    /// Everything goes, everything comes.
    async fn replace(&self, writer: &Writer) -> Result<()> {
        writer.run(&format!("DELETE FROM {}", self.place.id.sql())).await?;
        if !self.fits {
            key::change(writer.client(), &self.place, &self.key, self.mode).await?;
        }
        let (table, names, values) = (self.place.id.sql(), self.names(), self.values());
        let shadow = self.shadow.sql();
        writer.run(&format!("INSERT INTO {table} ({names}) SELECT {values} FROM {shadow} AS s")).await
    }

    /// Does away with what the shadow lacks by `missing`, updates what differs, inserts what is missing. Where rows hand unique
    /// values to one another, those that differ are taken out first.
    async fn exchange(&self, writer: &mut Writer, by: &str, missing: &str) -> Result<()> {
        let (table, shadow) = (self.place.id.sql(), self.shadow.sql());
        let (differs, insert) = (self.differs(&self.columns), self.insert_missing(by));
        let sets = self.columns.iter().map(|column| format!("{} = {}", column.name, column.value));
        let sets = sets.collect::<Vec<_>>().join(", ");
        let update = format!("UPDATE {table} AS t SET {sets} FROM {shadow} AS s WHERE {by} AND {differs}");
        writer.run(&format!("{missing}; SAVEPOINT exchange")).await?;
        match writer.run(&format!("{update}; {insert}")).await {
            Err(failure) if failure.is_collision() => {
                writer.run("ROLLBACK TO exchange; RELEASE exchange").await?;
            }
            exchanged => return exchanged,
        }
        let moved = format!("pg_temp._tidemark_moved_{}", writer.next_number());
        let back = self.insert_back(&moved, by);
        writer
            .run(&format!(
                "CREATE TEMP TABLE {moved} ON COMMIT DROP AS
                     SELECT t.* FROM {table} AS t JOIN {shadow} AS s ON {by} WHERE {differs};
                 DELETE FROM {table} AS t USING {shadow} AS s WHERE {by} AND {differs};
                 {back}; {insert}"
            ))
            .await
    }

    /// Rows that were taken out come back as the shadow has them, and keep what it does not know of.
    fn insert_back(&self, moved: &str, by: &str) -> String {
        let kept = self.place.relation.columns.iter().filter(|column| !column.is_generated);
        let kept = kept.filter(|column| !self.columns.iter().any(|own| own.plain == column.name));
        let kept = kept.map(|column| quoted(&column.name)).collect::<Vec<_>>();
        let names = kept.iter().cloned().chain([self.names()]).collect::<Vec<_>>().join(", ");
        let values = kept.iter().map(|name| format!("t.{name}")).chain([self.values()]);
        let values = values.collect::<Vec<_>>().join(", ");
        let (table, shadow) = (self.place.id.sql(), self.shadow.sql());
        format!(
            "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE
             SELECT {values} FROM {moved} AS t JOIN {shadow} AS s ON {by}"
        )
    }

    /// The valid versions of a new generation follow upon those that they differ from.
    async fn succeed(&self, writer: &mut Writer, of: Of) -> Result<()> {
        let Of::Generation(time) = of else { return Ok(()) };
        let (table, shadow, time) = (self.place.id.sql(), self.shadow.sql(), constant(time)?);
        let history::Columns { position, valid_from, valid_to } = history::Columns::new();
        let is_metadata =
            |column: &&Column| metadata_of(self.mode).iter().any(|(name, _)| *name == column.plain);
        let fields = self.columns.iter().filter(|column| !is_metadata(column)).collect::<Vec<_>>();
        let names = fields.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        let news = format!("pg_temp._tidemark_news_{}", writer.next_number());
        let values = fields.iter().map(|column| format!("{} AS {}", column.value, column.name));
        let values = values.collect::<Vec<_>>().join(", ");
        let (by, differs) = (self.by(&self.key), self.differs(fields.iter().copied()));
        writer
            .run(&format!(
                "CREATE TEMP TABLE {news} ON COMMIT DROP AS
                     SELECT s.{position}, s.{valid_from}, t.{position} AS _tidemark_former, {values}
                     FROM {shadow} AS s LEFT JOIN {table} AS t ON {by} AND t.{valid_to} IS NULL
                     WHERE s.{valid_to} IS NULL AND (t.{position} IS NULL OR {differs})
                       AND NOT EXISTS (SELECT FROM {table} AS p WHERE p.{position} = s.{position});
                 UPDATE {table} AS t SET {valid_to} = greatest({time}, t.{valid_from}) WHERE t.{valid_to} IS NULL
                     AND NOT EXISTS (SELECT FROM {shadow} AS s WHERE {by} AND s.{valid_to} IS NULL);
                 UPDATE {table} AS t SET {valid_to} = greatest(n.{valid_from}, t.{valid_from})
                     FROM {news} AS n WHERE t.{position} = n._tidemark_former;
                 INSERT INTO {table} ({position}, {valid_from}, {names})
                     SELECT n.{position}, greatest(n.{valid_from}, t.{valid_to}), {} FROM {news} AS n
                     LEFT JOIN {table} AS t ON t.{position} = n._tidemark_former",
                fields.iter().map(|column| format!("n.{}", column.name)).collect::<Vec<_>>().join(", ")
            ))
            .await
    }

    /// The condition that a row `t` of the table and a row `s` of the shadow have the same in the columns `by`.
    fn by(&self, by: &[String]) -> String {
        let columns = self.columns.iter().filter(|column| by.contains(&column.plain));
        let parts = columns.map(|column| format!("t.{} = {}", column.name, column.value));
        parts.collect::<Vec<_>>().join(" AND ")
    }

    /// The condition that they differ in any of `columns`.
    fn differs<'a>(&self, columns: impl IntoIterator<Item = &'a Column>) -> String {
        let (mut there, mut here) = (Vec::new(), Vec::new());
        for column in columns {
            there.push(format!("t.{}", column.name));
            here.push(column.value.clone());
        }
        format!("record_image_ne(ROW({}), ROW({}))", there.join(", "), here.join(", "))
    }

    /// The condition that the shadow lacks the row `t`.
    fn missing(&self, by: &str) -> String {
        format!("NOT EXISTS (SELECT FROM {} AS s WHERE {by})", self.shadow.sql())
    }

    fn insert_missing(&self, by: &str) -> String {
        let (table, shadow) = (self.place.id.sql(), self.shadow.sql());
        let (names, values) = (self.names(), self.values());
        format!(
            "INSERT INTO {table} ({names}) SELECT {values} FROM {shadow} AS s
             WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE {by})"
        )
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn values(&self) -> String {
        self.columns.iter().map(|column| column.value.as_str()).collect::<Vec<_>>().join(", ")
    }
}
