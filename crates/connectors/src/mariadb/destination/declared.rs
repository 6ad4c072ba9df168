//! Tables as the server tells of them.

use crate::mariadb::{failure::Result, identifier::fold, storage::Storage};

use super::writer::Writer;

/// A column that can be written to.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) name: String,
    /// Its type as the server tells it, without character set.
    pub(super) told: String,
    character_set: Option<String>,
    pub(super) collation: Option<String>,
}

impl Declared {
    /// The whole type, to make another column like it.
    pub(super) fn column_type(&self) -> String {
        match (&self.character_set, &self.collation) {
            (Some(set), Some(collation)) => format!("{} CHARACTER SET {set} COLLATE {collation}", self.told),
            _ => self.told.clone(),
        }
    }

    /// How it stores values; `None` when it is of a type that we make no columns of.
    pub(super) fn storage(&self) -> Option<Storage> {
        // What has another character set than all of Unicode loses characters.
        let is_narrow = self.character_set.as_deref().is_some_and(|set| set != "utf8mb4");
        match Storage::from_declared(&self.told)? {
            Storage::Text | Storage::ShortText(_) if is_narrow => None,
            storage => Some(storage),
        }
    }
}

/// The columns of `table`, in order, without generated ones; none when there is no such table.
pub(super) async fn declared(writer: &mut Writer, table: &str) -> Result<Vec<Declared>> {
    let sql = "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND IS_GENERATED = 'NEVER' ORDER BY ORDINAL_POSITION";
    let columns: Vec<(String, String, Option<String>, Option<String>)> = writer.rows(sql, (table,)).await?;
    let columns = columns.into_iter().map(|(name, told, character_set, collation)| Declared {
        name,
        told,
        character_set,
        collation,
    });
    Ok(columns.collect())
}

/// The column `name` among `columns`.
pub(super) fn find<'c>(columns: &'c [Declared], name: &str) -> Option<&'c Declared> {
    columns.iter().find(|column| fold(&column.name) == fold(name))
}

/// An index of a table.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) unique: bool,
    pub(super) columns: Vec<String>,
    /// Whether it holds whole values: not their beginnings alone.
    pub(super) whole: bool,
}

/// The indexes of `table`; the primary key is called `PRIMARY`.
pub(super) async fn indexes(writer: &mut Writer, table: &str) -> Result<Vec<Index>> {
    let sql = "SELECT INDEX_NAME, NON_UNIQUE = 0, COALESCE(COLUMN_NAME, ''), SUB_PART IS NULL FROM information_schema.STATISTICS
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX";
    let parts: Vec<(String, bool, String, bool)> = writer.rows(sql, (table,)).await?;
    let mut indexes = Vec::<Index>::new();
    for (name, unique, column, whole) in parts {
        match indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => {
                index.columns.push(column);
                index.whole &= whole;
            }
            None => indexes.push(Index { name, unique, columns: vec![column], whole }),
        }
    }
    Ok(indexes)
}
