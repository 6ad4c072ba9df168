//! Compares CSV files with the tables that became of them: every row, every column, value and type.
//!
//! A row is compared as text in which types show: `517 | 39.02 | 12.0 | "UA" | 2013-01-01T10:00:00Z | NULL`. The
//! expected types come from all values of a column, read here anew, so that the product's own inference is tested too.

use std::{
    fmt::Write,
    fs::{self, File},
    path::{Path, PathBuf},
};

use chrono::{DateTime, SecondsFormat};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use rusqlite::{Connection, OpenFlags, types::ValueRef};

/// The rows of CSV files that have the same header.
pub(crate) struct Csv {
    columns: Vec<String>,
    kinds: Vec<Kind>,
    records: Vec<csv::StringRecord>,
}

/// What a column holds, from its narrowest reading to the one that takes everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Int,
    Float,
    Moment,
    Text,
}

impl Csv {
    /// The files of `folder` whose names begin so.
    pub(crate) fn read(folder: &Path, name: &str) -> Self {
        let mut csv = Self { columns: Vec::new(), kinds: Vec::new(), records: Vec::new() };
        for file in files_below(folder, "csv") {
            if file.file_name().unwrap().to_str().unwrap().starts_with(name) {
                csv.add(&file);
            }
        }
        assert!(!csv.records.is_empty(), "no rows in {name}* below {}", folder.display());
        csv
    }

