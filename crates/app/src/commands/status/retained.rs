//! How much of the past the staging log keeps, as `tidemark status` shows it.

use serde_json::{Value as Json, json};
use tidemark_engine::log::{Kept, Need};

use super::{short, size};

/// What is kept, and who keeps more from being dropped.
pub(super) struct Retained {
    pub(super) kept: Kept,
    pub(super) expires_slow: bool,
}

impl Retained {
    /// As lines.
    pub(super) fn for_people(&self) -> Vec<String> {
        let Kept { base, base_bytes, bytes, held_back, by } = &self.kept;
        let mut lines = Vec::new();
        if let Some((base, watermark)) = base {
            lines.push(format!(
                "  keeps what came after commit {base} (source time {}): {}, and {} for the state before",
                short(*watermark),
                size(*bytes),
                size(*base_bytes)
            ));
        }
        if *held_back == 0 {
            return lines;
        }
        let by = by.iter().map(Need::to_string).collect::<Vec<_>>().join(", ");
        lines.push(match (by.is_empty(), self.expires_slow) {
            (true, _) => format!(
                "  {} is old enough to be dropped, but an initial sync is under way there",
                size(*held_back)
            ),
            (false, false) => format!("  {} is old enough to be dropped, but {by}", size(*held_back)),
            (false, true) => format!("  {} is to be dropped, although {by}", size(*held_back)),
        });
        lines
    }

    /// As an object.
    pub(super) fn for_programs(&self) -> Json {
        let Kept { base, base_bytes, bytes, held_back, by } = &self.kept;
        let by = by
            .iter()
            .map(|need| json!({"destination": need.who, "commit": need.after, "why": need.to_string()}));
        json!({
            "after_commit": base.map(|(base, _)| base),
            "after": base.map(|(_, watermark)| watermark),
            "base_bytes": base_bytes,
            "folded_bytes": bytes,
            "held_back_bytes": held_back,
            "held_back_by": by.collect::<Vec<_>>(),
        })
    }
}
