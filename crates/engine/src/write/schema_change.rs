//! Changes of a stream's schema on their way to a destination.
//!
//! Under `evolve` a destination follows every schema. Otherwise it keeps to the one it was given first, which its standing names,
//! until the stream is filled anew.

use std::{collections::BTreeMap, sync::Arc};

use super::{Delivery, Plan, SchemaPolicy};
use crate::{
    Digest, Error, Result,
    change::Reshape,
    log::{Commit, Log, Playing},
    schema::{Difference, StreamName, StreamSchema, differences},
};

/// The schemas that a destination keeps to, by stream.
pub(super) type Bases = BTreeMap<StreamName, Arc<StreamSchema>>;

/// Adds to `schemas` the first schema of each stream of `commit` that has none there, or begins anew in place.
pub(super) fn note(
    plan: &Plan,
    playing: &Playing,
    commit: &Commit,
    schemas: &mut BTreeMap<StreamName, Digest>,
) {
    if plan.schema_change == SchemaPolicy::Evolve {
        // Whatever it kept to is forgotten.
        schemas.clear();
        return;
    }
    for stream in playing.begins_in_place(commit) {
        schemas.remove(stream);
    }
    for (stream, digest) in commit.schemas_in_order() {
        if plan.selection.takes(stream) && !schemas.contains_key(stream) {
            schemas.insert(stream.clone(), digest);
        }
    }
}

/// The schemas that `digests` name, as they are after `reshape`.
pub(super) async fn bases(
    log: &Log,
    digests: &BTreeMap<StreamName, Digest>,
    reshape: Option<&dyn Reshape>,
) -> Result<Bases> {
    let mut bases = Bases::new();
    for (stream, digest) in digests {
        let base = log.schema(stream, *digest).await?;
        let base = match reshape {
            Some(reshape) => reshape.schema(&base)?,
            None => base,
        };
        bases.insert(stream.clone(), base);
    }
    Ok(bases)
}

/// What a destination is given of `delivery`.
pub(super) fn treated(delivery: Delivery, bases: &Bases, policy: SchemaPolicy) -> Result<Delivery> {
    let schema = delivery.changes.schema();
    let Some(base) = bases.get(schema.stream()).filter(|base| base.digest() != schema.digest()) else {
        return Ok(delivery);
    };
    let differences = differences(base, schema);
    match policy {
        SchemaPolicy::Evolve => Ok(delivery),
        SchemaPolicy::Fail if differences.is_empty() => Ok(delivery),
        SchemaPolicy::Fail => Err(changed(schema.stream(), &differences)
            .hint("set `schema_change` to `evolve`, to follow it, or to `ignore`, to go on without new columns, and run again")),
        SchemaPolicy::Ignore => without_what_is_new(delivery, base, &differences),
    }
}

fn without_what_is_new(
    delivery: Delivery,
    base: &StreamSchema,
    differences: &[Difference],
) -> Result<Delivery> {
    let fields = delivery.changes.schema().fields().iter().enumerate();
    let known = |name: &str| base.fields().iter().any(|field| field.name == name);
    let is_beyond =
        |difference: &&Difference| matches!(difference, Difference::Changed { .. } | Difference::Key { .. });
    let beyond: Vec<_> = differences.iter().filter(is_beyond).cloned().collect();
    if !beyond.is_empty() {
        return Err(changed(base.stream(), &beyond)
            .hint("set `schema_change` to `evolve`, to follow it, and run again: `ignore` only leaves new columns out"));
    }
    let kept: Vec<_> = fields.filter(|(_, field)| known(&field.name)).map(|(index, _)| index).collect();
    if kept.len() == delivery.changes.schema().fields().len() {
        return Ok(delivery);
    }
    Ok(Delivery { changes: delivery.changes.with_columns(&kept)?, ..delivery })
}

fn changed(stream: &StreamName, differences: &[Difference]) -> Error {
    let said = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Error::conflict(format!("the schema of stream `{stream}` has changed: {said}")).of_stream(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        contract::{samples::numbered_rows, write::delivery},
        schema::{Field, Kind},
    };

    fn base(fields: Vec<Field>) -> Bases {
        let stream = StreamName::new("a");
        let schema = StreamSchema::new(stream.clone(), fields, vec!["id".to_owned()]).unwrap();
        [(stream, schema)].into()
    }

    fn rows() -> Delivery {
        delivery(1, numbered_rows("a", 0, 3).numbered_from(0))
    }

    fn id() -> Field {
        Field::new("id", Kind::Int64)
    }

    #[test]
    fn a_new_column_is_followed_left_out_or_refused() {
        let bases = base(vec![id()]);
        let columns = |policy| treated(rows(), &bases, policy).unwrap().changes.schema().fields().len();
        assert_eq!((columns(SchemaPolicy::Evolve), columns(SchemaPolicy::Ignore)), (2, 1));
        let error = treated(rows(), &bases, SchemaPolicy::Fail).unwrap_err();
        assert_eq!((error.kind(), error.stream().is_some()), (ErrorKind::Conflict, true));
        assert!(error.message().contains("column `text` (text) was added"), "{error}");
    }

    #[test]
    fn a_column_of_another_kind_is_never_ignored() {
        let bases = base(vec![id(), Field::new("text", Kind::Int32)]);
        assert!(treated(rows(), &bases, SchemaPolicy::Evolve).is_ok());
        for policy in [SchemaPolicy::Ignore, SchemaPolicy::Fail] {
            let error = treated(rows(), &bases, policy).unwrap_err();
            assert!(error.message().contains("changed from int32 to text"), "{error}");
        }
    }

    #[test]
    fn what_makes_no_difference_is_no_change() {
        let bases = base(vec![id().required(), Field::new("text", Kind::Text).required()]);
        for policy in [SchemaPolicy::Evolve, SchemaPolicy::Ignore, SchemaPolicy::Fail] {
            assert_eq!(treated(rows(), &bases, policy).unwrap().changes.rows(), 3);
        }
        // A column that is gone is NULL from then on, and no reason to stop where the policy says to ignore.
        let bases = base(vec![id(), Field::new("text", Kind::Text), Field::new("gone", Kind::Bool)]);
        assert_eq!(treated(rows(), &bases, SchemaPolicy::Ignore).unwrap().changes.schema().fields().len(), 2);
        assert!(treated(rows(), &bases, SchemaPolicy::Fail).is_err());
    }
}
