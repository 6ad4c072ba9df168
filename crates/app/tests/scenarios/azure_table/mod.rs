//! Azure tables from the outside: Azurite, and the rows that become of its entities.

mod account;
mod changes;
mod entities;

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags, types::Value};
use tidemark_test_servers::{Database, Operation, Tables};

/// Rows by their keys, as texts.
type Copies = BTreeMap<(String, String), Vec<Option<String>>>;

/// The properties of an entity, beside its keys.
const PROPERTIES: [&str; 9] = ["Whole", "Long", "Float", "Flag", "Word", "Id", "Photo", "PaidAt", "Precise"];

/// A pipeline that reads from `port` of this machine, with `streams` as they stand in a file.
fn pipeline(port: u16, streams: &str, destinations: &str) -> String {
    format!(
        "
name: tables
source:
  type: azure-table
  connection_string: {}
  allow_hosts: [127.0.0.1]
  streams: {{{streams}}}
staging: ./staging
destinations:
{destinations}
",
        Tables::connection_string(port)
    )
}

/// An entity with a property of every type, and the row that is to become of it.
struct Entity {
    operation: Operation,
    row: Vec<Option<String>>,
}

impl Entity {
    /// The entity `number`, changed `version` times.
    fn new(number: i64, version: i64) -> Self {
        let long = match number {
            0 => i64::MIN,
            1 => i64::MAX,
            _ => number * 737_280_000_123 + version,
        };
        let float = (number - 300) as f64 / 4.0;
        let flag = (number + version) % 3 == 0;
        let word = match number % 11 {
            0 => None,
            1 => Some("2013-01-01".to_owned()),
            2 => Some("true".to_owned()),
            3 => Some(String::new()),
            4 => Some("\u{c5}sa \u{1f600} 'x' & y+z".to_owned()),
            _ => Some(format!("{version}")),
        };
        let id = format!("{number:08x}-213d-42c9-9a79-{version:012x}");
        let photo = number.to_be_bytes();
        let photo = &photo[(number % 8) as usize..];
        let second = format!("2024-05-01T10:{:02}:{:02}", number / 60 % 60, number % 60);
        let (paid_at, precise) = (format!("{second}.{}1Z", 10 + number % 90), format!("{second}.1234567Z"));
        let mut json = format!(
            "{{\"Whole\":{},\"Long@odata.type\":\"Edm.Int64\",\"Long\":\"{long}\",\"Float@odata.type\":\"Edm.Double\",\"Float\":{float:?},\"Flag\":{flag},\
             \"Id@odata.type\":\"Edm.Guid\",\"Id\":\"{id}\",\"Photo@odata.type\":\"Edm.Binary\",\"Photo\":\"{}\",\
             \"PaidAt@odata.type\":\"Edm.DateTime\",\"PaidAt\":\"{paid_at}\",\
             \"Precise@odata.type\":\"Edm.DateTime\",\"Precise\":\"{precise}\"",
            number - 12_500,
            base64(photo),
        );
        if let Some(word) = &word {
            json.push_str(&format!(",\"Word\":\"{word}\""));
        }
        json.push('}');
        let row = vec![
            Some((number - 12_500).to_string()),
            Some(long.to_string()),
            Some(format!("{float:?}")),
            Some(i32::from(flag).to_string()),
            word,
            Some(id),
            Some(hex(photo)),
            Some(paid_at),
            Some(precise),
        ];
        Self { operation: Operation { method: "PUT", key: key(number), json }, row }
    }

    fn is(self) -> ((String, String), Vec<Option<String>>) {
        (self.operation.key, self.row)
    }
}

/// The key of the entity `number`: some of neighbours in several partitions.
fn key(number: i64) -> (String, String) {
    (format!("p{}", number / 4_000), format!("{:06}", number * 7_919 % 100_000))
}

/// Inserts the entities `numbers` into `table`, and says what is to become of them.
fn insert(tables: &Tables, table: &str, numbers: std::ops::Range<i64>) -> Copies {
    let entities: Vec<_> = numbers.map(|number| Entity::new(number, 0)).collect();
    let operations: Vec<_> = entities.iter().map(|entity| entity.operation.clone()).collect();
    tables.change(table, &operations);
    entities.into_iter().map(Entity::is).collect()
}

/// The rows of a table in an SQLite database; none while it is not there.
fn in_sqlite(database: &Path, table: &str) -> Copies {
    let Ok(connection) = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return Copies::new();
    };
    let columns = PROPERTIES.map(|name| format!("\"{name}\"")).join(", ");
    let query = format!("SELECT \"PartitionKey\", \"RowKey\", {columns} FROM \"{table}\"");
    let Ok(mut statement) = connection.prepare(&query) else { return Copies::new() };
    let text = |value| match value {
        Value::Null => None,
        Value::Integer(whole) => Some(whole.to_string()),
        Value::Real(float) => Some(format!("{float:?}")),
        Value::Text(text) => Some(text),
        Value::Blob(bytes) => Some(hex(&bytes)),
    };
    let row = |row: &rusqlite::Row<'_>| {
        let values = (2..2 + PROPERTIES.len()).map(|at| text(row.get_unwrap(at))).collect();
        Ok(((row.get_unwrap(0), row.get_unwrap(1)), values))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// The rows of a table in a PostgreSQL database.
fn in_postgres(database: &Database<'_>, table: &str) -> Copies {
    let columns = PROPERTIES.map(|name| match name {
        "Flag" => format!("\"{name}\"::int::text"),
        "Photo" => format!("encode(\"{name}\", 'hex')"),
        "PaidAt" => format!("to_char(\"{name}\" AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"),
        _ => format!("\"{name}\"::text"),
    });
    let query = format!("SELECT \"PartitionKey\", \"RowKey\", {} FROM \"{table}\"", columns.join(", "));
    let rows = database.query(&query).into_iter().map(|mut row| {
        let mut values = row.split_off(2);
        // It writes 5.0 as 5.
        values[2] = values[2].as_ref().map(|float| format!("{:?}", float.parse::<f64>().unwrap()));
        let key = row.into_iter().map(Option::unwrap).collect::<Vec<_>>();
        ((key[0].clone(), key[1].clone()), values)
    });
    rows.collect()
}

fn assert_equal(found: &Copies, expected: &Copies) {
    let differing = expected.iter().find(|(key, row)| found.get(*key) != Some(*row));
    assert_eq!(differing.map(|(key, row)| (key, found.get(key), row)), None);
    assert_eq!(found.len(), expected.len());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = char::from(LETTERS[bits >> (18 - 6 * at) & 63]);
            text.push(if at <= chunk.len() { letter } else { '=' });
        }
    }
    text
}
