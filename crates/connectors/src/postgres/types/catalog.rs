//! The types that a database knows. Source: the page "pg_type" of PostgreSQL's documentation.

use std::collections::HashMap;

use tidemark_engine::{Error, Result, schema::Kind};
use tokio_postgres::{Client, Row};

use super::{column_type::ColumnType, format::Format};
use crate::postgres::connection::failure;

/// Resolves types, and remembers what it has looked up. What it remembers goes stale when a type is altered (an enum gains a
/// label): make a new one for each new look at a table.
#[derive(Debug, Default)]
pub(in crate::postgres) struct Catalog {
    entries: HashMap<u32, Entry>,
}

/// What `pg_type` and its neighbours say of one type.
#[derive(Debug, Clone)]
struct Entry {
    /// Its name without modifiers, with its schema unless that is `pg_catalog` or an extension brought the type.
    name: String,
    class: Class,
    /// The function that makes its values text, schema and name quoted.
    output: String,
    delimiter: char,
}

#[derive(Debug, Clone)]
enum Class {
    Base,
    Array {
        of: u32,
    },
    Domain {
        over: u32,
        modifier: i32,
    },
    Enum {
        labels: Vec<String>,
    },
    /// An argument or result of functions, never the type of a value that is stored.
    Pseudo,
}

/// The types with the given oids. An extension's type is the same type in whichever schema it was installed, so its name goes
/// without.
const ENTRIES: &str = "
SELECT t.oid,
       CASE WHEN n.nspname = 'pg_catalog' THEN pg_catalog.format_type(t.oid, NULL)
            WHEN e.objid IS NOT NULL THEN t.typname::text
            ELSE pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) END,
       t.typtype::text,
       CASE WHEN o.oid = 'pg_catalog.array_out'::pg_catalog.regproc THEN t.typelem ELSE 0 END,
       t.typbasetype,
       t.typtypmod,
       ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder),
       pg_catalog.quote_ident(f.nspname) || '.' || pg_catalog.quote_ident(o.proname),
       t.typdelim::text
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_catalog.pg_proc o ON o.oid = t.typoutput
  JOIN pg_catalog.pg_namespace f ON f.oid = o.pronamespace
  LEFT JOIN pg_catalog.pg_depend e
         ON e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND e.objid = t.oid AND e.deptype = 'e'
 WHERE t.oid = ANY ($1::pg_catalog.oid[])";

const DECLARED: &str = "
SELECT pg_catalog.format_type(w.oid, w.modifier)
  FROM unnest($1::pg_catalog.oid[], $2::pg_catalog.int4[]) WITH ORDINALITY AS w (oid, modifier, place)
 ORDER BY w.place";

impl Catalog {
    /// The types that `wanted` names by oid and modifier (`atttypid`, `atttypmod`), in the same order.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] when the database does not know one of them, or no column can
    /// be of it.
    pub(in crate::postgres) async fn resolve(
        &mut self,
        client: &Client,
        wanted: &[(u32, i32)],
    ) -> Result<Vec<ColumnType>> {
        let (oids, modifiers): (Vec<u32>, Vec<i32>) = wanted.iter().copied().unzip();
        self.look_up(client, &oids).await?;
        let declared = client.query(DECLARED, &[&oids, &modifiers]).await.map_err(unreadable)?;
        wanted
            .iter()
            .zip(&declared)
            .map(|(&(oid, modifier), row)| {
                let declared: Option<String> = row.try_get(0).map_err(unreadable)?;
                self.column_type(oid, modifier, declared.unwrap_or_default())
            })
            .collect()
    }

    /// Looks up `oids`, what they are made of, what that is made of, and so on.
    async fn look_up(&mut self, client: &Client, oids: &[u32]) -> Result<()> {
        let mut missing = self.missing(oids.iter().copied());
        while !missing.is_empty() {
            let rows = client.query(ENTRIES, &[&missing]).await.map_err(unreadable)?;
            let mut inner = Vec::new();
            for row in &rows {
                let (oid, entry) = Entry::read(row).map_err(unreadable)?;
                match entry.class {
                    Class::Array { of: oid } | Class::Domain { over: oid, .. } => inner.push(oid),
                    Class::Base | Class::Enum { .. } | Class::Pseudo => {}
                }
                self.entries.insert(oid, entry);
            }
            if let Some(unknown) = missing.iter().find(|oid| !self.entries.contains_key(oid)) {
                return Err(Error::data(format!("the database has no type with oid {unknown}"))
                    .hint("see whether it was dropped while its table was being read, and try again"));
            }
            missing = self.missing(inner.into_iter());
        }
        Ok(())
    }

