//! What two tables have in common to be compared by.

use tidemark_engine::{Error, Result, schema::Kind};

use super::{Order, Spelling, Table};

/// A column, as far as it matters for what its values look like elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What is read of it.
    pub kind: Kind,
    /// What it is in.
    pub place: Place,
    /// A word for how its server makes texts of values: columns with the same word have the same text for the same value.
    /// `None` where no server does.
    pub server_text: Option<String>,
}

/// What a column is in. Values of other kinds are treated in a way of its own by each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A PostgreSQL database.
    Postgres,
    /// An SQLite database: canonical texts stand for what it has no type for, and zero has no sign.
    Sqlite,
}

/// How two tables are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The columns, in the order in which they are hashed.
    pub columns: Vec<Column>,
    /// Those of the key, in its order.
    pub key: Vec<usize>,
    /// The order of the first of them, where parts can be ranges of it.
    pub order: Option<Order>,
    /// Whether the servers hash, and no rows travel.
    pub by_servers: bool,
}

/// A column that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name at the first side. Names at the other are the same, but for the case of letters where a system ignores it.
    pub name: String,
    /// How its values are spelled.
    pub spelling: Spelling,
}

/// Terms, and what they leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The terms.
    pub terms: Terms,
    /// Columns that are not compared, and why.
    pub left_out: Vec<(String, String)>,
}

/// How `original` and `replica` can be compared; the original knows the key.
///
/// Fails with [`tidemark_engine::ErrorKind::Config`] when they cannot.
pub async fn agree(original: &dyn Table, replica: &mut dyn Table) -> Result<Compared> {
    replica.meet(original.columns());
    let key = original.key();
    if key.is_empty() {
        return Err(Error::config("it has no key that would tell its rows apart"));
    }
    let (mut columns, mut left_out, mut by_servers) = (Vec::new(), Vec::new(), true);
    for column in original.columns() {
        let other = replica.columns().iter().find(|other| is_same_name(other, column));
        let spelling = other.map(|other| spelling(column, other));
        let name = column.name.clone();
        match spelling.unwrap_or_else(|| Err("the destination does not have it".to_owned())) {
            Ok(spelling) => {
                let text = other.and_then(|other| other.server_text.as_ref());
                by_servers &= text.is_some() && text == column.server_text.as_ref();
                columns.push(Column { name, spelling });
            }
            Err(why) => left_out.push((name, why)),
        }
    }
    let index = |name: &String| {
        let index = columns.iter().position(|column| &column.name == name);
        index.filter(|index| is_for_keys(columns[*index].spelling)).ok_or_else(|| {
            Error::config(format!("its key column `{name}` is kept in another form at the destination"))
        })
    };
    let key = key.iter().map(index).collect::<Result<Vec<_>>>()?;
    let mut order = None;
    if let Some(name) = key.first().map(|index| columns[*index].name.as_str()) {
        order = common(original.order(name).await?, replica.order(name).await?);
    }
    Ok(Compared { terms: Terms { columns, key, order, by_servers }, left_out })
}

/// The order that both sides have.
fn common(one: Option<Order>, other: Option<Order>) -> Option<Order> {
    match (one?, other?) {
        // The columns keep the same values: the texts are those of uuids.
        (Order::Uuid, Order::Text) | (Order::Text, Order::Uuid) => Some(Order::Uuid),
        (one, other) => (one == other).then_some(one),
    }
}

/// SQLite does not tell `A` from `a`.
fn is_same_name(other: &Described, column: &Described) -> bool {
    match (other.place, column.place) {
        (Place::Postgres, Place::Postgres) => other.name == column.name,
        _ => other.name.eq_ignore_ascii_case(&column.name),
    }
}

/// Whether rows can be found again by a key that is spelled so.
fn is_for_keys(spelling: Spelling) -> bool {
    matches!(spelling, Spelling::Canonical | Spelling::Unsigned | Spelling::Whole | Spelling::Midnight)
}

/// How values of `column` are spelled that are kept in `other`; or why there is no such spelling.
fn spelling(column: &Described, other: &Described) -> Result<Spelling, String> {
    let (from, to) = (&column.kind, &other.kind);
    between((from, column.place), (to, other.place))
        .ok_or_else(|| format!("its values are {}, and are kept as {}", from.name(), to.name()))
}

/// The same for values of kinds.
fn between((from, place): (&Kind, Place), (to, other): (&Kind, Place)) -> Option<Spelling> {
    let is_sqlite = place == Place::Sqlite || other == Place::Sqlite;
    let into_sqlite = place == Place::Postgres && other == Place::Sqlite;
    match (from, to) {
        (from, to) if is_mixed(from) && is_any_number(to) => Some(Spelling::Whole),
        (from, to) if is_any_number(from) && is_mixed(to) => Some(Spelling::Whole),
        (Kind::Float32, Kind::Float64) if into_sqlite => Some(Spelling::Widened),
        (from, to) if is_sqlite && is_float(from) && is_float(to) => Some(Spelling::Unsigned),
        (from, to) if from == to => Some(Spelling::Canonical),
        (from, to) if is_mixed(from) || is_mixed(to) => Some(Spelling::Canonical),
        (Kind::List { of }, Kind::List { of: to }) => {
            // The elements stand as JSON in the list's text.
            (between((of, place), (to, other)) == Some(Spelling::Canonical)).then_some(Spelling::Canonical)
        }
        // What SQLite has as text for want of a type.
        (Kind::Text, to) if place == Place::Sqlite && is_text_in_sqlite(to) => Some(Spelling::Canonical),
        (Kind::List { .. }, Kind::Json) => Some(Spelling::Json),
        (_, Kind::Json) if other == Place::Sqlite => Some(Spelling::Json),
        (Kind::Json, Kind::List { .. }) if place == Place::Sqlite => Some(Spelling::Json),
        (_, Kind::Text) => Some(Spelling::Canonical),
        (from, Kind::Enum { .. } | Kind::Json | Kind::Other { .. }) if is_texts(from) => {
            Some(Spelling::Canonical)
        }
        (Kind::Date, Kind::Timestamp) => Some(Spelling::Midnight),
        (from, to) => numbers(from, to),
    }
}

