//! What was staged, in short; and records to put there.

use tidemark_engine::{change::ChangeBatch, write::Delivery};

/// The operation of each change, and what it has in `column`.
pub(super) fn told(staged: &[Delivery], column: &str) -> Vec<String> {
    let mut told = Vec::new();
    for Delivery { changes, .. } in staged {
        let at = changes.schema().fields().iter().position(|field| field.name == column);
        for row in 0..changes.rows() {
            let op = changes.op(row).unwrap().letter() as char;
            let cell = at.map(|at| format!("{:?}", changes.column(at).cell(row)));
            told.push(format!("{op} {}", cell.unwrap_or_default()));
        }
    }
    told
}

/// The letters of the operations.
pub(super) fn ops(staged: &[Delivery]) -> String {
    let ops = |batch: &ChangeBatch| (0..batch.rows()).map(|row| batch.op(row).unwrap()).collect::<Vec<_>>();
    staged.iter().flat_map(|delivery| ops(&delivery.changes)).map(|op| op.letter() as char).collect()
}

/// Records with these keys.
pub(super) fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("{{\"id\": {number}, \"v\": 1}}")).collect()
}

/// As what holds them wants them.
pub(super) fn slices(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
