//! What a stream asks of its table: columns and a key, as its schema tells them or a shadow of the table has them.

use tidemark_engine::{
    Error,
    schema::{Kind, StreamSchema},
    write::WriteMode,
};

use super::{
    START_ANEW,
    declared::{Declared, declared, find, indexes},
    writer::Writer,
};
use crate::{
    mariadb::{
        failure::Result,
        identifier::{fold, quote},
        storage::Storage,
    },
    metadata,
};

/// InnoDB's limit: <https://mariadb.com/kb/en/innodb-limitations/>.
const MAX_COLUMNS: usize = 1017;
/// How many bytes a key may take, some left for what else stands in its index.
const KEY_BYTES: u16 = 3000;
/// How long a text or bytes in a key may be at most.
const LONGEST: u16 = 255;

const POSITION_TYPE: &str = "VARCHAR(120) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL";
const APPEND_COLUMNS: [(&str, &str); 4] = [
    (metadata::POSITION, POSITION_TYPE),
    (metadata::OP, "CHAR(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"),
    (metadata::SOURCE_TIME, "DATETIME(6)"),
    (metadata::UNCHANGED, "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"),
];
const HISTORY_COLUMNS: [(&str, &str); 3] = [
    (metadata::POSITION, POSITION_TYPE),
    (metadata::VALID_FROM, "DATETIME(6) NOT NULL"),
    (metadata::VALID_TO, "DATETIME(6)"),
];
/// The index that finds the versions of a key, the valid one first.
const VERSIONS: &str = "_tidemark_versions";

/// The metadata columns of `mode` and their declarations. That of `soft-delete` is a field of the changes themselves.
pub(super) fn metadata_of(mode: WriteMode) -> &'static [(&'static str, &'static str)] {
    match mode {
        WriteMode::Append => &APPEND_COLUMNS,
        WriteMode::History => &HISTORY_COLUMNS,
        WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::Replace => &[],
    }
}

/// What a table must have.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) mode: WriteMode,
    /// Its columns beside the metadata of the mode, in order.
    pub(super) columns: Vec<Wanted>,
    /// The columns that tell records apart.
    pub(super) key: Vec<String>,
}

/// A column that a table must have.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) storage: Storage,
    /// What is in it, for people.
    pub(super) kind: String,
}

impl Shape {
    /// For changes of `schema`.
    pub(super) fn of_schema(mode: WriteMode, schema: &StreamSchema) -> Self {
        let key = if mode == WriteMode::Append { &[][..] } else { schema.key() };
        let fields = schema.fields();
        let length = length_in_key(key.iter().map(|&index| &fields[index].kind));
        let columns = fields.iter().enumerate().map(|(index, field)| {
            let storage = Storage::of(&field.kind);
            let storage = if key.contains(&index) { storage.in_key(length) } else { storage };
            Wanted { name: field.name.clone(), storage, kind: field.kind.name() }
        });
        Self {
            mode,
            columns: columns.collect(),
            key: key.iter().map(|&index| fields[index].name.clone()).collect(),
        }
    }

    /// For what `table` holds, one that we made.
    pub(super) async fn of_table(writer: &mut Writer, mode: WriteMode, table: &str) -> Result<Self> {
        let is_metadata = |name: &str| metadata_of(mode).iter().any(|(metadata, _)| *metadata == name);
        let columns = declared(writer, table).await?;
        let columns = columns.into_iter().filter(|column| !is_metadata(&column.name)).map(|column| Wanted {
            storage: column.storage().unwrap_or(Storage::Text),
            kind: column.told.clone(),
            name: column.name,
        });
        Ok(Self { mode, columns: columns.collect(), key: key_of(writer, mode, table).await? })
    }

    /// Refuses what InnoDB cannot hold.
    pub(super) fn check_size(&self, table: &str) -> Result<()> {
        let most = MAX_COLUMNS - APPEND_COLUMNS.len();
        if self.columns.len() <= most {
            return Ok(());
        }
        let count = self.columns.len();
        Err(Error::data(format!("table `{table}` would have {count} columns, more than InnoDB can hold"))
            .hint(format!("exclude some: a table holds {most} of them"))
            .into())
    }

    /// The columns that identify a row.
    pub(super) fn primary_key(&self) -> Vec<String> {
        match self.mode {
            WriteMode::Append | WriteMode::History => vec![metadata::POSITION.to_owned()],
            WriteMode::Mirror | WriteMode::SoftDelete | WriteMode::Replace => self.key.clone(),
        }
    }