/// The same for numbers that are kept as others.
fn numbers(from: &Kind, to: &Kind) -> Option<Spelling> {
    match (from, to) {
        (Kind::Decimal { scale, .. }, Kind::Decimal { scale: other, .. }) if scale == other => {
            Some(Spelling::Canonical)
        }
        (from, to) if is_exact(from) && matches!(to, Kind::Decimal { .. }) => Some(Spelling::Trimmed),
        (from, Kind::Number) if is_exact(from) || is_float(from) => Some(Spelling::Canonical),
        (from, to) if is_integer(from) && is_integer(to) => Some(Spelling::Canonical),
        (from, to) if is_exact(from) && is_integer(to) => Some(Spelling::Trimmed),
        (from, to) if (is_integer(from) || is_float(from)) && is_float(to) => Some(Spelling::Float),
        _ => None,
    }
}

/// The kind of a column of SQLite that holds integers and floats side by side.
pub(crate) fn mixed() -> Kind {
    Kind::Other { name: MIXED.to_owned() }
}

const MIXED: &str = "any number";

fn is_mixed(kind: &Kind) -> bool {
    matches!(kind, Kind::Other { name } if name == MIXED)
}

/// Kinds whose canonical text SQLite keeps in a column of text.
fn is_text_in_sqlite(kind: &Kind) -> bool {
    is_texts(kind) || matches!(kind, Kind::Time | Kind::TimestampTz | Kind::Interval | Kind::Uuid)
}

fn is_texts(kind: &Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Enum { .. } | Kind::Other { .. })
}

fn is_float(kind: &Kind) -> bool {
    matches!(kind, Kind::Float32 | Kind::Float64)
}

/// Numbers that SQLite may keep as integers in some rows and as floats in others.
fn is_any_number(kind: &Kind) -> bool {
    is_integer(kind) || is_float(kind) || is_mixed(kind)
}

fn is_exact(kind: &Kind) -> bool {
    is_integer(kind) || matches!(kind, Kind::Decimal { .. } | Kind::Number)
}

fn is_integer(kind: &Kind) -> bool {
    use Kind::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    matches!(kind, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(from: (Kind, Place), to: (Kind, Place)) -> Option<Spelling> {
        between((&from.0, from.1), (&to.0, to.1))
    }

    #[test]
    fn what_columns_do_to_values_is_done_to_both_sides() {
        use Place::{Postgres, Sqlite};
        let decimal = |scale| Kind::Decimal { precision: 12, scale };
        let list = |of| Kind::List { of: Box::new(of) };
        let cases = [
            ((decimal(2), Postgres), (decimal(2), Postgres), Some(Spelling::Canonical)),
            ((decimal(2), Postgres), (decimal(4), Postgres), Some(Spelling::Trimmed)),
            ((decimal(2), Postgres), (Kind::Number, Postgres), Some(Spelling::Canonical)),
            ((decimal(2), Postgres), (Kind::Number, Sqlite), Some(Spelling::Canonical)),
            ((Kind::Float32, Postgres), (Kind::Float64, Postgres), Some(Spelling::Float)),
            ((Kind::Float32, Postgres), (Kind::Float64, Sqlite), Some(Spelling::Widened)),
            ((Kind::Float64, Postgres), (Kind::Float64, Sqlite), Some(Spelling::Unsigned)),
            ((Kind::Float64, Postgres), (Kind::Float64, Postgres), Some(Spelling::Canonical)),
            ((Kind::Date, Postgres), (Kind::Timestamp, Sqlite), Some(Spelling::Midnight)),
            ((Kind::Uuid, Postgres), (Kind::Text, Sqlite), Some(Spelling::Canonical)),
            ((Kind::Text, Sqlite), (Kind::TimestampTz, Postgres), Some(Spelling::Canonical)),
            ((Kind::Text, Postgres), (Kind::Uuid, Postgres), None),
            ((Kind::Text, Postgres), (Kind::TimestampTz, Postgres), None),
            ((list(Kind::Int16), Postgres), (list(Kind::Int64), Postgres), Some(Spelling::Canonical)),
            ((list(Kind::Float32), Postgres), (list(Kind::Float64), Postgres), None),
            ((list(Kind::Int16), Postgres), (Kind::Json, Sqlite), Some(Spelling::Json)),
            ((mixed(), Sqlite), (decimal(0), Postgres), Some(Spelling::Canonical)),
            ((Kind::Int64, Postgres), (mixed(), Sqlite), Some(Spelling::Whole)),
            ((mixed(), Sqlite), (Kind::Float32, Postgres), Some(Spelling::Whole)),
        ];
        for (from, to, expected) in cases {
            assert_eq!(spelled(from.clone(), to.clone()), expected, "{from:?} {to:?}");
        }
    }
}
