//! `quality`: what is expected of every record that is there.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    change::{Op, Refused},
    schema::StreamSchema,
};

use super::Work;
use crate::{
    OnFail,
    columns::Side,
    expression::{Expression, Known, Ready},
    passing::Passing,
};

/// Rules, in order.
#[derive(Debug)]
pub(crate) struct Quality(Vec<(String, Expression, OnFail)>);

#[derive(Debug)]
struct Checking {
    schema: Arc<StreamSchema>,
    rules: Vec<(String, Ready, OnFail)>,
}

impl Quality {
    pub(crate) fn new(rules: Vec<(String, Expression, OnFail)>) -> Self {
        Self(rules)
    }

    pub(super) fn work(&self, schema: &Arc<StreamSchema>) -> Result<Box<dyn Work>> {
        let ready = |(name, expression, on_fail): &(String, Expression, OnFail)| {
            Ok((name.clone(), Ready::new(expression, schema, &what(name))?, *on_fail))
        };
        let rules = self.0.iter().map(ready).collect::<Result<_>>()?;
        Ok(Box::new(Checking { schema: schema.clone(), rules }))
    }
}

fn what(name: &str) -> String {
    format!("rule `{name}`")
}

impl Work for Checking {
    fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    fn apply(&self, passing: Passing) -> Result<Passing, Refused> {
        let (known, stream) = (Known::of(&passing.batch), self.schema.stream());
        for (name, ready, on_fail) in &self.rules {
            let mut failed = 0;
            for row in 0..passing.batch.rows() {
                if matches!(passing.batch.op(row)?, Op::Delete | Op::Truncate) {
                    continue;
                }
                let error = match ready.is_true(&known, row, Side::After) {
                    Ok(true) => continue,
                    Ok(false) => Error::data(format!("a record of stream `{stream}` breaks rule `{name}`"))
                        .hint("correct the record at the source, or the rule"),
                    Err(trouble) => trouble.error(&what(name)),
                };
                match on_fail {
                    OnFail::Warn => failed += 1,
                    OnFail::DeadLetter => return Err(passing.refuse(row, error)),
                    // Of the stream, and not of the change alone: it is not to be put aside.
                    OnFail::Fail => {
                        return Err(Refused { row: None, error: Box::new(error.of_stream(stream)) });
                    }
                }
            }
            if failed > 0 {
                tracing::warn!(%stream, rule = %name, records = failed, "records break a rule and go on");
            }
        }
        drop(known);
        Ok(passing)
    }
}
