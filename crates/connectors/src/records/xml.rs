//! XML: the elements at a path are records.
//!
//! Of a record, each attribute is a column `@name`, and each element in it a column: of its text when it has nothing but text, of JSON
//! when it has attributes or elements of its own, or there are several of its name. Text of the record itself is a column `#text`. In JSON
//! the same holds: an object with `@name`, elements and `#text`, an array of those with one name. An element with nothing in it has no
//! value. Names stand with their prefixes, as they are written; comments and processing instructions say nothing.
//!
//! A document with a document type is refused, so no entity stands for anything but the five that XML has itself: nothing is fetched,
//! nothing expands.

mod node;

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};
use tidemark_engine::{Error, Result};

use super::{
    Cell, Rows,
    built::{BuiltRows, Refusal},
    cutter::count_lines,
};
use node::Node;

/// The column of what a record has beside attributes and elements.
const TEXT: &str = "#text";
/// Elements within elements; deeper ones are refused.
const DEPTH: usize = 64;
/// Attributes of one element; more are refused.
const ATTRIBUTES: usize = 1_024;

/// Where the records of a document stand: `/orders/order`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct XmlPath(Vec<String>);

impl XmlPath {
    /// The outermost element.
    pub(crate) fn root() -> Self {
        Self(Vec::new())
    }

    /// Reads `/orders/order`: the names of elements from the outermost one on. `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let names: Vec<String> = text.strip_prefix('/')?.split('/').map(str::to_owned).collect();
        let is_name = |name: &String| {
            !name.is_empty()
                && !name.contains(|char: char| char.is_whitespace() || "<>&@*[]()\"'=".contains(char))
        };
        (names.len() <= DEPTH && names.iter().all(is_name)).then_some(Self(names))
    }

    /// The same for one of the pipeline file.
    pub(crate) fn configured(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| {
            Error::config(format!("`{text}` is no path to elements"))
                .hint("write the names of elements from the outermost one on, such as `/feed/entry`")
        })
    }

    /// Whether an element in `open` elements is a record.
    fn ends_at(&self, open: &[String]) -> bool {
        if self.0.is_empty() { open.len() == 1 } else { self.0 == open }
    }
}

/// The text of the one element at `path`; `None` where there is none, or nothing in it. Fails where there are several, or it has elements
/// of its own.
pub(crate) fn text_at(document: &[u8], path: &XmlPath, origin: &str) -> Result<Option<String>> {
    let rows = records(document, path, origin)?;
    match (rows.len(), rows.names()) {
        (0, _) | (1, []) => Ok(None),
        (1, [name]) if name == TEXT => Ok(match rows.cell(0, 0) {
            Cell::Value { text, .. } => Some(text.to_owned()),
            Cell::Missing | Cell::Null => None,
        }),
        _ => Err(Error::data(format!("`{origin}` has no text alone where one is to be looked for"))
            .hint("correct the path")),
    }
}

