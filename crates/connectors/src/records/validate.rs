//! What can be said against what the pipeline file says of a stream's columns.

use std::collections::BTreeMap;

use tidemark_engine::schema::Kind;

use crate::config::Problem;

/// What `types` takes; `Kind` has more, which no text stands for.
const KINDS: &str = "bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, decimal(p,s), \
                     number, text, bytes, date, time, timestamp, timestamptz, uuid, json";

/// Everything that is wrong with the columns of the stream that stands at `path`.
pub(crate) fn problems(
    path: &[String],
    key: &[String],
    exclude: &[String],
    types: &BTreeMap<String, String>,
) -> Vec<Problem> {
    let at =
        |keys: &[&str]| path.iter().cloned().chain(keys.iter().map(ToString::to_string)).collect::<Vec<_>>();
    let mut problems = Vec::new();
    for (list, names) in [("key", key), ("exclude", exclude)] {
        for (index, column) in names.iter().enumerate() {
            let place = at(&[list, &index.to_string()]);
            if column.is_empty() {
                problems.push(Problem::new(place, "the column's name is empty").hint("name a column"));
            } else if names[..index].contains(column) {
                problems
                    .push(Problem::new(place, format!("`{column}` is listed twice")).hint("list it once"));
            }
        }
    }
    for column in key.iter().filter(|column| exclude.contains(column)) {
        problems.push(
            Problem::new(at(&["exclude"]), format!("key column `{column}` is excluded"))
                .hint("keep it, or choose another `key`"),
        );
    }
    for (column, kind) in types {
        if Kind::parse(kind).is_none() {
            problems.push(
                Problem::new(at(&["types", column]), format!("`{kind}` is no kind of column"))
                    .hint(format!("choose from: {KINDS}")),
            );
        }
        if exclude.contains(column) {
            problems.push(
                Problem::new(at(&["types", column]), format!("column `{column}` is excluded"))
                    .hint("remove it from `exclude` or from `types`"),
            );
        }
    }
    problems
}
