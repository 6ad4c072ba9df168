//! From what the pipeline file says, and the database answers, to how a stream is read.

use std::{sync::Arc, time::Duration};

use strsim::jaro_winkler;
use tidemark_engine::{Error, Result};

use super::{
    config::QueryStream,
    overlap::{self, NONE},
};
use crate::{
    polling::{Changes, Plan},
    records::Outline,
};

/// What the database says of what a stream asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The names of all columns.
    pub(crate) columns: Vec<String>,
    /// The primary key of a table.
    pub(crate) primary_key: Vec<String>,
}

/// How the stream `name` is read.
///
/// Fails with [`tidemark_engine::ErrorKind::Config`] where a column that the pipeline file names is not there, or two have one name.
pub(crate) fn plan(name: &str, stream: &QueryStream, terms: &Terms, poll: Duration) -> Result<Arc<Plan>> {
    let Terms { columns, primary_key } = terms;
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].contains(column) {
            return Err(Error::config(format!("stream `{name}` has two columns `{column}`"))
                .hint("give one of them another name: `… AS other`"));
        }
    }
    let named = [("key", &stream.key), ("ignore", &stream.ignore), ("exclude", &stream.exclude)];
    let named = named.into_iter().flat_map(|(key, names)| names.iter().map(move |name| (key, name)));
    let watermark = stream.watermark.iter().map(|name| ("watermark", name));
    let typed = stream.types.keys().map(|name| ("types", name));
    for (key, column) in named.chain(watermark).chain(typed) {
        if !columns.contains(column) {
            return Err(missing(name, key, column, columns));
        }
    }
    let key = if stream.key.is_empty() { primary_key } else { &stream.key };
    if let Some(column) = key.iter().find(|column| stream.exclude.contains(*column)) {
        return Err(Error::config(format!(
            "stream `{name}` leaves out `{column}`, which is in its primary key"
        ))
        .hint("keep it, or choose a `key`"));
    }
    let changes = match &stream.watermark {
        None => Changes::FullRefresh,
        Some(column) => Changes::Watermark {
            column: column.clone(),
            overlap: stream.overlap.as_deref().and_then(overlap::parse).unwrap_or(NONE),
            compare_every: stream.compare_every.map(|every| every.0),
        },
    };
    Ok(Arc::new(Plan {
        outline: Outline::configured(name, key, &stream.exclude, &stream.types)?,
        changes,
        ignored: stream.ignore.clone(),
        poll,
        keeps_vanished: false,
        max_deletes: stream.max_deletes,
        // A sweep sees the database as it was at one moment.
        steady_pages: true,
    }))
}

fn missing(stream: &str, key: &str, column: &str, columns: &[String]) -> Error {
    let similar = |name: &&String| jaro_winkler(&column.to_lowercase(), &name.to_lowercase());
    let closest = columns.iter().max_by(|a, b| similar(a).total_cmp(&similar(b)));
    let hint = match closest.filter(|name| similar(name) > 0.8) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("choose from: {}", columns.join(", ")),
    };
    Error::config(format!("stream `{stream}` has no column `{column}`, which its `{key}` names")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(json: &str) -> Result<Arc<Plan>> {
        let stream: QueryStream = serde_json::from_str(json).unwrap();
        let columns = ["id", "name", "updated_at"].map(str::to_owned).to_vec();
        let terms = Terms { columns, primary_key: vec!["id".to_owned()] };
        plan("orders", &stream, &terms, Duration::from_secs(10))
    }

    #[test]
    fn a_table_is_read_whole_by_its_primary_key() {
        let plan = planned("{}").unwrap();
        assert_eq!(
            (plan.outline.key.as_slice(), &plan.changes),
            (&["id".to_owned()][..], &Changes::FullRefresh)
        );
        assert_eq!(planned(r#"{"key": ["name"]}"#).unwrap().outline.key, ["name"]);
    }

    #[test]
    fn columns_that_are_not_there_are_named() {
        let error = |json| planned(json).unwrap_err();
        let wrong = error(r#"{"watermark": "update_at"}"#);
        assert_eq!(
            wrong.to_string(),
            "stream `orders` has no column `update_at`, which its `watermark` names"
        );
        assert_eq!(wrong.hint_text(), Some("did you mean `updated_at`?"));
        assert_eq!(error(r#"{"key": ["x"]}"#).hint_text(), Some("choose from: id, name, updated_at"));
        assert!(error(r#"{"exclude": ["id"]}"#).to_string().contains("primary key"));
        let twice = Terms { columns: vec!["id".into(), "id".into()], primary_key: Vec::new() };
        assert!(plan("orders", &QueryStream::default(), &twice, Duration::ZERO).is_err());
    }
}
