//! Dead letters for people and for programs.

use serde_json::{Value as Json, json};
use tidemark_engine::{
    Result,
    log::{DeadLetter, Log},
};

use super::Kept;
use crate::change_line::{ChangeLine, Style};

/// One line a letter.
pub(super) fn for_people(boxes: &[Kept<'_>]) -> String {
    let letters = || boxes.iter().flat_map(|it| it.letters.iter().map(move |letter| (it.name(), letter)));
    let cells = letters().map(|(name, letter)| {
        let why = match letter.behind {
            Some(behind) => format!("behind {behind}"),
            None => letter.error.clone(),
        };
        let (id, op, time) = (letter.id.to_string(), letter.op.to_string(), letter.time.to_string());
        [name.to_owned(), id, letter.stream.to_string(), op, time, why]
    });
    let cells = cells.collect::<Vec<_>>();
    if cells.is_empty() {
        return "there are no dead letters".to_owned();
    }
    let widths = [0, 1, 2].map(|at| cells.iter().map(|cells| cells[at].chars().count()).max().unwrap_or(0));
    let line = |[name, id, stream, op, time, why]: &[String; 6]| {
        let [first, second, third] = widths;
        format!("{name:first$}  {id:second$}  {stream:third$}  {op}  {time}  {why}")
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn for_programs(boxes: &[Kept<'_>]) -> Json {
    let letters = boxes.iter().flat_map(|it| it.letters.iter().map(move |letter| known(it.name(), letter)));
    Json::Array(letters.collect())
}

/// Everything that is known of a letter, and its change.
pub(super) fn letter_for_people(destination: &str, letter: &DeadLetter, change: &str) -> String {
    let DeadLetter { id, stream, error, hint, behind, time, attempts, played, keys, .. } = letter;
    let mut lines = vec![format!("dead letter `{id}` of destination `{destination}`")];
    lines.push(format!("  stream: {stream}, to be played with commit {played}"));
    lines.extend(behind.map(|behind| format!("  behind: {behind}")));
    lines.push(format!("  error: {error}"));
    lines.extend(hint.as_ref().map(|hint| format!("  hint: {hint}")));
    lines.push(format!("  since: {time}, tried {attempts} times"));
    lines.extend(keys.iter().map(|key| format!("  holds: {key}")));
    lines.push(format!("  change: {change}"));
    lines.join("\n")
}

/// The same as one line of JSON. The change is JSON already, to the letter.
pub(super) fn letter_for_programs(destination: &str, letter: &DeadLetter, change: Option<&str>) -> String {
    let known = known(destination, letter).to_string();
    match change {
        None => known,
        Some(change) => format!("{},\"change\":{change}}}", known.trim_end_matches('}')),
    }
}

fn known(destination: &str, letter: &DeadLetter) -> Json {
    let DeadLetter { id, stream, op, error, kind, hint, behind, time, attempts, played, .. } = letter;
    json!({
        "destination": destination,
        "id": id,
        "stream": stream,
        "op": op,
        "commit": id.sequence,
        "ordinal": id.ordinal,
        "played": played,
        "error": error,
        "kind": kind,
        "hint": hint,
        "behind": behind,
        "time": time,
        "attempts": attempts,
    })
}

/// The change of `letter` as a JSON object, as `tidemark changes --json` prints it.
pub(super) async fn change(log: &Log, letter: &DeadLetter) -> Result<String> {
    let delivery = log.change_of(letter).await?;
    let recorded = log.commit(letter.id.sequence).await?.time();
    ChangeLine::new(log.id(), recorded, &delivery, Style::Json).of(0)
}
