//! Whether what the pipeline file asks for is there to be read.

use std::collections::BTreeSet;

use tidemark_engine::{Error, Result, change::Op};

use super::{
    Source,
    folder::{self, Found},
    layout::Stream,
    name::reading_order,
    reader::{FileReader, Opened},
    sweep::Seen,
};
use crate::records::{Known, Table};

/// Files of a stream that are looked into.
const FILES: usize = 100;

impl Source {
    /// Everything that stands in the way of a run, found by looking at the folder and at the beginning of each file.
    pub async fn check(&self) -> Vec<Error> {
        let source = self.clone();
        match tokio::task::spawn_blocking(move || source.problems()).await {
            Ok(problems) => problems,
            Err(error) => vec![error.into()],
        }
    }

    fn problems(&self) -> Vec<Error> {
        let folder = self.folder.display();
        if let Err(error) = folder::require(&self.folder) {
            return vec![error];
        }
        let found = match folder::list(&self.folder, self.layout.deep) {
            Ok(found) => found,
            Err(error) => return vec![error],
        };
        let streams = self.layout.streams(&found);
        let mut problems = Vec::new();
        for name in self.layout.unmatched(&streams) {
            problems.push(
                Error::config(format!(
                    "no CSV, JSON Lines or Parquet file in `{folder}` makes a stream `{name}`"
                ))
                .hint(offer(&found)),
            );
        }
        for stream in &streams {
            let mut files = found.iter().filter(|file| stream.owns(file)).collect::<Vec<_>>();
            files.sort_by(|a, b| reading_order(&a.path, &b.path));
            if files.is_empty() {
                problems.push(
                    Error::config(format!(
                        "no file in `{folder}` matches `{}` of stream `{}`",
                        stream.pattern(),
                        stream.outline.name
                    ))
                    .hint(offer(&found)),
                );
            } else {
                check_stream(stream, &files, &mut problems);
            }
        }
        problems
    }
}

fn offer(found: &[Found]) -> String {
    let mut names = found.iter().map(|file| file.path.as_str()).collect::<Vec<_>>();
    names.sort_by(|a, b| reading_order(a, b));
    match names.as_slice() {
        [] => "check `path`: the folder is empty".to_owned(),
        few if few.len() <= 8 => format!("choose from: {}", few.join(", ")),
        many => format!("choose from: {}, … ({} files)", many[..8].join(", "), many.len()),
    }
}

/// What is wrong with the beginnings of a stream's files, and with what the pipeline file says of its columns.
fn check_stream(stream: &Stream, files: &[&Found], problems: &mut Vec<Error>) {
    let mut columns = BTreeSet::new();
    for file in files.iter().take(FILES) {
        match beginning(stream, file) {
            Ok(Some(names)) => {
                if let Some(key) = stream.outline.key.iter().find(|key| !names.contains(key)) {
                    problems.push(
                        Error::config(format!(
                            "key column `{key}` of stream `{}` does not exist in `{}`",
                            stream.outline.name, file.path
                        ))
                        .hint(format!("choose from: {}", names.join(", "))),
                    );
                }
                columns.extend(names);
            }
            Ok(None) => {}
            Err(error) => problems.push(error),
        }
    }
    if columns.is_empty() {
        return;
    }
    let all = columns.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    for (column, key) in stream
        .outline
        .exclude
        .iter()
        .map(|column| (column, "exclude"))
        .chain(stream.outline.kinds.keys().map(|column| (column, "types")))
        .filter(|(column, _)| !columns.contains(*column))
    {
        problems.push(
            Error::config(format!(
                "column `{column}` under `{key}` of stream `{}` is in none of its files",
                stream.outline.name
            ))
            .hint(format!("choose from: {all}")),
        );
    }
}

/// Reads the first records of a file and returns its columns; `None` when it does not have any yet.
fn beginning(stream: &Stream, file: &Found) -> Result<Option<Vec<String>>> {
    let seen = Seen { found: file.clone(), mark: None, rewritten: false };
    let Opened::Reader(mut reader) = FileReader::open(stream, &seen)? else { return Ok(None) };
    // A missing key column is told by name rather than by the first line without it.
    let mut table = Table::new(&stream.outline.without_key(), Known::default());
    reader.next(&mut table, Op::Read, false)?;
    let names = reader.names();
    Ok((!names.is_empty()).then_some(names))
}
