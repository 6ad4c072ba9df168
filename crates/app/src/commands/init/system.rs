//! Which system a path or URL on the command line means.

use std::path::{Component, Path, PathBuf};

use tidemark_engine::Error;

/// A source of the starter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Every file of a folder.
    Folder(PathBuf),
    /// One file, which makes one stream.
    File { folder: PathBuf, name: String },
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

/// A destination of the starter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Files(PathBuf),
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

impl Source {
    /// Reads what was typed, from where the command runs; paths are made to start at `folder`, the pipeline file's.
    pub(super) fn parse(typed: &str, folder: &Path) -> Result<Self, Error> {
        if is_postgres(typed) {
            return Ok(Self::Postgres(typed.to_owned()));
        }
        let path = local(typed, "source", "`postgres://…`, a folder, or a CSV, JSON Lines or Parquet file")?;
        let is_file =
            path.is_file() || has_extension(&path, &["csv", "jsonl", "ndjson", "parquet"]) && !path.is_dir();
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if is_file => {
                let parent = path.parent().unwrap_or("".as_ref());
                Ok(Self::File { folder: from_folder(parent, folder), name: name.to_owned() })
            }
            _ => Ok(Self::Folder(from_folder(&path, folder))),
        }
    }
}

impl Destination {
    /// Reads what was typed, as [`Source::parse`] does.
    pub(super) fn parse(typed: &str, folder: &Path) -> Result<Self, Error> {
        if is_postgres(typed) {
            return Ok(Self::Postgres(typed.to_owned()));
        }
        if let Some(path) = typed.strip_prefix("sqlite:") {
            let path = local(path.strip_prefix("//").unwrap_or(path), "destination", "`sqlite:PATH`")?;
            return Ok(Self::Sqlite(from_folder(&path, folder)));
        }
        let path = local(
            typed,
            "destination",
            "`postgres://…`, `sqlite:PATH`, a path that ends in `.db`, or a folder",
        )?;
        let is_database = has_extension(&path, &["db", "sqlite", "sqlite3"]) && !path.is_dir();
        let path = from_folder(&path, folder);
        Ok(if is_database { Self::Sqlite(path) } else { Self::Files(path) })
    }
}

fn is_postgres(typed: &str) -> bool {
    typed.starts_with("postgres://") || typed.starts_with("postgresql://")
}

/// The path that was typed; a URL is none.
fn local(typed: &str, role: &str, supported: &str) -> Result<PathBuf, Error> {
    if typed.is_empty() {
        return Err(Error::config(format!("the {role} is an empty path")).hint(format!("give {supported}")));
    }
    match typed.split_once("://") {
        Some((scheme, _)) => {
            let error = Error::config(format!("`{scheme}://` is no {role} that this version knows"));
            Err(error.hint(format!("give {supported}")))
        }
        None => Ok(PathBuf::from(typed)),
    }
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|own| extensions.iter().any(|extension| own.eq_ignore_ascii_case(extension)))
}

/// The relative `path` as seen from `folder`: the same file is named from the command's folder and in the pipeline file.
fn from_folder(path: &Path, folder: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let stays = path.is_absolute() || folder.as_os_str().is_empty() || folder == Path::new(".");
    let (Ok(path_at), Ok(folder_at)) = (std::path::absolute(path), std::path::absolute(folder)) else {
        return path.to_owned();
    };
    let has_parents =
        [&path_at, &folder_at].iter().any(|path| path.components().any(|c| c == Component::ParentDir));
    match (stays, has_parents) {
        (true, _) => path.to_owned(),
        // `..` can lead anywhere through a link; the absolute path cannot be wrong.
        (false, true) => path_at,
        (false, false) => {
            let shared = path_at.components().zip(folder_at.components()).take_while(|(a, b)| a == b).count();
            let up = folder_at.components().skip(shared).map(|_| Component::ParentDir);
            let relative: PathBuf = up.chain(path_at.components().skip(shared)).collect();
            if relative.as_os_str().is_empty() { ".".into() } else { relative }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_their_system() {
        let here = Path::new("");
        let destination = |typed| Destination::parse(typed, here).unwrap();
        assert_eq!(destination("sqlite:out/x"), Destination::Sqlite("out/x".into()));
        assert_eq!(destination("copy.db"), Destination::Sqlite("copy.db".into()));
        assert_eq!(destination("./archive"), Destination::Files("./archive".into()));
        assert_eq!(Source::parse("./data", here).unwrap(), Source::Folder("./data".into()));
        let file = Source::File { folder: "data".into(), name: "a.csv".into() };
        assert_eq!(Source::parse("data/a.csv", here).unwrap(), file);
        assert_eq!(
            Source::parse("mysql://u:secret@h/db", here).unwrap_err().to_string(),
            "`mysql://` is no source that this version knows"
        );
    }

    #[test]
    fn relative_paths_start_at_the_pipeline_files_folder() {
        assert_eq!(from_folder(Path::new("data"), Path::new("conf/prod")), Path::new("../../data"));
        assert_eq!(from_folder(Path::new("conf/data"), Path::new("conf")), Path::new("data"));
        assert_eq!(from_folder(Path::new("/data"), Path::new("conf")), Path::new("/data"));
    }
}
