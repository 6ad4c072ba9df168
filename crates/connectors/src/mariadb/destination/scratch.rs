//! Temporary tables beside a table: the keys that are asked for, what is to be done, rows on their way from one key to another.
//!
//! Making them commits nothing, and they go with their session. <https://mariadb.com/kb/en/create-table/#create-temporary-table>

use bytes::Bytes;
use tidemark_engine::Error;

use super::{
    table::Table,
    writer::{Loaded, Writer},
};
use crate::mariadb::{
    failure::{Result, warned},
    identifier::quote,
};

/// What else a row of the work table says.
const WORK: &str =
    "id INT UNSIGNED NOT NULL PRIMARY KEY, action CHAR(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    carried TEXT CHARACTER SET ascii COLLATE ascii_bin";
/// And of versions.
const VERSION: &str = "position VARCHAR(120) CHARACTER SET ascii COLLATE ascii_nopad_bin,
    valid_from DATETIME(6), valid_to DATETIME(6), base VARCHAR(120) CHARACTER SET ascii COLLATE ascii_nopad_bin";

/// The temporary tables of one table, each made when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    made: Vec<(Part, String)>,
}

/// A temporary table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Keys: a number and the columns of the key.
    Keys,
    /// What is to be done with the rows of a mirror.
    Work,
    /// Rows that move.
    Moved,
    /// Versions that end and begin.
    Versions,
    /// Rows as they are to be in the table.
    Rows,
}

impl Scratch {
    /// The empty table for `part` of what `table` needs, by its name as SQL.
    pub(super) async fn empty(&mut self, writer: &mut Writer, table: &Table, part: Part) -> Result<String> {
        if let Some((_, name)) = self.made.iter().find(|(made, _)| *made == part) {
            writer.run(&format!("DELETE FROM {name}")).await?;
            return Ok(name.clone());
        }
        let name = format!("_tidemark_work_{}", writer.next_number());
        let columns = columns(table, part)?.join(", ");
        writer
            .run(&format!("CREATE TEMPORARY TABLE {name} ({columns}) ENGINE = InnoDB ROW_FORMAT = DYNAMIC"))
            .await?;
        self.made.push((part, name.clone()));
        Ok(name)
    }

    /// Drops them: their table has changed.
    pub(super) async fn clear(&mut self, writer: &mut Writer) -> Result<()> {
        for (_, name) in self.made.drain(..) {
            writer.run(&format!("DROP TEMPORARY TABLE IF EXISTS {name}")).await?;
        }
        Ok(())
    }
}

fn columns(table: &Table, part: Part) -> Result<Vec<String>> {
    let key = |letter: char| {
        let columns = table
            .key
            .iter()
            .map(move |&index| format!("{letter}{index} {}", table.fields[index].column_type));
        columns.collect::<Vec<_>>()
    };
    let fields =
        || table.fields.iter().enumerate().map(|(index, field)| format!("c{index} {}", field.column_type));
    Ok(match part {
        Part::Keys => {
            std::iter::once("id INT UNSIGNED NOT NULL PRIMARY KEY".to_owned()).chain(key('k')).collect()
        }
        Part::Work => std::iter::once(WORK.to_owned()).chain(fields()).chain(key('o')).collect(),
        Part::Versions => [WORK, VERSION].map(str::to_owned).into_iter().chain(fields()).collect(),
        Part::Moved => {
            let columns = table
                .columns
                .iter()
                .map(|column| Ok(format!("{} {}", quote(&column.name)?, column.column_type())));
            let id = Ok("_tidemark_id INT UNSIGNED NOT NULL PRIMARY KEY".to_owned());
            std::iter::once(id).chain(columns).collect::<Result<_, Error>>()?
        }
        Part::Rows => {
            let columns = table
                .columns
                .iter()
                .map(|column| Ok(format!("{} {}", quote(&column.name)?, column.column_type())));
            columns.collect::<Result<_, Error>>()?
        }
    })
}

/// Loads `rows` into a temporary table, which takes all of them or fails.
pub(super) async fn load(
    writer: &mut Writer,
    table: &Table,
    into: &str,
    columns: &str,
    rows: Bytes,
) -> Result<()> {
    match writer.load(into, columns, rows).await? {
        Loaded::All => Ok(()),
        Loaded::Warned(code) => {
            Err(warned(format_args!("cannot write to table `{}`", table.name), code).into())
        }
    }
}
