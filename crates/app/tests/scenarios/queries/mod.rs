//! Databases that are read by queries, again and again.

mod postgres;
mod sqlite;

use crate::workbench::Workbench;

/// The changes of `stream` in the log, as `tidemark changes` shows them: each operation with the record's `id`.
fn changes(bench: &Workbench, stream: &str) -> Vec<String> {
    let printed =
        bench.tidemark(&format!("changes pipeline.yaml --json --stream {stream}")).succeeds().stdout;
    let shown = |line: &str| {
        let change: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", change["op"].as_str().unwrap(), change["values"]["id"])
    };
    printed.lines().map(shown).collect()
}
