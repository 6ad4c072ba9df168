//! Expressions of the Common Expression Language over one change.
//!
//! | Name | What it is |
//! |---|---|
//! | a column's name | its value after the change; of a delete, the record as it was |
//! | `row` | the same by `row.name` or `row["any name"]`; `has(row.name)` tells whether it is known |
//! | `before`, `after` | the record before and after the change, in the same way |
//! | `op` | `r`, `c`, `u`, `d` |
//! | `stream` | the stream's name |
//! | `source_time` | when the source made the change; null where it does not tell |
//!
//! Nothing in an expression depends on anything else: there is no clock, no randomness, and nothing whose order is not given. So maps
//! cannot be written in them, and what cannot be a number exactly is none.

mod ready;
mod trouble;
mod uses;
mod value;

use std::sync::{Arc, LazyLock};

use cel::{Env, Program};

pub(crate) use ready::{Known, Ready};
pub(crate) use trouble::Trouble;
pub(crate) use uses::Uses;
pub(crate) use value::text_of;

/// What every expression can call.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// Longer ones are no expressions that a person has written.
const LONGEST: usize = 8_192;

/// An expression that can be read, for streams of any schema. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Expression(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: Program,
    uses: Uses,
}

/// Why a text is no expression.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Expression {
    /// Reads `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Unread> {
        let unread = |message: String| Unread { message, hint: None };
        if text.trim().is_empty() {
            return Err(unread("an expression is empty".to_owned()));
        }
        if text.len() > LONGEST {
            return Err(unread(format!("an expression is longer than {LONGEST} bytes")));
        }
        let program = ENV.compile(text).map_err(|errors| {
            let first = errors.errors.first();
            let place = first.map_or(String::new(), |error| {
                let (line, column) = error.pos;
                let said = error.msg.lines().next().unwrap_or_default();
                // What else could stand there is a list of all there is.
                let said = said.split(" expecting").next().unwrap_or_default();
                format!(" at line {line}, column {column}: {said}")
            });
            unread(format!("the expression cannot be read{place}"))
        })?;
        let uses = Uses::of(program.expression())?;
        Ok(Self(Arc::new(Inner { program, uses })))
    }

    /// What it refers to.
    pub(crate) fn uses(&self) -> &Uses {
        &self.0.uses
    }

    fn program(&self) -> &Program {
        &self.0.program
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> String {
        Expression::parse(text).unwrap_err().message
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        assert!(
            problem("amount >").starts_with("the expression cannot be read at line 1"),
            "{}",
            problem("amount >")
        );
        assert_eq!(problem(" "), "an expression is empty");
        assert_eq!(problem("sise(name) > 1"), "there is no function `sise`");
        assert_eq!(
            problem("{'a': 1}.a == 1"),
            "a map cannot be written in an expression: nothing gives it an order"
        );
        assert_eq!(problem("size(before) > 1"), "`before` stands alone in the expression");
        assert!(Expression::parse(&"(".repeat(8_000)).is_err());
        assert!(Expression::parse(&"!".repeat(8_000)).is_err());
    }

    #[test]
    fn every_function_that_is_let_through_exists() {
        use cel::{Context, ExecutionError};
        for function in uses::FUNCTIONS {
            let is_known = |text: String| {
                let outcome = ENV.compile(&text).unwrap().execute(&Context::with_env(ENV.clone()));
                !matches!(&outcome, Err(ExecutionError::UndeclaredReference(_)))
            };
            let forms =
                [format!("{function}(1)"), format!("'a'.{function}()"), format!("'a'.{function}('a')")];
            assert!(forms.into_iter().any(is_known), "{function}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            drop(Expression::parse(&text));
        }

        #[test]
        fn nothing_like_an_expression_panics(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "a", "before", "after", "row", ".b", "[", "]", "'x'", "(", ")", "?", ":", "&&", "||", "==", "<", "+", "-",
                    "1", "1u", "2.5", "null", "has(row.a)", "size(", "in", "!", "{", "}", ",", ".map(x, x)", ".all(x, ",
                    "timestamp('2020-01-01T00:00:00Z')", "9223372036854775807", "duration('1h')", "%", "/", "*", "0",
                ]),
                1..24,
            ),
        ) {
            if let Ok(expression) = Expression::parse(&words.concat()) {
                let mut context = cel::Context::with_env(ENV.clone());
                context.add_variable_from_value("a", 1i64);
                drop(expression.program().execute(&context));
            }
        }
    }
}
