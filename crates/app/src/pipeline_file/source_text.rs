//! The text of the pipeline file, for quoting in messages.

use std::path::{Path, PathBuf};

use regex_lite::{Captures, Regex};

use super::tree::Span;

/// The file and what stands in it.
#[derive(Debug, Clone)]
pub(crate) struct SourceText {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// One line of the file and the part of it that is meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) line: String,
    /// Characters before the part.
    pub(crate) before: usize,
    /// Characters of the part; at least one.
    pub(crate) width: usize,
}

/// Characters of a line that is still quoted.
const MAX_LENGTH: usize = 300;

impl SourceText {
    /// The folder that the file's relative paths start at.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// A line by its number from 1, as YAML counts them: a carriage return alone ends one, too.
    pub(crate) fn line(&self, number: usize) -> Option<&str> {
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text);
        let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        lines.flat_map(|line| line.split('\r')).nth(number.checked_sub(1)?)
    }

    /// The line where `at` begins. Nothing for a span that means the whole file, or a line too long to read.
    pub(crate) fn excerpt(&self, at: Span) -> Option<Excerpt> {
        let line = self.line(at.line)?;
        let length = line.chars().count();
        if length > MAX_LENGTH {
            return None;
        }
        let start = at.column.saturating_sub(1).min(length);
        let end = if at.end_line == at.line {
            at.end_column.saturating_sub(1)
        } else {
            line.trim_end().chars().count()
        };
        let end = end.clamp(start, length);

        // A password that was typed out may change its length, so the columns are counted in the masked text.
        let masked_columns = |columns: usize| {
            let prefix: String = line.chars().take(columns).collect();
            mask_secrets(&prefix).chars().count()
        };
        let before = if start == end { start } else { masked_columns(start) };
        let width = masked_columns(end).saturating_sub(before).max(1);
        let line = mask_secrets(line).replace(char::is_control, " ");
        Some(Excerpt { line, before, width })
    }
}

/// Hides the password of every URL in `text`: `postgres://app:***@db/orders`. One that is interpolated
/// (`postgres://app:${PASSWORD}@db/orders`) is no secret and stays.
pub(crate) fn mask_passwords(text: &str) -> String {
    let Some(scheme) = text.find("://") else { return text.to_owned() };
    let (head, rest) = text.split_at(scheme + 3);
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')).unwrap_or(rest.len());
    let (url, tail) = rest.split_at(end);
    let masked = match url.rsplit_once('@').map(|(login, host)| (login.split_once(':'), host)) {
        Some((Some((user, password)), host)) if !is_interpolation(password) => format!("{user}:***@{host}"),
        _ => url.to_owned(),
    };
    format!("{head}{masked}{}", mask_passwords(tail))
}

/// Hides also what stands after a key that sounds like a secret, for a line that is quoted.
fn mask_secrets(line: &str) -> String {
    let line = mask_passwords(line);
    let Ok(secret) = Regex::new(SECRET) else { return line };
    let mask = |found: &Captures<'_>| match &found["value"] {
        value if is_interpolation(value.trim_matches(['"', '\''])) => found[0].to_owned(),
        _ => format!("{}***", &found["key"]),
    };
    secret.replace_all(&line, mask).into_owned()
}

/// `password: hunter2`, `"api_key": "a b"`; in flow style up to the comma or brace.
const SECRET: &str = concat!(
    r#"(?i)(?<key>(?:\w*(?:password|passwd|secret|token|api_?key)\w*|\bkey)["']?\s*:\s+)"#,
    r#"(?<value>"[^"]*"?|'[^']*'?|\$\{[^}]*\}|[^\s,}{\[\]][^,}]*)"#
);

fn is_interpolation(password: &str) -> bool {
    let inner = password.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    // A default is typed out as well.
    inner.is_some_and(|inner| !inner.contains("${") && !inner.contains(":-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_masked() {
        for (text, masked) in [
            ("a: postgres://app:s3cr3t@db/x", "a: postgres://app:***@db/x"),
            ("[\"a://u:p@ss@h\", 'b://u:p@h/']", "[\"a://u:***@h\", 'b://u:***@h/']"),
            ("postgres://app:${PW}@db", "postgres://app:${PW}@db"),
            ("postgres://app:${PW:-x}@db", "postgres://app:***@db"),
            ("https://host:80/path", "https://host:80/path"),
            ("no url: here@all", "no url: here@all"),
        ] {
            assert_eq!(mask_passwords(text), masked);
        }
    }

    #[test]
    fn values_of_secret_keys_are_masked() {
        for (line, masked) in [
            ("  password: hunter2 and more", "  password: ***"),
            ("{api_key: 'a b', path: x}", "{api_key: ***, path: x}"),
            ("db_password: ${PW}", "db_password: ${PW}"),
            ("\"token\": \"${T}\"", "\"token\": \"${T}\""),
            ("password:", "password:"),
            ("key: [id]", "key: [id]"),
            ("encryption: {key: abc=, previous: []}", "encryption: {key: ***, previous: []}"),
            ("- key: 'abc='", "- key: ***"),
            ("key_file: ./key", "key_file: ./key"),
        ] {
            assert_eq!(mask_secrets(line), masked);
        }
    }

    #[test]
    fn lines_are_those_that_yaml_counts() {
        let text = SourceText { path: "p.yaml".into(), text: "a: 1\rb: 2\r\nc: 3\n\nd: 4\n".into() };
        let lines: Vec<_> = (0..7).map(|number| text.line(number)).collect();
        assert_eq!(lines, [None, Some("a: 1"), Some("b: 2"), Some("c: 3"), Some(""), Some("d: 4"), None]);
    }

    #[test]
    fn an_excerpt_points_at_the_part_after_a_masked_password() {
        let text = SourceText { path: "p.yaml".into(), text: "{url: 'a://u:secret@h', wirte: x}".into() };
        let excerpt = text.excerpt(Span { line: 1, column: 25, end_line: 1, end_column: 30 });
        assert_eq!(
            excerpt,
            Some(Excerpt { line: "{url: 'a://u:***@h', wirte: x}".into(), before: 21, width: 5 })
        );
    }
}
