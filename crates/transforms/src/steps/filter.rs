//! `filter`: only what an expression is true of.
//!
//! Where records are told apart by key, the question is which *records* are there: an update that makes a record leave is a delete,
//! one that makes it come in is a create. Elsewhere every change stands for itself: the question is which *changes* are told.

use std::sync::Arc;

use tidemark_engine::{
    Error, Result,
    arrow_array::BooleanArray,
    change::{Cell, Op, Refused},
    schema::StreamSchema,
};

use super::Work;
use crate::{
    columns::Side,
    expression::{Expression, Known, Ready, Trouble},
    passing::Passing,
    transforms::Place,
};

const WHAT: &str = "`filter`";

/// The expression.
#[derive(Debug)]
pub(crate) struct Filter(Expression);

#[derive(Debug)]
struct Filtering {
    schema: Arc<StreamSchema>,
    ready: Ready,
    /// Whether it is about records rather than changes.
    of_records: bool,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    /// The record is no more, for whoever sees only those that match.
    Departs,
    /// The record is new there.
    Arrives,
}

impl Filter {
    pub(crate) fn new(expression: Expression) -> Self {
        Self(expression)
    }

    pub(super) fn work(&self, schema: &Arc<StreamSchema>, place: Place) -> Result<Box<dyn Work>> {
        let of_records = place.is_of_records() && !schema.key().is_empty();
        Ok(Box::new(Filtering {
            schema: schema.clone(),
            ready: Ready::new(&self.0, schema, WHAT)?,
            of_records,
        }))
    }
}

impl Filtering {
    fn fate(&self, passing: &Passing, known: &Known<'_>, row: usize) -> Result<Fate, Refused> {
        let op = passing.batch.op(row)?;
        let refuse = |trouble: Trouble| passing.refuse(row, trouble.error(WHAT));
        let stays = |it: bool| if it { Fate::Stays } else { Fate::Goes };
        if op == Op::Truncate {
            return Ok(Fate::Stays);
        }
        let now = self.ready.is_true(known, row, Side::After);
        if !self.of_records {
            return now.map(stays).map_err(refuse);
        }
        match op {
            Op::Delete => match now {
                // Deleting what is not there does no harm.
                Err(Trouble::Unknown(_)) => Ok(Fate::Stays),
                now => now.map(stays).map_err(refuse),
            },
            Op::Update => {
                let now = now.map_err(refuse)?;
                let was = match self.ready.is_true(known, row, Side::Before) {
                    Ok(was) => Some(was),
                    Err(Trouble::Unknown(_)) => None,
                    Err(trouble) => return Err(refuse(trouble)),
                };
                if now && was != Some(true) {
                    self.check_whole(passing, known, row)?;
                }
                Ok(match (was, now) {
                    (Some(true) | None, true) => Fate::Stays,
                    (Some(false), true) => Fate::Arrives,
                    (Some(true) | None, false) => Fate::Departs,
                    (Some(false), false) => Fate::Goes,
                })
            }
            Op::Read | Op::Create | Op::Truncate => now.map(stays).map_err(refuse),
        }
    }

    /// A record that may have just come in is needed whole: nobody there knows what it held.
    fn check_whole(&self, passing: &Passing, known: &Known<'_>, row: usize) -> Result<(), Refused> {
        let fields = self.schema.fields().iter().enumerate();
        let missing = |index: usize| known.cell(index, row, Op::Update, Side::After) == Cell::Unchanged;
        let Some((_, field)) = { fields }.find(|(index, _)| missing(*index)) else { return Ok(()) };
        let (name, stream) = (&field.name, self.schema.stream());
        let error = Error::data(format!(
            "a record of stream `{stream}` may have just come to match `filter`, and its change does not carry column `{name}`"
        ))
        .hint(format!(
            "have the source tell the whole record (PostgreSQL: `REPLICA IDENTITY FULL`), or `drop` column `{name}` before `filter`"
        ));
        Err(passing.refuse(row, error))
    }
}

impl Work for Filtering {
    fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    fn apply(&self, passing: Passing) -> Result<Passing, Refused> {
        let known = Known::of(&passing.batch);
        let fates: Vec<Fate> = (0..passing.batch.rows())
            .map(|row| self.fate(&passing, &known, row))
            .collect::<Result<_, _>>()?;
        drop(known);
        let are = |fate: Fate| fates.iter().map(|it| Some(*it == fate)).collect::<BooleanArray>();
        let batch = passing.batch.with_departures(&are(Fate::Departs))?.with_arrivals(&are(Fate::Arrives))?;
        let stay: BooleanArray = fates.iter().map(|fate| Some(*fate != Fate::Goes)).collect();
        passing.with(batch).filter(&stay)
    }
}
