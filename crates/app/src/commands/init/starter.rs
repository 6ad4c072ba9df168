//! The text of a starter pipeline file.

use std::path::Path;

use super::system::{Destination, Source};

/// The pipeline's name: the file's, as far as it is a name.
pub(super) fn name_for(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    name_from(stem.split('.').next().unwrap_or_default(), "pipeline")
}

/// The pipeline file. What is not given is filled in as an example.
pub(super) fn write(name: &str, source: Option<&Source>, destination: Option<&Destination>) -> String {
    let mut lines = vec!["# A Tidemark pipeline. Check it with `tidemark check`.".to_owned()];
    lines.push(explained(&format!("name: {name}"), "names its log as well: a new name is a new log"));
    lines.push(String::new());
    lines.extend(source_lines(source));
    lines.push(String::new());
    lines.push(explained(
        "staging: ./staging",
        "where everything that was read is kept; also az://, s3://, gs://",
    ));
    lines.push(String::new());
    let mirrored = matches!(source, Some(Source::Postgres(_)));
    lines.extend(destination_lines(destination, mirrored));
    lines.join("\n") + "\n"
}

fn source_lines(source: Option<&Source>) -> Vec<String> {
    if let Some(Source::Postgres(url)) = source {
        return postgres_lines(url);
    }
    let mut lines = vec!["source:".to_owned(), "  type: files".to_owned()];
    match source {
        Some(Source::Postgres(_)) => {}
        None => {
            lines.push(explained("  path: ./data", "change me: a folder"));
            lines.extend(STREAMS.map(str::to_owned));
        }
        Some(Source::Folder(path)) => {
            lines.push(format!("  path: {}", quoted_path(path)));
            lines.extend(STREAMS.map(str::to_owned));
        }
        Some(Source::File { folder, name }) => {
            let stream = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
            lines.push(format!("  path: {}", quoted_path(folder)));
            lines.push("  streams:".to_owned());
            lines.push(format!("    {}:", quoted(&stream)));
            lines.push(format!("      files: {}", quoted(&glob_escaped(name))));
            lines.push(explained("      # key: [id]", "the columns that tell records apart"));
        }
    }
    lines
}

fn postgres_lines(url: &str) -> Vec<String> {
    [
        "source:",
        "  type: postgres",
        &format!("  url: {}", quoted(url)),
        "  # Better kept elsewhere: url: ${SOURCE_URL}",
        "  # Every table is a stream. To choose, and to leave columns out:",
        "  # streams:",
        "  #   public.orders: {exclude: [note]}",
        "  #   \"sales.*\": {}",
    ]
    .map(str::to_owned)
    .into()
}

const STREAMS: [&str; 5] = [
    "  # Every CSV, JSON Lines and Parquet file in there is a stream. To choose, and to give them keys:",
    "  # streams:",
    "  #   orders:",
    "  #     files: orders-*.csv",
    "  #     key: [id]",
];

fn destination_lines(destination: Option<&Destination>, mirrored: bool) -> Vec<String> {
    let example = Destination::Sqlite("./copy.db".into());
    let (system, place, write) = match destination.unwrap_or(&example) {
        Destination::Sqlite(path) => {
            ("sqlite", path.clone(), "every change becomes a row; `mirror` keeps a copy, by key")
        }
        Destination::Files(path) => ("files", path.clone(), "every change becomes a record"),
        Destination::Postgres(url) => {
            return vec![
                "destinations:".to_owned(),
                "  copy:".to_owned(),
                "    type: postgres".to_owned(),
                format!("    url: {}", quoted(url)),
                write_line(mirrored),
            ];
        }
    };
    let mirrored = mirrored && system == "sqlite";
    let name = name_from(&place.file_stem().unwrap_or_default().to_string_lossy(), "copy");
    let path = format!("    path: {}", quoted_path(&place));
    vec![
        "destinations:".to_owned(),
        format!("  {name}:"),
        format!("    type: {system}"),
        if destination.is_some() { path } else { explained(&path, "change me: a file to make") },
        if mirrored { write_line(true) } else { explained("    write: append", write) },
    ]
}

fn write_line(mirrored: bool) -> String {
    match mirrored {
        true => explained("    write: mirror", "a copy of the source, by key; `append` keeps every change"),
        false => explained("    write: append", "every change becomes a row; `mirror` keeps a copy, by key"),
    }
}

/// A line with a comment, in a column of comments.
fn explained(line: &str, comment: &str) -> String {
    format!("{line:<24} # {comment}")
}

/// A word of letters, digits, `-` and `_`, made of `text`.
fn name_from(text: &str, otherwise: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let word: String = text.chars().map(safe).take(63).collect();
    let word = word.trim_matches(['-', '_']);
    if word.is_empty() { otherwise.to_owned() } else { as_yaml(word) }
}

/// YAML reads `123` and `true` as something else than names.
fn as_yaml(word: &str) -> String {
    let is_name = word.starts_with(|first: char| first.is_ascii_alphabetic())
        && !matches!(word, "true" | "false" | "null");
    if is_name { word.to_owned() } else { format!("pipeline-{}", word.chars().take(50).collect::<String>()) }
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// `text` as a YAML scalar that stands for exactly this text.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '.'));
    if starts_well && text.chars().all(plain) && !matches!(text, "true" | "false" | "null") {
        return text.to_owned();
    }
    // A JSON string is a YAML double-quoted scalar. `${` would be a variable.
    serde_json::Value::from(text.replace("${", "$${")).to_string()
}

/// The glob that matches the file `name` alone.
fn glob_escaped(name: &str) -> String {
    let escape = |c: char| {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}') { format!("[{c}]") } else { c.to_string() }
    };
    name.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_yaml_leaves_alone() {
        assert_eq!(name_for(Path::new("conf/flights.prod.yaml")), "flights");
        assert_eq!(name_for(Path::new("my pipeline!.yaml")), "my-pipeline");
        assert_eq!(name_for(Path::new("2024.yaml")), "pipeline-2024");
        assert_eq!(name_for(Path::new("äö.yaml")), "pipeline");
    }

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(quoted("./data"), "./data");
        assert_eq!(quoted("my data: ${x}"), "\"my data: $${x}\"");
        assert_eq!(quoted(".5 x"), "\".5 x\"");
    }
}
