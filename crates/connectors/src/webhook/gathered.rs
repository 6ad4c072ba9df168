//! The records of several messages as those of one, each with what its request's headers say.

use std::collections::HashMap;

use crate::records::{Cell, Rows, Shape};

/// The records of one message.
pub(super) struct Message {
    pub(super) rows: Box<dyn Rows + Send>,
    /// Columns that are the same in each of its records.
    pub(super) headers: Vec<(String, String)>,
}

/// Records of some messages, one after the other.
pub(super) struct Gathered<'a> {
    messages: Vec<&'a Message>,
    names: Vec<String>,
    /// For each message where it has each column.
    sources: Vec<Vec<Option<Source>>>,
    /// For each record its message and its place in it.
    places: Vec<(usize, usize)>,
}

#[derive(Clone, Copy)]
enum Source {
    Column(usize),
    Header(usize),
}

impl<'a> Gathered<'a> {
    pub(super) fn new(messages: Vec<&'a Message>) -> Self {
        let (mut names, mut index) = (Vec::new(), HashMap::new());
        let mut sources = Vec::with_capacity(messages.len());
        let mut places = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            let headers =
                message.headers.iter().enumerate().map(|(at, (name, _))| (name, Source::Header(at)));
            let columns =
                message.rows.names().iter().enumerate().map(|(at, name)| (name, Source::Column(at)));
            let mut of_message = vec![None; names.len()];
            for (name, source) in columns.chain(headers) {
                let column = *index.entry(name.clone()).or_insert_with(|| {
                    names.push(name.clone());
                    names.len() - 1
                });
                of_message.resize(of_message.len().max(column + 1), None);
                of_message[column] = Some(source);
            }
            sources.push(of_message);
            places.extend((0..message.rows.len()).map(|row| (number, row)));
        }
        Self { messages, names, sources, places }
    }
}

impl Rows for Gathered<'_> {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        let (number, row) = self.places[row];
        let message = self.messages[number];
        match self.sources[number].get(column).copied().flatten() {
            None => Cell::Missing,
            Some(Source::Column(column)) => message.rows.cell(column, row),
            Some(Source::Header(at)) => {
                let text = message.headers[at].1.as_str();
                Cell::Value { text, raw: text, shape: Shape::String }
            }
        }
    }

    fn line(&self, row: usize) -> u64 {
        let (number, row) = self.places[row];
        self.messages[number].rows.line(row)
    }

    fn is_dense(&self) -> bool {
        let columns = self.names.len();
        let is_whole = |of_message: &Vec<Option<Source>>| {
            of_message.len() == columns && of_message.iter().all(Option::is_some)
        };
        self.messages.iter().all(|message| message.rows.is_dense()) && self.sources.iter().all(is_whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BuiltRows, Value};

    #[test]
    fn each_record_has_what_its_message_has() {
        let message = |name: &str, values: &[&str], kind: &str| {
            let mut rows = BuiltRows::default();
            for value in values {
                rows.begin(1);
                rows.put(name, Value::Text((*value).to_owned())).unwrap();
            }
            Message { rows: Box::new(rows), headers: vec![("x-kind".to_owned(), kind.to_owned())] }
        };
        let messages = [message("a", &["1", "2"], "k"), message("b", &["3"], "l")];
        let gathered = Gathered::new(messages.iter().collect());
        assert_eq!(gathered.names(), ["a", "x-kind", "b"]);
        let text = |column, row| match gathered.cell(column, row) {
            Cell::Value { text, .. } => text.to_owned(),
            cell => format!("{cell:?}"),
        };
        let row = |row| [0, 1, 2].map(|column| text(column, row));
        assert_eq!(row(0), ["1", "k", "Missing"]);
        assert_eq!(row(1), ["2", "k", "Missing"]);
        assert_eq!(row(2), ["Missing", "l", "3"]);
        assert!(!gathered.is_dense());
        assert!(Gathered::new(messages[..1].iter().collect()).is_dense());
    }
}
