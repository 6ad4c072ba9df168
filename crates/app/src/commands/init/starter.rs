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
    let example_source = Source::Folder("./data".into());
    let example_destination = Destination::Sqlite("./copy.db".into());
    let change_me = |given: bool| if given { "" } else { "    # change me" };

    let source_keys = match source.unwrap_or(&example_source) {
        Source::Folder(path) => {
            let path = quoted_path(path);
            format!("  path: {path}{}\n{STREAMS}", change_me(source.is_some()))
        }
        Source::File { folder, name } => {
            let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
            let (folder, stream, files) = (quoted_path(folder), quoted(&stem), quoted(&glob_escaped(name)));
            format!("  path: {folder}\n  streams:\n    {stream}:\n      files: {files}\n{KEY}")
        }
    };
    let (system, path) = match destination.unwrap_or(&example_destination) {
        Destination::Sqlite(path) => ("sqlite", path),
        Destination::Files(path) => ("files", path),
    };
    let mode = match system {
        "sqlite" => "append           # every change becomes a row; `mirror`: a copy of the source, by key",
        _ => "append           # every change becomes a record",
    };
    let destination_name = name_from(&path.file_stem().unwrap_or_default().to_string_lossy(), "copy");
    format!(
        "# A Tidemark pipeline. Check it with `tidemark check`.\n\
         name: {name}              # the name of its log: a new name is a new log\n\
         \n\
         source:\n  type: files\n{source_keys}\
         \n\
         staging: ./staging       # where everything that was read is kept\n\
         \n\
         destinations:\n  {destination_name}:\n    type: {system}\n    path: {}{}\n    write: {mode}\n",
        quoted_path(path),
        change_me(destination.is_some()),
    )
}

const STREAMS: &str =
    "  # Every CSV, JSON Lines and Parquet file in there is a stream. To name streams and give them keys:
  # streams:
  #   orders:
  #     files: orders-*.csv
  #     key: [id]
";

const KEY: &str = "      # key: [id]        # the columns that tell records apart
";

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