    /// Makes `table`, where it is not there.
    pub(super) async fn create(&self, writer: &mut Writer, table: &str) -> Result<()> {
        let mut parts = Vec::new();
        for (name, declared) in metadata_of(self.mode) {
            parts.push(format!("{} {declared}", quote(name)?));
        }
        for Wanted { name, storage, .. } in &self.columns {
            parts.push(format!("{} {}", quote(name)?, self.definition(name, *storage)));
        }
        let key = self.primary_key();
        if !key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", list(&key)?));
        }
        if self.mode == WriteMode::History {
            parts.push(format!("KEY {VERSIONS} ({}, {})", list(&self.key)?, metadata::VALID_TO));
        }
        let (table, parts) = (quote(table)?, parts.join(", "));
        let options = "ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
        writer.run(&format!("CREATE TABLE IF NOT EXISTS {table} ({parts}) {options}")).await?;
        Ok(())
    }

    fn definition(&self, name: &str, storage: Storage) -> String {
        let is_key = self.key.iter().any(|key| fold(key) == fold(name));
        format!("{}{}", storage.declared(), if is_key { " NOT NULL" } else { "" })
    }

    /// What has to be done to `table`, which we made, until it can hold what is wanted: columns to be added and widened; `None` when it
    /// can. One statement does all of it, or nothing.
    pub(super) async fn alteration(&self, writer: &mut Writer, table: &str) -> Result<Option<String>> {
        let columns = declared(writer, table).await?;
        if columns.is_empty() {
            return Err(Error::conflict(format!("table `{table}` has been removed")).hint(START_ANEW).into());
        }
        if self.mode != WriteMode::Append {
            self.check_key(table, &key_of(writer, self.mode, table).await?)?;
        }
        let mut steps = Vec::new();
        let mut count = columns.len();
        for Wanted { name, storage, .. } in &self.columns {
            let Some(column) = find(&columns, name) else {
                count += 1;
                steps.push(format!("ADD COLUMN {} {}", quote(name)?, self.definition(name, *storage)));
                continue;
            };
            let wide = widened(table, column, *storage)?;
            if Some(wide) != column.storage() {
                steps.push(format!("MODIFY COLUMN {} {}", quote(&column.name)?, self.definition(name, wide)));
            }
        }
        if count > MAX_COLUMNS {
            return Err(
                Error::data(format!("table `{table}` would have more than {MAX_COLUMNS} columns")).into()
            );
        }
        let table = quote(table)?;
        Ok((!steps.is_empty()).then(|| format!("ALTER TABLE {table} {}", steps.join(", "))))
    }

    fn check_key(&self, table: &str, had: &[String]) -> Result<()> {
        if had.iter().map(|name| fold(name)).eq(self.key.iter().map(|name| fold(name))) {
            return Ok(());
        }
        let told = |key: &[String]| match key {
            [] => "no key".to_owned(),
            key => format!("the key `{}`", key.join("`, `")),
        };
        let (had, asked) = (told(had), told(&self.key));
        Err(Error::conflict(format!("table `{table}` has {had}, but its stream now asks for {asked}"))
            .hint(START_ANEW)
            .into())
    }
}

/// How long texts and bytes may be of which a key with such parts is made.
fn length_in_key<'k>(kinds: impl Iterator<Item = &'k Kind>) -> u16 {
    let (mut fixed, mut variable) = (0u16, 0u16);
    for kind in kinds {
        match Storage::of(kind).key_bytes() {
            Some(bytes) => fixed = fixed.saturating_add(bytes),
            None => variable += 1,
        }
    }
    // A character takes up to four bytes.
    (KEY_BYTES.saturating_sub(fixed) / 4 / variable.max(1)).clamp(1, LONGEST)
}

/// The columns that tell records of `table` apart.
async fn key_of(writer: &mut Writer, mode: WriteMode, table: &str) -> Result<Vec<String>> {
    let name = if mode == WriteMode::History { VERSIONS } else { "PRIMARY" };
    let index = indexes(writer, table).await?.into_iter().find(|index| index.name == name);
    let mut key = index.map(|index| index.columns).unwrap_or_default();
    if mode == WriteMode::History {
        key.pop();
    }
    Ok(key)
}

/// What `column` has to become to hold `wanted` too.
fn widened(table: &str, column: &Declared, wanted: Storage) -> Result<Storage> {
    if let Some(wide) = column.storage().and_then(|stored| stored.widen(wanted)) {
        return Ok(wide);
    }
    let (name, told, wanted) = (&column.name, &column.told, wanted.declared());
    let wanted = wanted.split(" CHARACTER").next().unwrap_or_default();
    Err(Error::conflict(format!(
        "column `{name}` of table `{table}` is `{told}`, and what comes now is `{wanted}`: MariaDB would write what it holds in another form"
    ))
    .hint(format!("alter the column to `longtext` as you want it to read, or: {START_ANEW}"))
    .into())
}

/// Names as SQL, apart by commas.
pub(super) fn list(names: &[String]) -> Result<String> {
    Ok(names.iter().map(|name| quote(name)).collect::<Result<Vec<_>, _>>()?.join(", "))
}
