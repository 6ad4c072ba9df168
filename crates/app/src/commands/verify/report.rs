//! What was compared, and what was found.

use serde_json::{Map, Value as Json, json};
use tidemark_engine::schema::StreamName;

use super::unlike;
use crate::{digits::grouped, pipeline_file::Destination};

/// Of a whole command.
pub(super) struct Report<'a> {
    pub(super) pipeline: &'a str,
    pub(super) against: &'static str,
    pub(super) destinations: Vec<OfDestination>,
}

/// Of one destination.
pub(super) struct OfDestination {
    name: String,
    mode: &'static str,
    /// Why it is not compared at all.
    pub(super) why_not: Option<String>,
    pub(super) streams: Vec<OfStream>,
}

/// Of one stream at a destination.
#[derive(Debug)]
pub(super) struct OfStream {
    stream: String,
    why_not: Option<String>,
    /// Rows of the source that were compared.
    pub(super) rows: u64,
    pub(super) ranges: u64,
    /// Rows that were fetched from both sides, of which no checksum told.
    pub(super) fetched: u64,
    /// Whether the servers made the checksums.
    pub(super) by_servers: bool,
    /// Columns that were not compared, and why.
    pub(super) left_out: Vec<(String, String)>,
    /// How many rows were found to differ.
    pub(super) differing: usize,
    /// Whether all was compared; otherwise there may be more.
    pub(super) is_whole: bool,
    /// Why the differences are not confirmed.
    pub(super) unconfirmed: Option<String>,
    /// Rows that kept changing.
    pub(super) unsettled: u64,
    pub(super) differences: Vec<Difference>,
}

/// A row that differs.
#[derive(Debug)]
pub(super) struct Difference {
    /// The key's columns and what they hold.
    pub(super) key: Vec<(String, Option<String>)>,
    pub(super) what: What,
}

/// How it differs.
#[derive(Debug)]
pub(super) enum What {
    Missing,
    Extra,
    /// In these columns.
    Different(Vec<String>),
    /// There are other numbers of rows with the key.
    Often {
        expected: u64,
        found: u64,
    },
}

impl OfDestination {
    pub(super) fn new(destination: &Destination) -> Self {
        Self {
            name: destination.writing.destination.clone(),
            mode: destination.writing.mode.as_str(),
            why_not: unlike(destination).map(str::to_owned),
            streams: Vec::new(),
        }
    }
}

impl OfStream {
    pub(super) fn new(stream: &StreamName) -> Self {
        Self {
            stream: stream.to_string(),
            why_not: None,
            rows: 0,
            ranges: 0,
            fetched: 0,
            by_servers: false,
            left_out: Vec::new(),
            differing: 0,
            is_whole: true,
            unconfirmed: None,
            unsettled: 0,
            differences: Vec::new(),
        }
    }

    pub(super) fn not_compared(stream: &StreamName, why: String) -> Self {
        Self { why_not: Some(why), ..Self::new(stream) }
    }

    fn is_equal(&self) -> bool {
        self.differing == 0 && self.unsettled == 0
    }
}

impl Report<'_> {
    /// Whether something was compared, and all of that is equal.
    pub(super) fn is_equal(&self) -> bool {
        let mut compared =
            self.destinations.iter().flat_map(|it| &it.streams).filter(|it| it.why_not.is_none());
        compared.clone().next().is_some() && compared.all(OfStream::is_equal)
    }

    pub(super) fn for_people(&self) -> String {
        let mut lines = Vec::new();
        for destination in &self.destinations {
            let OfDestination { name, mode, why_not, streams } = destination;
            lines.push(match why_not {
                Some(why) => format!("{name} ({mode}): not compared: {why}"),
                None => format!("{name} ({mode}) against the {}:", self.against),
            });
            let width = streams.iter().map(|it| it.stream.len()).max().unwrap_or(0);
            streams.iter().for_each(|stream| stream.for_people(width, &mut lines));
        }
        lines.join("\n")
    }

    pub(super) fn for_programs(&self) -> Json {
        let destination = |it: &OfDestination| {
            json!({
                "name": it.name,
                "mode": it.mode,
                "compared": it.why_not.is_none(),
                "why_not": it.why_not,
                "streams": it.streams.iter().map(OfStream::for_programs).collect::<Vec<_>>(),
            })
        };
        json!({
            "pipeline": self.pipeline,
            "against": self.against,
            "equal": self.is_equal(),
            "destinations": self.destinations.iter().map(destination).collect::<Vec<_>>(),
        })
    }
}

