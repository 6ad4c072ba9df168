//! What two schemas of a stream differ in, as far as its records are concerned.

use std::fmt;

use super::{Kind, StreamSchema};

/// One way in which a later schema of a stream differs from an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A column is new.
    Added {
        /// Its name.
        column: String,
        /// What it holds.
        kind: Kind,
    },
    /// A column is gone.
    Removed {
        /// Its name.
        column: String,
    },
    /// A column holds something else.
    Changed {
        /// Its name.
        column: String,
        /// What it held.
        from: Kind,
        /// What it holds.
        to: Kind,
    },
    /// Records are told apart by other columns.
    Key {
        /// The columns that told them apart.
        from: Vec<String>,
        /// The columns that do.
        to: Vec<String>,
    },
}

/// What `later` differs in from `earlier`. Whether a column may be NULL, and how the source spells its type, makes no difference.
pub fn differences(earlier: &StreamSchema, later: &StreamSchema) -> Vec<Difference> {
    let mut differences = Vec::new();
    for field in later.fields() {
        let column = field.name.clone();
        match earlier.fields().iter().find(|former| former.name == field.name) {
            None => differences.push(Difference::Added { column, kind: field.kind.clone() }),
            Some(former) if former.kind != field.kind => {
                let (from, to) = (former.kind.clone(), field.kind.clone());
                differences.push(Difference::Changed { column, from, to });
            }
            Some(_) => {}
        }
    }
    for former in earlier.fields() {
        if !later.fields().iter().any(|field| field.name == former.name) {
            differences.push(Difference::Removed { column: former.name.clone() });
        }
    }
    if earlier.key_names() != later.key_names() {
        let (from, to) = (earlier.key_names().to_vec(), later.key_names().to_vec());
        differences.push(Difference::Key { from, to });
    }
    differences
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |columns: &[String]| match columns {
            [] => "no key".to_owned(),
            columns => format!("the key `{}`", columns.join("`, `")),
        };
        match self {
            Self::Added { column, kind } => write!(f, "column `{column}` ({}) was added", kind.name()),
            Self::Removed { column } => write!(f, "column `{column}` was removed"),
            Self::Changed { column, from, to } => {
                write!(f, "column `{column}` changed from {} to {}", from.name(), to.name())
            }
            Self::Key { from, to } => write!(f, "{} became {}", key(from), key(to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Field, StreamName};

    #[test]
    fn every_difference_is_said_once() {
        let schema = |fields: &[(&str, Kind)], key: &[&str]| {
            let fields = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone())).collect();
            StreamSchema::new(
                StreamName::new("s"),
                fields,
                key.iter().map(|name| (*name).to_owned()).collect(),
            )
            .unwrap()
        };
        let earlier = schema(&[("id", Kind::Int32), ("a", Kind::Text), ("b", Kind::Bool)], &["id"]);
        let later = schema(&[("b", Kind::Bool), ("id", Kind::Int64), ("c", Kind::Date)], &[]);
        let said: Vec<_> = differences(&earlier, &later).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "column `id` changed from int32 to int64",
                "column `c` (date) was added",
                "column `a` was removed",
                "the key `id` became no key",
            ]
        );
        assert_eq!(differences(&earlier, &earlier), []);
    }
}
