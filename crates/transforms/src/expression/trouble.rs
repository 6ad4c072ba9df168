//! Why an expression has no value for a change. What is said of it never holds a value of the record.

use cel::ExecutionError;
use tidemark_engine::Error;

use super::Uses;

/// Why an expression has no value.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It needs a column that the change does not carry.
    Unknown(String),
    /// Anything else: what, and what to do about it.
    Other(String, Option<&'static str>),
}

impl Trouble {
    /// What became of an expression with these `uses`.
    pub(super) fn of(error: ExecutionError, uses: &Uses) -> Self {
        let is_used = |name: &str| {
            [&uses.columns, &uses.row, &uses.before, &uses.after].iter().any(|columns| columns.contains(name))
        };
        let other = |what: &str, hint| Self::Other(what.to_owned(), hint);
        match error {
            ExecutionError::UndeclaredReference(name) | ExecutionError::NoSuchKey(name) if is_used(&name) => {
                Self::Unknown(name.as_ref().clone())
            }
            ExecutionError::UndeclaredReference(name) => {
                Self::Other(format!("nothing is called `{name}`"), None)
            }
            ExecutionError::NoSuchOverload(error) => {
                let name = error.function().trim_matches('_').to_owned();
                let types = error.argument_types().join(", ");
                let hint = "convert one of them: `int(…)`, `double(…)`, `string(…)`; ask `!= null` first where a column may be NULL";
                Self::Other(format!("`{name}` means nothing for ({types})"), Some(hint))
            }
            ExecutionError::ValuesNotComparable(left, right) => {
                let (left, right) = (left.type_of(), right.type_of());
                let hint = "ask `!= null` first where a column may be NULL";
                Self::Other(
                    format!("a value of type {left} cannot be compared with one of type {right}"),
                    Some(hint),
                )
            }
            ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
                let (left, right) = (left.type_of(), right.type_of());
                Self::Other(format!("`{operator}` means nothing for ({left}, {right})"), None)
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                other("it divides by zero", Some("ask `!= 0` first"))
            }
            ExecutionError::Overflow(..) => other("a number in it is too large", Some("use `double(…)`")),
            ExecutionError::IndexOutOfBounds(_) => {
                other("a list has no such element", Some("ask for its `size` first"))
            }
            ExecutionError::NoSuchKey(_) => other("something in it has no such member", None),
            ExecutionError::UnexpectedType { got, want } => {
                Self::Other(format!("it has a value of type {got} where one of type {want} belongs"), None)
            }
            ExecutionError::InvalidArgumentCount { expected, actual } => {
                Self::Other(format!("a function takes {expected} arguments and is given {actual}"), None)
            }
            ExecutionError::FunctionError { function, .. } => {
                Self::Other(format!("`{function}` cannot be applied to what it is given"), None)
            }
            _ => other("it cannot be evaluated", None),
        }
    }

    /// As an error of `what`: filter, rule or column.
    pub(crate) fn error(self, what: &str) -> Error {
        match self {
            Self::Unknown(column) => {
                Error::data(format!("{what} needs column `{column}`, which a change does not carry")).hint(format!(
                    "have the source tell it (PostgreSQL: `REPLICA IDENTITY FULL`), or ask `has(row.{column})` first"
                ))
            }
            Self::Other(said, hint) => {
                let error = Error::data(format!("{what} has no value for a change: {said}"));
                match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            }
        }
    }
}
