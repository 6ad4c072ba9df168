//! What a file's name tells: its format, the stream it would be by default, and its place in the reading order.

use std::cmp::Ordering;

use super::super::SourceFormat;

/// Extensions of compressed files, which are not read: behind a rotated file they hold what was read before.
const COMPRESSED: [&str; 7] = ["gz", "zst", "bz2", "xz", "zip", "lz4", "7z"];

/// A file name taken apart: `events.jsonl.1` is the stem `events`, the format JSON Lines, the rotation `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    /// The name before the format's extension.
    pub(super) stem: &'a str,
    /// By the extension.
    pub(super) format: SourceFormat,
    /// What a rotating logger put behind the extension: `1`, `20130101`. Empty for the file in use.
    rotation: &'a str,
}

impl<'a> FileName<'a> {
    /// Takes the last part of `path` apart; `None` when no extension in it names a format.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let dots = name.match_indices('.').map(|(at, _)| at);
        dots.rev().find_map(|at| {
            let extension = &name[at + 1..];
            let end = extension.find(['.', '-']).unwrap_or(extension.len());
            let format = format_of(&extension[..end])?;
            let rotation = extension.get(end + 1..).unwrap_or_default();
            Some(Self { stem: &name[..at], format, rotation })
        })
    }
}

fn format_of(extension: &str) -> Option<SourceFormat> {
    Some(match extension.to_ascii_lowercase().as_str() {
        "csv" => SourceFormat::Csv,
        "jsonl" | "ndjson" => SourceFormat::Jsonl,
        "parquet" => SourceFormat::Parquet,
        _ => return None,
    })
}

/// Whether a file is none of a source's: hidden, or still being written under a temporary name.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".part") || is_compressed(name)
}

/// Whether the last extension is a compressed format's.
pub(super) fn is_compressed(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| COMPRESSED.contains(&extension))
}

/// The order in which the files of a stream are read: by name, numbers by value (`part-2` before `part-10`). A rotated
/// file comes before the one in use, for it is older: `a.csv.2`, `a.csv.1`, `a.csv`; `a.csv-20130101`, `a.csv`.
pub(super) fn reading_order(a: &str, b: &str) -> Ordering {
    let ((a_base, a_rotation), (b_base, b_rotation)) = (split_rotation(a), split_rotation(b));
    let rotation = match (a_rotation.parse::<u64>(), b_rotation.parse::<u64>()) {
        _ if a_rotation.is_empty() || b_rotation.is_empty() => {
            a_rotation.is_empty().cmp(&b_rotation.is_empty())
        }
        // A counter grows with age, a date shrinks.
        (Ok(a), Ok(b)) if a < 10_000 && b < 10_000 => b.cmp(&a),
        _ => natural(a_rotation, b_rotation),
    };
    natural(a_base, b_base).then(rotation).then_with(|| a.cmp(b))
}

fn split_rotation(path: &str) -> (&str, &str) {
    match FileName::parse(path) {
        Some(name) if !name.rotation.is_empty() => {
            (&path[..path.len() - name.rotation.len() - 1], name.rotation)
        }
        _ => (path, ""),
    }
}

/// Compares texts with runs of digits as the numbers they are.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let ((a_digits, a_rest), (b_digits, b_rest)) = (split_digits(a), split_digits(b));
        if a_digits.is_empty() || b_digits.is_empty() {
            let (mut a_chars, mut b_chars) = (a.chars(), b.chars());
            match (a_chars.next(), b_chars.next()) {
                (Some(a_char), Some(b_char)) if a_char == b_char => {
                    (a, b) = (a_chars.as_str(), b_chars.as_str())
                }
                (a_char, b_char) => return a_char.cmp(&b_char),
            }
            continue;
        }
        let (a_number, b_number) = (a_digits.trim_start_matches('0'), b_digits.trim_start_matches('0'));
        match a_number.len().cmp(&b_number.len()).then_with(|| a_number.cmp(b_number)) {
            Ordering::Equal => (a, b) = (a_rest, b_rest),
            order => return order,
        }
    }
}

/// Splits behind the leading digits.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let parse = |name| FileName::parse(name).map(|name| (name.stem, name.format, name.rotation));
        assert_eq!(parse("a/flights.csv"), Some(("flights", SourceFormat::Csv, "")));
        assert_eq!(parse("events.jsonl.1"), Some(("events", SourceFormat::Jsonl, "1")));
        assert_eq!(parse("events.ndjson-20130101"), Some(("events", SourceFormat::Jsonl, "20130101")));
        assert_eq!(parse("a.b.PARQUET"), Some(("a.b", SourceFormat::Parquet, "")));
        assert_eq!(parse("notes.txt"), None);
        assert_eq!(parse("csv"), None);
    }

    #[test]
    fn files_are_read_in_natural_order_and_rotated_ones_first() {
        let mut names = [
            "b.csv",
            "a10.csv",
            "a.csv",
            "a.csv.1",
            "a.csv.10",
            "a2.csv",
            "a.csv-20130102",
            "a.csv-20130101",
        ];
        names.sort_by(|a, b| reading_order(a, b));
        let expected = [
            "a.csv.10",
            "a.csv.1",
            "a.csv-20130101",
            "a.csv-20130102",
            "a.csv",
            "a2.csv",
            "a10.csv",
            "b.csv",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn unfinished_and_hidden_files_are_ignored() {
        for name in [".a.csv", "a.csv.tmp", "a.csv.part", "a.csv.1.gz"] {
            assert!(is_ignored(name), "{name}");
        }
        assert!(!is_ignored("a.csv"));
    }
}
