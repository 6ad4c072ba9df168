//! What a table holds becomes what its shadow holds, by the differences, inside the transaction: names of tables cannot change there.

use mysql_async::Params;
use tidemark_engine::{Time, schema::StreamName};

use super::{declared::declared, history::moment, ledger, session::Session, shape::Shape, table::table_name};
use crate::{
    mariadb::{
        failure::Result,
        identifier::{fold, quote},
        storage::Storage,
    },
    metadata::{DELETED_AT, POSITION, VALID_FROM, VALID_TO},
};

/// A table `t` and its shadow `s`, which has none but columns that the table has, each as wide or wider there.
pub(super) struct Exchange<'a> {
    session: &'a mut Session,
    shape: Shape,
    /// The table's plain name.
    pub(super) name: String,
    /// Both as SQL.
    table: String,
    shadow: String,
    /// All columns of the shadow.
    columns: Vec<Compared>,
    /// The newest commits that the two have seen.
    pub(super) applied: Option<u64>,
    pub(super) shadow_applied: Option<u64>,
}

/// A column of both.
struct Compared {
    plain: String,
    /// Its name as SQL.
    sql: String,
    /// Whether it holds text, of which every byte counts.
    is_text: bool,
}

/// What becomes of the records of a table whose stream has none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vacancy {
    Empty,
    /// They stay, and say that they were deleted.
    Deleted(Time),
    /// Their versions end.
    Ended(Time),
}

/// Has `table`, given as SQL, hold no record.
pub(super) async fn vacate(session: &mut Session, table: &str, vacancy: Vacancy) -> Result<()> {
    let (writer, ..) = session.parts();
    match vacancy {
        Vacancy::Empty => writer.run(&format!("DELETE FROM {table}")).await?,
        Vacancy::Deleted(time) => {
            let sql = format!("UPDATE {table} SET {DELETED_AT} = ? WHERE {DELETED_AT} IS NULL");
            writer.execute(&sql, (moment(time)?,)).await?
        }
        Vacancy::Ended(time) => {
            let sql = format!(
                "UPDATE {table} SET {VALID_TO} = GREATEST(CAST(? AS DATETIME(6)), {VALID_FROM}) WHERE {VALID_TO} IS NULL"
            );
            writer.execute(&sql, (moment(time)?,)).await?
        }
    };
    Ok(())
}

impl<'a> Exchange<'a> {
    /// Makes the table of `stream` ready to hold what `shadow` does: it is made, grown or widened.
    pub(super) async fn prepare(session: &'a mut Session, stream: &StreamName, shadow: &str) -> Result<Self> {
        let mut terms = session.terms(false).await?;
        let shape = Shape::of_table(terms.builder, terms.writing.mode, shadow).await?;
        let columns = declared(terms.builder, shadow).await?;
        let name = table_name(terms.identity, terms.writing, (stream, None), terms.folds);
        let ready = terms.ready(stream, &name, &shape).await?;
        let applied = session.made_ready(ready).await?;
        let (writer, _, log) = session.parts();
        let log = log.clone();
        let shadow_applied = ledger::owner(writer, shadow, &log).await?.and_then(|owner| owner.applied);
        let columns = columns.into_iter().map(|column| {
            let is_text = matches!(column.storage(), Some(Storage::Text | Storage::ShortText(_)));
            Ok(Compared { sql: quote(&column.name)?, plain: column.name, is_text })
        });
        let columns = columns.collect::<Result<_>>()?;
        let (table, shadow) = (quote(&name)?, quote(shadow)?);
        Ok(Self { session, shape, name, table, shadow, columns, applied, shadow_applied })
    }

    /// Adds the records that the table lacks.
    pub(super) async fn add_missing(&mut self) -> Result<()> {
        let same = same(&self.shape.primary_key())?;
        self.insert_missing(&same).await
    }

