//! JSON documents: records at a place inside one, such as a page of an API or a message. Numbers keep their digits and nested
//! values their text, to the letter.

use tidemark_engine::{Error, Result};

use super::{
    cutter::count_lines,
    document::Document,
    object::{JsonRows, Keys, Object},
    path::RecordPath,
    scan::{Passed, Scan, Unusual},
};

/// Cuts JSON documents into records.
#[derive(Debug, Default)]
pub(crate) struct JsonCutter {
    keys: Keys,
    may_lack: bool,
    passed: Passed,
}

impl JsonCutter {
    /// The same, for documents that have nothing at the path where they have no records.
    pub(crate) fn of_optional(self) -> Self {
        Self { may_lack: true, ..self }
    }

    /// The records of the whole `document` at `path`. An array there holds a record an item, an object is one record, and `null` is
    /// none. `origin` says in errors whose document it is.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] where the document is not whole, valid JSON in UTF-8, is nested too deeply, has
    /// a key twice (in a record or on the way to it), has nothing at `path`, or something else than objects.
    pub(crate) fn records(&mut self, document: &[u8], path: &RecordPath, origin: &str) -> Result<JsonRows> {
        let mut rows = JsonRows::default();
        self.add(&mut rows, document, path, origin)?;
        Ok(rows)
    }

    /// What was passed of the document whose records were read last, for [`text_beside`].
    pub(crate) fn passed(&self) -> Passed {
        self.passed
    }

    /// Adds the records of another document to `rows`, which are this cutter's, and says how many. After an error they are as they
    /// were before.
    pub(crate) fn add(
        &mut self,
        rows: &mut JsonRows,
        document: &[u8],
        path: &RecordPath,
        origin: &str,
    ) -> Result<usize> {
        let document = Document::new(document, origin)?;
        let (before, keys) = ((rows.records(), rows.text().len()), self.keys.names().len());
        let offset = rows.add_text(document.text);
        self.passed = Passed::default();
        let read = self.read_at_once(rows, (document.text, offset), path).or_else(|Unusual| {
            rows.truncate(before.0, offset + document.text.len());
            self.keys.truncate(keys);
            self.read_thoroughly(rows, (document, offset), path)
        });
        if read.is_err() {
            rows.truncate(before.0, before.1);
            self.keys.truncate(keys);
        }
        rows.name(&self.keys);
        read.map(|()| rows.records() - before.0)
    }

    /// Reads the records of a `text`, which begins at `offset` in that of `rows`, while going over it once.
    fn read_at_once(
        &mut self,
        rows: &mut JsonRows,
        (text, offset): (&str, usize),
        path: &RecordPath,
    ) -> Result<(), Unusual> {
        let mut scan = Scan::new(text);
        scan.descend(path.steps(), &mut |scan| self.keys.scan(scan, offset, rows))?;
        scan.end()?;
        self.passed = scan.passed();
        Ok(())
    }

    /// The same for any document, or why it is none.
    fn read_thoroughly(
        &mut self,
        rows: &mut JsonRows,
        (document, offset): (Document<'_>, usize),
        path: &RecordPath,
    ) -> Result<()> {
        document.check_depth()?;
        let mut records = Vec::new();
        for value in document.values(path, self.may_lack)? {
            match value.as_bytes() {
                [b'[', ..] => records.extend(document.items(value, path)?),
                [b'n', ..] => {}
                _ => records.push(value),
            }
        }
        let (mut line, mut seen) = (1, 0);
        for text in records {
            let begin = text.as_ptr().addr() - document.text.as_ptr().addr();
            line += count_lines(&document.text.as_bytes()[seen..begin]);
            seen = begin;
            let origin = document.origin;
            self.keys.read(Object { text, offset: offset + begin, line, origin }, rows)?;
        }
        Ok(())
    }
}

/// The one value at `path`, to the letter: `None` where there is nothing. Fails where the document is not sound, or the path leads to
/// many values. What was `passed` of the same document before is not gone over again.
fn value_at<'d>(
    document: &'d [u8],
    path: &RecordPath,
    origin: &'d str,
    passed: Passed,
) -> Result<Option<&'d str>> {
    let document = Document::new(document, origin)?;
    let mut scan = Scan::past(document.text, passed);
    let found = scan.find(path.steps()).and_then(|found| scan.end().map(|()| found));
    found.or_else(|Unusual| {
        document.check_depth()?;
        document.value(path)
    })
}

/// The text of the one value at `path`: a string without quotes and escapes, a number or a literal as it is written. `None` where there
/// is nothing, or `null`. Fails where it is an object or an array.
pub(crate) fn text_at(document: &[u8], path: &RecordPath, origin: &str) -> Result<Option<String>> {
    text_beside(document, path, origin, Passed::default())
}

/// The same of a document of which a part was `passed` before, when its records were read.
pub(crate) fn text_beside(
    document: &[u8],
    path: &RecordPath,
    origin: &str,
    passed: Passed,
) -> Result<Option<String>> {
    let refused =
        || Error::data(format!("`{origin}` has no text or number at `{path}`")).hint("correct the path");
    match value_at(document, path, origin, passed)? {
        None | Some("null") => Ok(None),
        Some(string) if string.starts_with('"') => {
            serde_json::from_str(string).map(Some).map_err(|_| refused())
        }
        Some(nested) if nested.starts_with(['{', '[']) => Err(refused()),
        Some(literal) => Ok(Some(literal.to_owned())),
    }
}

#[cfg(test)]
mod tests;
