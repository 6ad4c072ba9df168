//! Which rows of a table are meant, as SQL.

use crate::{
    comparing::{Key, Order, Part, Terms},
    postgres::{
        identifier::{literal, quoted},
        source::table::Shape,
    },
};

use super::key_literal::key_literal;

/// The conditions that rows in the range of `part` meet, and those that the pipeline file asks for.
pub(super) fn of_range(shape: &Shape, terms: &Terms, part: &Part) -> Vec<String> {
    let mut conditions: Vec<_> =
        shape.table.condition.iter().map(|condition| format!("({condition})")).collect();
    let first = terms.key.first().map(|&index| &shape.table.columns[index]);
    if let (Some(column), Some(order)) = (first, terms.order) {
        let name = quoted(&column.name);
        let bound = |text: &String| match order {
            // As a number it is compared with numbers of any size.
            Order::Number => text.clone(),
            Order::Uuid | Order::Bytes | Order::Text => literal(text),
        };
        let (from, until) = (part.from.as_ref().map(bound), part.until.as_ref().map(bound));
        match (from, until) {
            (Some(from), None) if !column.not_null => {
                conditions.push(format!("({name} >= {from} OR {name} IS NULL)"));
            }
            (from, until) => {
                conditions.extend(from.map(|from| format!("{name} >= {from}")));
                conditions.extend(until.map(|until| format!("{name} < {until}")));
            }
        }
    }
    conditions
}

/// The condition that rows with one of `keys` meet. Others may meet it too: what PostgreSQL takes for equal need not be spelled
/// alike.
pub(super) fn of_keys(shape: &Shape, terms: &Terms, keys: &[Key]) -> Vec<String> {
    let columns: Vec<_> =
        terms.key.iter().map(|&index| (&shape.table.columns[index], &shape.types[index])).collect();
    let names: Vec<_> = columns.iter().map(|(column, _)| quoted(&column.name)).collect();
    let value = |part: usize, text: &str| {
        let (_, column_type) = columns[part];
        // A server's own text it reads back; what is spelled by us may be spelled in another way.
        let text = if terms.by_servers { text.to_owned() } else { key_literal(&column_type.kind, text) };
        format!("CAST({} AS {})", literal(&text), column_type.declared)
    };
    let (mut whole, mut others) = (Vec::new(), Vec::new());
    for key in keys {
        match key.iter().cloned().collect::<Option<Vec<_>>>() {
            Some(key) => {
                let values = key.iter().zip(0..).map(|(text, part)| value(part, text));
                whole.push(format!("({})", values.collect::<Vec<_>>().join(", ")));
            }
            None => {
                let parts = key.iter().zip(0..).map(|(text, part)| match text {
                    None => format!("{} IS NULL", names[part]),
                    Some(text) => format!("{} = {}", names[part], value(part, text)),
                });
                others.push(format!("({})", parts.collect::<Vec<_>>().join(" AND ")));
            }
        }
    }
    if !whole.is_empty() {
        others.push(format!("({}) IN (VALUES {})", names.join(", "), whole.join(", ")));
    }
    let mut conditions: Vec<_> =
        shape.table.condition.iter().map(|condition| format!("({condition})")).collect();
    conditions.push(format!("({})", others.join(" OR ")));
    conditions
}

/// A WHERE clause of `conditions`.
pub(super) fn clause(conditions: &[String]) -> String {
    match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    }
}
