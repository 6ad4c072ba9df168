//! Parameters as text.

use std::error::Error;

use bytes::BytesMut;
use tidemark_engine::{
    Result as EngineResult, Time,
    change::{Cell, Value},
    schema::{Field, Kind},
};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use crate::postgres::types::Target;

/// A value as text that the server reads as whatever type it finds the parameter to be: an assignment, so that what does not
/// fit is refused and not cut off, as a cast would.
#[derive(Debug, Clone)]
pub(super) struct Literal(pub(super) Option<String>);

impl Literal {
    /// `time`, for a `timestamptz`.
    pub(super) fn time(time: Time) -> EngineResult<Self> {
        let target = Target::of(&Field::new("time", Kind::TimestampTz), &|_| false);
        Ok(Self(target.literal_text(&Cell::Value(Value::TimestampTz(time.as_micros())))?))
    }
}

impl ToSql for Literal {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(
        &self,
        declared: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(declared, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
}

/// Literals as the parameters of a statement.
pub(super) fn as_parameters(literals: &[Literal]) -> Vec<&(dyn ToSql + Sync)> {
    literals.iter().map(|literal| literal as &(dyn ToSql + Sync)).collect()
}
