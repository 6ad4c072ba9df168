//! Columns made of canonical texts, the way back from [`Value`](super::Value)'s `Display`.

use arrow_array::ArrayRef;
use serde_json::value::RawValue;

use crate::{Error, Result, codec::Filling, schema::Kind};

/// A column in the making, cell by cell. A text that does not spell a value of the column's kind exactly is refused.
pub struct Texts {
    filling: Filling,
    kind: Kind,
}

impl Texts {
    /// An empty column of `kind`.
    ///
    /// Fails with [`crate::ErrorKind::Data`] for a kind that is never made of texts: a list.
    pub fn of(kind: &Kind) -> Result<Self> {
        let refused = || Error::data(format!("no value of kind {} is made of a text", kind.name()));
        let filling = match kind {
            Kind::List { .. } => None,
            kind => Filling::of_type(&kind.arrow()),
        };
        Ok(Self { filling: filling.ok_or_else(refused)?, kind: kind.clone() })
    }

    /// Adds a cell without a value.
    pub fn null(&mut self) {
        self.filling.null();
    }

    /// Adds the value that `text` spells, and says whether it spells one; otherwise nothing is added.
    #[must_use]
    pub fn value(&mut self, text: &str) -> bool {
        let is_one = match &self.kind {
            Kind::Json => serde_json::from_str::<&RawValue>(text).is_ok(),
            Kind::Number => is_number(text),
            Kind::Enum { labels } => labels.iter().any(|label| label == text),
            Kind::Decimal { precision, .. } => {
                let digits = text.trim_start_matches('-').replace('.', "");
                digits.trim_start_matches('0').len() <= usize::from(*precision)
            }
            _ => true,
        };
        match &mut self.filling {
            Filling::Bytes(builder, _) => match hexadecimal(text) {
                Some(bytes) => builder.append_value(bytes),
                None => return false,
            },
            filling => return is_one && filling.add(text),
        }
        true
    }

    /// The column.
    pub fn finish(mut self) -> Result<ArrayRef> {
        self.filling.array().map_err(|what| Error::internal(format!("a column cannot be made: {what}")))
    }
}

/// The bytes of `\x` and hexadecimal digits.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").filter(|digits| digits.len() % 2 == 0)?;
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Whether `text` is a decimal number without an exponent.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::{Cell, ChangeBatch, Op},
        contract::samples,
        schema::{StreamName, StreamSchema},
    };

    #[test]
    fn every_value_comes_back_from_its_text() {
        let batch = samples::everything();
        for (index, field) in batch.schema().fields().iter().enumerate() {
            let Ok(mut texts) = Texts::of(&field.kind) else {
                assert!(matches!(field.kind, Kind::List { .. }));
                continue;
            };
            for row in 0..batch.rows() {
                match batch.column(index).cell(row) {
                    Cell::Value(value) => assert!(texts.value(&value.to_string()), "{field:?}: {value}"),
                    _ => texts.null(),
                }
            }
            let name = StreamName::new("s");
            let schema = StreamSchema::new(name, vec![field.clone()], Vec::new()).unwrap();
            let made = ChangeBatch::uniform(schema, Op::Create, vec![texts.finish().unwrap()]).unwrap();
            for row in 0..batch.rows() {
                if let Cell::Value(value) = batch.column(index).cell(row) {
                    let Cell::Value(again) = made.column(0).cell(row) else { panic!("{field:?} is lost") };
                    assert_eq!(value.to_string(), again.to_string());
                }
            }
        }
    }

    #[test]
    fn what_spells_no_value_is_refused() {
        let refused =
            |kind: Kind, text: &str| assert!(!Texts::of(&kind).unwrap().value(text), "{kind:?} {text}");
        refused(Kind::Int8, "128");
        refused(Kind::Json, "{");
        refused(Kind::Number, "1e3");
        refused(Kind::Decimal { precision: 3, scale: 2 }, "12.34");
        refused(Kind::Date, "2013-02-30");
        refused(Kind::Enum { labels: vec!["a".to_owned()] }, "b");
    }
}