    fn missing(&self, oids: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut missing: Vec<u32> = oids.filter(|oid| !self.entries.contains_key(oid)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The type `oid` with `modifier`, of what has been looked up.
    fn column_type(&self, oid: u32, modifier: i32, declared: String) -> Result<ColumnType> {
        let entry = self
            .entries
            .get(&oid)
            .ok_or_else(|| Error::internal(format!("the type with oid {oid} was not looked up")))?;
        let (kind, format) = match &entry.class {
            Class::Domain { over, modifier } => {
                // Of a domain, the base type's output function makes the same text.
                return self.column_type(*over, *modifier, declared);
            }
            Class::Array { of } => {
                let of_type = self.column_type(*of, modifier, String::new())?;
                let delimiter = self.entries.get(of).map_or(',', |of| of.delimiter);
                let format = Format::Array { of: Box::new(of_type.format), delimiter };
                (Kind::List { of: Box::new(of_type.kind) }, format)
            }
            Class::Enum { labels } => (Kind::Enum { labels: labels.clone() }, Format::Text),
            Class::Base => entry.base(oid, modifier),
            Class::Pseudo => {
                return Err(Error::data(format!("no column can hold values of the type `{}`", entry.name))
                    .hint("exclude the column"));
            }
        };
        Ok(ColumnType { kind, declared, format, oid, modifier, output: entry.output.clone() })
    }
}

impl Entry {
    fn read(row: &Row) -> Result<(u32, Self), tokio_postgres::Error> {
        let element: u32 = row.try_get(3)?;
        let delimiter: String = row.try_get(8)?;
        let class = match row.try_get::<_, String>(2)?.as_str() {
            "b" if element != 0 => Class::Array { of: element },
            "d" => Class::Domain { over: row.try_get(4)?, modifier: row.try_get(5)? },
            "e" => Class::Enum { labels: row.try_get(6)? },
            "p" => Class::Pseudo,
            // Composites, ranges and multiranges too: known by their text alone.
            _ => Class::Base,
        };
        let delimiter = delimiter.chars().next().unwrap_or(',');
        Ok((row.try_get(0)?, Self { name: row.try_get(1)?, class, output: row.try_get(7)?, delimiter }))
    }

    fn base(&self, oid: u32, modifier: i32) -> (Kind, Format) {
        if self.name == "citext" {
            return (Kind::Text, Format::Text);
        }
        let Some(format) = Format::of_builtin(oid) else {
            return (Kind::Other { name: self.name.clone() }, Format::Opaque);
        };
        let kind = match format {
            Format::Bool => Kind::Bool,
            Format::Int2 => Kind::Int16,
            Format::Int4 => Kind::Int32,
            Format::Int8 => Kind::Int64,
            Format::Oid => Kind::UInt32,
            Format::Float4 => Kind::Float32,
            Format::Float8 => Kind::Float64,
            Format::Numeric => number(modifier),
            Format::Json | Format::Jsonb => Kind::Json,
            Format::Bytea => Kind::Bytes,
            Format::Date => Kind::Date,
            Format::Time => Kind::Time,
            Format::Timestamp => Kind::Timestamp,
            Format::TimestampTz => Kind::TimestampTz,
            Format::Interval => Kind::Interval,
            Format::Uuid => Kind::Uuid,
            Format::Text | Format::Array { .. } | Format::Opaque => Kind::Text,
        };
        (kind, format)
    }
}

/// The kind of a `numeric` with `modifier`.
fn number(modifier: i32) -> Kind {
    match precision_and_scale(modifier) {
        Some((precision @ 1..=38, scale)) if (0..=precision).contains(&scale) => {
            Kind::Decimal { precision: precision as u8, scale: scale as i8 }
        }
        _ => Kind::Number,
    }
}

/// What the modifier of a `numeric` says; `None` when there is none. The scale is 11 bits with a sign, see
/// `numeric_typmod_scale` in the server's `numeric.c`.
pub(super) fn precision_and_scale(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    Some((packed >> 16 & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
}

fn unreadable(error: tokio_postgres::Error) -> Error {
    failure("cannot read the database's types", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_of_numerics() {
        let packed = |precision: i32, scale: i32| (precision << 16 | scale & 0x7ff) + 4;
        assert_eq!(number(packed(12, 2)), Kind::Decimal { precision: 12, scale: 2 });
        assert_eq!(number(packed(38, 38)), Kind::Decimal { precision: 38, scale: 38 });
        for modifier in [-1, packed(39, 2), packed(5, -2), packed(3, 5), packed(1000, 1000)] {
            assert_eq!(number(modifier), Kind::Number, "{modifier}");
        }
    }
}
