//! What an expression refers to, found before it is ever evaluated.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};

use super::Unread;

/// The functions of the standard library. Operators have names of their own, see [`OPERATORS`].
pub(super) const FUNCTIONS: [&str; 24] = [
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

const OPERATORS: [&str; 19] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "_[_]",
    "@in",
    "@not_strictly_false",
];

/// Names of types, where no column is called so.
pub(super) const TYPES: [&str; 11] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint", "dyn"];

/// What an expression refers to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Uses {
    /// Columns by their names alone.
    pub(crate) columns: BTreeSet<String>,
    pub(crate) row: BTreeSet<String>,
    pub(crate) before: BTreeSet<String>,
    pub(crate) after: BTreeSet<String>,
    pub(crate) op: bool,
    pub(crate) stream: bool,
    pub(crate) source_time: bool,
}

impl Uses {
    pub(super) fn of(expression: &IdedExpr) -> Result<Self, Unread> {
        let mut uses = Self::default();
        uses.walk(expression, &mut Vec::new())?;
        Ok(uses)
    }

    /// What it asks of the change, beyond the record; `None` where it is about the record alone.
    pub(crate) fn of_change(&self) -> Option<&'static str> {
        match self {
            Self { op: true, .. } => Some("op"),
            Self { source_time: true, .. } => Some("source_time"),
            Self { before, .. } if !before.is_empty() => Some("before"),
            Self { after, .. } if !after.is_empty() => Some("after"),
            _ => None,
        }
    }

    fn walk<'e>(&mut self, at: &'e IdedExpr, bound: &mut Vec<&'e str>) -> Result<(), Unread> {
        match &at.expr {
            Expr::Ident(name) => self.name(name, bound),
            Expr::Select(select) => match self.record(&select.operand, bound) {
                Some(columns) => {
                    columns.insert(select.field.clone());
                    Ok(())
                }
                None => self.walk(&select.operand, bound),
            },
            Expr::Call(call) => {
                if !FUNCTIONS.contains(&call.func_name.as_str())
                    && !OPERATORS.contains(&call.func_name.as_str())
                {
                    let message = format!("there is no function `{}`", call.func_name);
                    return Err(Unread {
                        message,
                        hint: Some(format!("choose from: {}", FUNCTIONS.join(", "))),
                    });
                }
                if let ("_[_]", [record, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }]) =
                    (call.func_name.as_str(), call.args.as_slice())
                    && let Some(columns) = self.record(record, bound)
                {
                    columns.insert(name.inner().to_owned());
                    return Ok(());
                }
                call.target.iter().try_for_each(|target| self.walk(target, bound))?;
                call.args.iter().try_for_each(|argument| self.walk(argument, bound))
            }
            Expr::Comprehension(it) => {
                self.walk(&it.iter_range, bound)?;
                self.walk(&it.accu_init, bound)?;
                let outside = bound.len();
                bound.extend([it.iter_var.as_str(), it.accu_var.as_str()]);
                bound.extend(it.iter_var2.as_deref());
                [&it.loop_cond, &it.loop_step, &it.result]
                    .into_iter()
                    .try_for_each(|part| self.walk(part, bound))?;
                bound.truncate(outside);
                Ok(())
            }
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.walk(element, bound)),
            Expr::Map(_) => {
                Err(refused("a map cannot be written in an expression: nothing gives it an order"))
            }
            Expr::Struct(of) => {
                let values = of.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::StructField(field) => &field.value,
                    EntryExpr::MapEntry(entry) => &entry.value,
                });
                values.into_iter().try_for_each(|value| self.walk(value, bound))?;
                Err(refused("an expression cannot make messages"))
            }
            Expr::Literal(_) | Expr::Unspecified => Ok(()),
        }
    }

    /// The columns that are used of the record which `operand` names; `None` where it names none.
    fn record(&mut self, operand: &IdedExpr, bound: &[&str]) -> Option<&mut BTreeSet<String>> {
        match &operand.expr {
            Expr::Ident(name) if bound.contains(&name.as_str()) => None,
            Expr::Ident(name) => match name.as_str() {
                "row" => Some(&mut self.row),
                "before" => Some(&mut self.before),
                "after" => Some(&mut self.after),
                _ => None,
            },
            _ => None,
        }
    }

    fn name(&mut self, name: &str, bound: &[&str]) -> Result<(), Unread> {
        if bound.contains(&name) || name.starts_with('@') {
            return Ok(());
        }
        match name {
            "op" => self.op = true,
            "stream" => self.stream = true,
            "source_time" => self.source_time = true,
            "row" | "before" | "after" => {
                let hint = format!("name a column of it: `{name}.column`, or `{name}[\"any column\"]`");
                return Err(Unread {
                    message: format!("`{name}` stands alone in the expression"),
                    hint: Some(hint),
                });
            }
            _ => drop(self.columns.insert(name.to_owned())),
        }
        Ok(())
    }
}

fn refused(message: &str) -> Unread {
    Unread { message: message.to_owned(), hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Expression;

    #[test]
    fn what_is_referred_to() {
        let text = "a > 1 && row['b c'] == stream && has(before.d) && [1].all(x, x > e) && op == 'u'";
        let uses = Expression::parse(text).unwrap().uses().clone();
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        assert_eq!(
            (list(&uses.columns), list(&uses.row), list(&uses.before), list(&uses.after)),
            ("a,e".into(), "b c".into(), "d".into(), String::new())
        );
        assert_eq!(
            (uses.op, uses.stream, uses.source_time, uses.of_change()),
            (true, true, false, Some("op"))
        );
    }
}