impl OfStream {
    fn for_people(&self, width: usize, lines: &mut Vec<String>) {
        let name = &self.stream;
        if let Some(why) = &self.why_not {
            lines.push(format!("  {name:width$}  not compared: {why}"));
            return;
        }
        let ranges =
            if self.ranges == 1 { String::new() } else { format!(" in {} ranges", grouped(self.ranges)) };
        let more = if self.is_whole { "" } else { " or more" };
        let outcome = match (self.differing, &self.unconfirmed) {
            (0, _) if self.unsettled > 0 => "no difference is confirmed".to_owned(),
            (0, _) => "equal".to_owned(),
            (count, None) => format!("{}{more} differ", grouped(count as u64)),
            (count, Some(why)) => {
                format!(
                    "{}{more} differ, not confirmed: {why}: differences may be changes on their way",
                    grouped(count as u64)
                )
            }
        };
        lines.push(format!("  {name:width$}  {} rows{ranges}: {outcome}", grouped(self.rows)));
        for difference in &self.differences {
            lines.push(format!("  {:width$}    {}", "", difference.for_people()));
        }
        let listed = self.differences.len();
        if self.differing > listed {
            lines.push(format!("  {:width$}    and more: give a larger `--limit`", ""));
        }
        if self.unsettled > 0 {
            let rows = grouped(self.unsettled);
            lines.push(format!(
                "  {:width$}    {rows} rows changed whenever they were looked at: verify again",
                ""
            ));
        }
        for (column, why) in &self.left_out {
            lines.push(format!("  {:width$}    column `{column}` is not compared: {why}", ""));
        }
    }

    fn for_programs(&self) -> Json {
        let left_out = self.left_out.iter().map(|(column, why)| json!({"column": column, "why_not": why}));
        json!({
            "stream": self.stream,
            "compared": self.why_not.is_none(),
            "why_not": self.why_not,
            "equal": self.why_not.is_none().then(|| self.is_equal()),
            "rows": self.rows,
            "ranges": self.ranges,
            "rows_fetched": self.fetched,
            "hashed_by": if self.by_servers { "servers" } else { "tidemark" },
            "differing": self.differing,
            "may_be_more": !self.is_whole,
            "confirmed": self.unconfirmed.is_none(),
            "why_unconfirmed": self.unconfirmed,
            "unsettled": self.unsettled,
            "differences": self.differences.iter().map(Difference::for_programs).collect::<Vec<_>>(),
            "columns_left_out": left_out.collect::<Vec<_>>(),
        })
    }
}

impl Difference {
    fn for_people(&self) -> String {
        let parts = self.key.iter().map(|(column, text)| match text {
            Some(text) => format!("{column}={text}"),
            None => format!("{column} is NULL"),
        });
        let key = parts.collect::<Vec<_>>().join(", ");
        match &self.what {
            What::Missing => format!("missing: {key}"),
            What::Extra => format!("not in the source: {key}"),
            What::Different(columns) if columns.is_empty() => format!("different: {key}"),
            What::Different(columns) => format!("different: {key} in `{}`", columns.join("`, `")),
            What::Often { expected, found } => format!("{found} rows instead of {expected}: {key}"),
        }
    }

    fn for_programs(&self) -> Json {
        let key: Map<_, _> = self.key.iter().map(|(column, text)| (column.clone(), json!(text))).collect();
        let (what, columns) = match &self.what {
            What::Missing => ("missing", &[][..]),
            What::Extra => ("extra", &[][..]),
            What::Different(columns) => ("different", columns.as_slice()),
            What::Often { .. } => ("number of rows", &[][..]),
        };
        json!({"what": what, "key": key, "columns": columns})
    }
}