    fn add(&mut self, file: &Path) {
        let mut reader = csv::Reader::from_path(file).unwrap();
        let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        if self.columns.is_empty() {
            self.kinds = vec![Kind::Int; columns.len()];
            self.columns = columns;
        } else {
            assert_eq!(self.columns, columns, "{} has another header", file.display());
        }
        for record in reader.records() {
            let record = record.unwrap();
            for (kind, value) in self.kinds.iter_mut().zip(&record) {
                *kind = kind.widened_for(value);
            }
            self.records.push(record);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The table holds these rows and no other, each as often.
    pub(crate) fn equals_sqlite(&self, database: &Path, table: &str) {
        let connection = open(database);
        let statement = connection.prepare(&format!(r#"SELECT * FROM "{table}""#)).unwrap();
        let columns = statement.column_names().filter(|name| !is_metadata(name));
        assert_eq!(columns.collect::<Vec<_>>(), self.columns, "columns of {table} in {}", database.display());

        let columns = self.columns.iter().map(|name| format!(r#""{name}""#)).collect::<Vec<_>>().join(", ");
        let mut statement = connection.prepare(&format!(r#"SELECT {columns} FROM "{table}""#)).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let cells =
                self.kinds.iter().enumerate().map(|(index, kind)| (kind, row.get_ref(index).unwrap()));
            found.push(line(cells, |text, (kind, cell)| match cell {
                ValueRef::Null => write!(text, "NULL"),
                ValueRef::Integer(value) => write!(text, "{}", kind.whole(value)),
                ValueRef::Real(value) => write!(text, "{value:?}"),
                // SQLite has no type for moments: they are text, and must be the same text.
                ValueRef::Text(value) if *kind == Kind::Moment => write!(text, "{}", utf8(value)),
                ValueRef::Text(value) => write!(text, "{:?}", utf8(value)),
                ValueRef::Blob(value) => write!(text, "{value:x?}"),
            }));
        }
        self.equals(found, &format!("{table} in {}", database.display()));
    }

    /// The Parquet files below `folder` hold these rows and no other, each as often.
    pub(crate) fn equals_parquet(&self, folder: &Path) {
        let mut found = Vec::new();
        for file in files_below(folder, "parquet") {
            for row in
                SerializedFileReader::new(File::open(file).unwrap()).unwrap().get_row_iter(None).unwrap()
            {
                let row = row.unwrap();
                let columns = || row.get_column_iter().filter(|(name, _)| !is_metadata(name));
                assert!(
                    columns().map(|(name, _)| name).eq(&self.columns),
                    "columns below {}",
                    folder.display()
                );
                found.push(line(self.kinds.iter().zip(columns()), |text, (kind, (_, cell))| match cell {
                    Field::Null => write!(text, "NULL"),
                    Field::Long(value) => write!(text, "{}", kind.whole(*value)),
                    Field::Double(value) => write!(text, "{value:?}"),
                    Field::Str(value) => write!(text, "{value:?}"),
                    Field::TimestampMicros(value) => {
                        let moment = DateTime::from_timestamp_micros(*value).unwrap();
                        write!(text, "{}", moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
                    }
                    other => write!(text, "{other:?}"),
                }));
            }
        }
        self.equals(found, &folder.display().to_string());
    }

    fn equals(&self, mut found: Vec<String>, place: &str) {
        let mut expected: Vec<String> = self.records.iter().map(|record| self.line(record)).collect();
        expected.sort_unstable();
        found.sort_unstable();
        if found != expected {
            let missing = surplus(&expected, &found);
            let unexpected = surplus(&found, &expected);
            panic!(
                "{place}: {} rows found, {} expected\nmissing {}, such as\n  {}\nunexpected {}, such as\n  {}",
                found.len(),
                expected.len(),
                missing.len(),
                missing.first().map_or("-", String::as_str),
                unexpected.len(),
                unexpected.first().map_or("-", String::as_str),
            );
        }
    }

    fn line(&self, record: &csv::StringRecord) -> String {
        line(self.kinds.iter().zip(record), |text, (kind, value)| match kind {
            _ if is_null(value) => write!(text, "NULL"),
            Kind::Int => write!(text, "{}", value.parse::<i64>().unwrap()),
            Kind::Float => write!(text, "{:?}", value.parse::<f64>().unwrap()),
            Kind::Moment => write!(text, "{value}"),
            Kind::Text => write!(text, "{value:?}"),
        })
    }
}

impl Kind {
    /// The narrowest kind that holds this value and all before it.
    fn widened_for(self, value: &str) -> Self {
        match self {
            _ if is_null(value) => self,
            Self::Int if value.parse::<i64>().is_ok() => Self::Int,
            Self::Int | Self::Float if value.parse::<f64>().is_ok() => Self::Float,
            // A column that has held numbers and now holds a moment is text; the data here has none.
            Self::Int | Self::Moment if DateTime::parse_from_rfc3339(value).is_ok() => Self::Moment,
            _ => Self::Text,
        }
    }

    /// A whole number that was found in such a column. Where whole numbers came first and the column widened to floats
    /// later, they stay as they came.
    fn whole(self, value: i64) -> String {
        if self == Self::Float { format!("{value}.0") } else { value.to_string() }
    }
}

/// How many rows the table has; none when it is not there yet.
pub(crate) fn count_in_sqlite(database: &Path, table: &str) -> usize {
    if !database.exists() {
        return 0;
    }
    let count = format!(r#"SELECT count(*) FROM "{table}""#);
    open(database)
        .query_row(&count, [], |row| row.get::<_, i64>(0))
        .map_or(0, |count| count.try_into().unwrap())
}

/// All files with this extension below `folder`, sorted.
pub(crate) fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort_unstable();
    files
}

fn open(database: &Path) -> Connection {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}

fn line<C>(
    cells: impl Iterator<Item = C>,
    mut show: impl FnMut(&mut String, C) -> std::fmt::Result,
) -> String {
    let mut text = String::new();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push_str(" | ");
        }
        show(&mut text, cell).unwrap();
    }
    text
}

/// What `these` have more of than `those`; both sorted.
fn surplus(these: &[String], those: &[String]) -> Vec<String> {
    let mut those = those.iter().peekable();
    let mut surplus = Vec::new();
    for this in these {
        while those.next_if(|that| *that < this).is_some() {}
        if those.next_if(|that| *that == this).is_none() {
            surplus.push(this.clone());
        }
    }
    surplus
}

/// The columns that Tidemark adds are not the source's.
fn is_metadata(column: &str) -> bool {
    column.starts_with("_tidemark_")
}

fn is_null(value: &str) -> bool {
    value.is_empty() || value == "NA"
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "id,ratio,at,word\n1,2.5,2013-01-01T10:00:00Z,UA\n2,3,NA,\n2,3,NA,\n";

    fn compared_with(values: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("words.csv"), CSV).unwrap();
        let database = folder.path().join("words.db");
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch("CREATE TABLE words (id, ratio, at, word, _tidemark_op)").unwrap();
        connection.execute_batch(&format!("INSERT INTO words VALUES {values}")).unwrap();
        Csv::read(folder.path(), "words").equals_sqlite(&database, "words");
    }

    #[test]
    fn equal_rows_in_any_order_are_equal() {
        compared_with(
            "(2, 3.0, NULL, NULL, 'c'), (1, 2.5, '2013-01-01T10:00:00Z', 'UA', 'r'), (2, 3.0, NULL, NULL, 'r')",
        );
    }

    #[test]
    #[should_panic(expected = "missing 1, such as\n  1 | 2.5 | 2013-01-01T10:00:00Z | \"UA\"")]
    fn a_value_of_another_type_is_noticed() {
        compared_with(
            "('1', 2.5, '2013-01-01T10:00:00Z', 'UA', 'r'), (2, 3.0, NULL, NULL, 'r'), (2, 3.0, NULL, NULL, 'r')",
        );
    }

    #[test]
    #[should_panic(expected = "2 rows found, 3 expected")]
    fn a_row_that_should_be_there_twice_is_noticed() {
        compared_with("(1, 2.5, '2013-01-01T10:00:00Z', 'UA', 'r'), (2, 3.0, NULL, NULL, 'r')");
    }
}