    /// Has the table hold exactly what the shadow holds.
    pub(super) async fn become_shadow(&mut self) -> Result<()> {
        let key = self.shape.primary_key();
        let (table, shadow) = (&self.table, &self.shadow);
        if key.is_empty() {
            let columns = self.list();
            self.run(format!("DELETE FROM {table}"), ()).await?;
            let (table, shadow) = (&self.table, &self.shadow);
            return self
                .run(format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {shadow}"), ())
                .await;
        }
        let (same, first) = (same(&key)?, quote(&key[0])?);
        self.run(
            format!("DELETE t FROM {table} AS t LEFT JOIN {shadow} AS s ON {same} WHERE s.{first} IS NULL"),
            (),
        )
        .await?;
        self.update_differing(&same).await?;
        self.insert_missing(&same).await
    }

    /// Has the table hold what the shadow holds, and what it lacks as deleted at `time`.
    pub(super) async fn become_shadow_marking(&mut self, time: Time) -> Result<()> {
        let (same, first) = (same(&self.shape.key)?, quote(&self.shape.key[0])?);
        let sql = format!(
            "UPDATE {} AS t LEFT JOIN {} AS s ON {same} SET t.{DELETED_AT} = ?
             WHERE t.{DELETED_AT} IS NULL AND s.{first} IS NULL",
            self.table, self.shadow
        );
        self.run(sql, (moment(time)?,)).await?;
        self.update_differing(&same).await?;
        self.insert_missing(&same).await
    }

    /// Has the history in the table go on with the versions that are valid in the shadow: what the shadow lacks has ended by `time`, what
    /// differs ends when the shadow's version begins, and what is equal goes on.
    pub(super) async fn continue_with_shadow(&mut self, time: Time) -> Result<()> {
        let (table, shadow) = (self.table.clone(), self.shadow.clone());
        let same = same(&self.shape.key)?;
        let both = format!("t.{VALID_TO} IS NULL AND s.{VALID_TO} IS NULL");
        let is_field =
            |column: &&Compared| self.shape.columns.iter().any(|it| fold(&it.name) == fold(&column.plain));
        let fields = self.columns.iter().filter(is_field).collect::<Vec<_>>();
        let (set, differs) = (set(&fields), differs(&fields));
        let columns = self.list();
        // One change makes one version: where the two disagree about it, the newer reading is right.
        let one = format!(
            "UPDATE {table} AS t JOIN {shadow} AS s ON s.{POSITION} = t.{POSITION} SET {set} WHERE {both} AND {differs}"
        );
        self.run(one, ()).await?;
        let ended = format!(
            "UPDATE {table} AS t LEFT JOIN {shadow} AS s ON s.{VALID_TO} IS NULL AND {same}
             SET t.{VALID_TO} = GREATEST(CAST(? AS DATETIME(6)), t.{VALID_FROM})
             WHERE t.{VALID_TO} IS NULL AND s.{POSITION} IS NULL"
        );
        self.run(ended, (moment(time)?,)).await?;
        // No version begins before the one it follows.
        let later = format!(
            "UPDATE {shadow} AS s JOIN {table} AS t ON {same} SET s.{VALID_FROM} = GREATEST(s.{VALID_FROM}, t.{VALID_FROM}) WHERE {both}"
        );
        self.run(later, ()).await?;
        let followed = format!(
            "UPDATE {table} AS t JOIN {shadow} AS s ON {same} LEFT JOIN {table} AS o ON o.{POSITION} = s.{POSITION}
             SET t.{VALID_TO} = s.{VALID_FROM} WHERE {both} AND o.{POSITION} IS NULL AND {differs}"
        );
        self.run(followed, ()).await?;
        let values =
            self.columns.iter().map(|column| format!("s.{}", column.sql)).collect::<Vec<_>>().join(", ");
        let begun = format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {shadow} AS s
             LEFT JOIN {table} AS o ON o.{POSITION} = s.{POSITION}
             LEFT JOIN {table} AS t ON t.{VALID_TO} IS NULL AND {same}
             WHERE s.{VALID_TO} IS NULL AND o.{POSITION} IS NULL AND t.{POSITION} IS NULL"
        );
        self.run(begun, ()).await
    }

    async fn update_differing(&mut self, same: &str) -> Result<()> {
        let columns = self.columns.iter().collect::<Vec<_>>();
        let (set, differs) = (set(&columns), differs(&columns));
        let (table, shadow) = (&self.table, &self.shadow);
        self.run(format!("UPDATE {table} AS t JOIN {shadow} AS s ON {same} SET {set} WHERE {differs}"), ())
            .await
    }

    async fn insert_missing(&mut self, same: &str) -> Result<()> {
        let (table, shadow, columns) = (&self.table, &self.shadow, self.list());
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {shadow} AS s
             WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same})"
        );
        self.run(sql, ()).await
    }

    fn list(&self) -> String {
        self.columns.iter().map(|column| column.sql.as_str()).collect::<Vec<_>>().join(", ")
    }

    async fn run(&mut self, sql: String, parameters: impl Into<Params> + Send) -> Result<()> {
        let (writer, ..) = self.session.parts();
        writer.execute(&sql, parameters).await?;
        Ok(())
    }
}

/// The condition that rows of the two have the same `key`.
fn same(key: &[String]) -> Result<String> {
    let key = key.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?;
    let parts = key.iter().map(|name| format!("s.{name} = t.{name}"));
    Ok(parts.collect::<Vec<_>>().join(" AND "))
}

/// The assignments that give a table's row the values of its shadow's.
fn set(columns: &[&Compared]) -> String {
    columns.iter().map(|Compared { sql, .. }| format!("t.{sql} = s.{sql}")).collect::<Vec<_>>().join(", ")
}

/// The condition that values differ in anything at all.
fn differs(columns: &[&Compared]) -> String {
    let parts = columns.iter().map(|Compared { sql, is_text, .. }| match is_text {
        true => format!("CAST(s.{sql} AS BINARY) <=> CAST(t.{sql} AS BINARY)"),
        false => format!("s.{sql} <=> t.{sql}"),
    });
    format!("NOT ({})", parts.collect::<Vec<_>>().join(" AND "))
}