/// The records of `document`; `origin` names it in messages.
pub(crate) fn records(document: &[u8], path: &XmlPath, origin: &str) -> Result<BuiltRows> {
    let text = std::str::from_utf8(document).map_err(|error| {
        let line = 1 + count_lines(&document[..error.valid_up_to()]);
        Error::data(format!("line {line} of `{origin}` is not UTF-8")).hint("send the document as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut walk = Walk {
        path,
        origin,
        text,
        open: Vec::new(),
        nodes: Vec::new(),
        rows: BuiltRows::default(),
        ended: false,
    };
    walk.document()?;
    Ok(walk.rows)
}

/// A document that is being read.
struct Walk<'a> {
    path: &'a XmlPath,
    origin: &'a str,
    text: &'a str,
    /// The elements around a record that are open.
    open: Vec<String>,
    /// The record that is open and the elements in it, the innermost last.
    nodes: Vec<Node>,
    rows: BuiltRows,
    /// Whether the outermost element is behind.
    ended: bool,
}

impl Walk<'_> {
    fn document(&mut self) -> Result<()> {
        let mut reader = Reader::from_str(self.text);
        reader.config_mut().enable_all_checks(true);
        loop {
            let at = usize::try_from(reader.buffer_position()).unwrap_or(0);
            // The parser's own message may hold a value.
            let event = reader.read_event().map_err(|_| self.malformed(at, "is not well-formed XML"))?;
            match event {
                Event::Start(start) => self.begin(&start, at)?,
                Event::Empty(start) => {
                    self.begin(&start, at)?;
                    self.end(at)?;
                }
                Event::End(_) => self.end(at)?,
                Event::Text(text) => {
                    let text =
                        text.xml10_content().map_err(|_| self.malformed(at, "is not well-formed XML"))?;
                    self.add(&text, at)?;
                }
                Event::CData(data) => {
                    let text =
                        data.xml10_content().map_err(|_| self.malformed(at, "is not well-formed XML"))?;
                    self.add(&text, at)?;
                }
                Event::GeneralRef(reference) => {
                    let name =
                        reference.decode().map_err(|_| self.malformed(at, "is not well-formed XML"))?;
                    let text = match reference.resolve_char_ref() {
                        Ok(Some(char)) => char.to_string(),
                        Ok(None) => resolve_predefined_entity(&name)
                            .ok_or_else(|| {
                                self.malformed(at, "refers to an entity that XML itself does not have")
                            })?
                            .to_owned(),
                        Err(_) => return Err(self.malformed(at, "refers to a character that there is not")),
                    };
                    self.add(&text, at)?;
                }
                Event::Decl(declaration) => {
                    let is_utf8 = match declaration.encoding() {
                        None => true,
                        Some(Ok(name)) => {
                            name.eq_ignore_ascii_case(b"utf-8") || name.eq_ignore_ascii_case(b"us-ascii")
                        }
                        Some(Err(_)) => false,
                    };
                    if !is_utf8 {
                        return Err(self.malformed(at, "declares an encoding other than UTF-8"));
                    }
                }
                Event::DocType(_) => return Err(self.malformed(at, "has a document type, which is refused")),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        if self.ended {
            Ok(())
        } else {
            Err(self.malformed(self.text.len(), "ends before its outermost element does"))
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>, at: usize) -> Result<()> {
        if self.ended {
            return Err(self.malformed(at, "has more than one outermost element"));
        }
        if self.open.len() + self.nodes.len() >= DEPTH {
            return Err(self.malformed(at, "has too many elements within one another"));
        }
        let name = std::str::from_utf8(start.name().into_inner())
            .map_err(|_| self.malformed(at, "is not well-formed XML"))?
            .to_owned();
        if self.nodes.is_empty() {
            self.open.push(name.clone());
            if !self.path.ends_at(&self.open) {
                return Ok(());
            }
            self.open.pop();
        }
        let mut node = Node::new(name, self.line(at));
        for (number, attribute) in start.attributes().enumerate() {
            let attribute = attribute
                .map_err(|_| self.malformed(at, "has an attribute that is not well-formed or there twice"))?;
            if number == ATTRIBUTES {
                return Err(self.malformed(at, "has an element with too many attributes"));
            }
            let name = std::str::from_utf8(attribute.key.into_inner())
                .map_err(|_| self.malformed(at, "is not well-formed XML"))?;
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .map_err(|_| self.malformed(at, "has an attribute whose value is not well-formed"))?;
            node.attribute(name, &value);
        }
        self.nodes.push(node);
        Ok(())
    }

    fn end(&mut self, at: usize) -> Result<()> {
        let Some(node) = self.nodes.pop() else {
            self.open.pop();
            self.ended = self.open.is_empty();
            return Ok(());
        };
        match self.nodes.last_mut() {
            Some(parent) => parent.child(node),
            None => {
                self.ended = self.open.is_empty();
                self.rows.begin(node.line());
                for (name, value) in node.into_values() {
                    self.rows.put(&name, value).map_err(|refusal| {
                        self.malformed(
                            at,
                            match refusal {
                                Refusal::Twice => "has a name twice in a record",
                                Refusal::Columns => "has too many different names in its records",
                            },
                        )
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Text in the innermost element. Around the records it says nothing, and outside of all elements only white space may stand.
    fn add(&mut self, text: &str, at: usize) -> Result<()> {
        match self.nodes.last_mut() {
            Some(node) => node.add(text),
            None if self.open.is_empty() && !text.trim_ascii().is_empty() => {
                return Err(self.malformed(at, "has text outside of its outermost element"));
            }
            None => {}
        }
        Ok(())
    }

    fn line(&self, at: usize) -> u64 {
        1 + count_lines(&self.text.as_bytes()[..at.min(self.text.len())])
    }

    fn malformed(&self, at: usize, what: &str) -> Error {
        Error::data(format!("line {} of `{}` {what}", self.line(at), self.origin))
            .hint("send well-formed XML in UTF-8, without a document type")
    }
}

#[cfg(test)]
mod tests;
