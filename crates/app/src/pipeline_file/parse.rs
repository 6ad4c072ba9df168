//! From the file's text to its tree. Values are interpolated on the way, after YAML has decided where they end.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span as Marks, StrInput};

use super::{
    interpolation::Interpolation,
    problem::{Problem, Step, name_of},
    source_text::{SourceText, mask_passwords},
    tree::{Entry, Node, Scalar, Span, Value},
};

/// Deeper nesting than any pipeline has.
const MAX_DEPTH: usize = 64;
/// More nodes than any pipeline has; aliases could multiply them without end.
const MAX_NODES: usize = 100_000;

/// Reads the tree. Whatever is wrong goes into `problems`; nothing is returned only when there is no tree to go on with.
pub(crate) fn parse(
    file: &SourceText,
    interpolation: &mut Interpolation<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    let parser = Parser::new_from_str(&file.text);
    let mut reader =
        Reader { parser, interpolation, problems, anchors: BTreeMap::new(), path: Vec::new(), nodes: 0 };
    match reader.document() {
        Ok(Some(root)) => Some(root),
        Ok(None) => {
            let problem = Problem::new(Span::default(), &[], "the file is empty");
            problems
                .push(problem.hint(format!("write a starter with `tidemark init {}`", file.path.display())));
            None
        }
        Err(unreadable) => {
            problems.push(unreadable.into_problem(file));
            None
        }
    }
}

struct Reader<'r, 'text, 'v> {
    parser: Parser<'text, StrInput<'text>>,
    interpolation: &'r mut Interpolation<'v>,
    problems: &'r mut Vec<Problem>,
    anchors: BTreeMap<usize, Node>,
    path: Vec<Step>,
    nodes: usize,
}

impl<'text> Reader<'_, 'text, '_> {
    /// The only document of the file; `None` when there is none.
    fn document(&mut self) -> Result<Option<Node>, Unreadable> {
        let mut root = None;
        loop {
            let (event, marks) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root.filter(|root: &Node| !root.is_nothing())),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => {
                    return Err(Unreadable::new(
                        marks.start,
                        "a second document begins; a file holds one pipeline",
                    ));
                }
                event => root = Some(self.node(event, marks)?),
            }
        }
    }

    fn node(&mut self, event: Event<'text>, marks: Marks) -> Result<Node, Unreadable> {
        self.count(1, marks)?;
        let (value, anchor) = match event {
            Event::Scalar(typed, style, anchor, tag) => {
                let plain = match tag {
                    None => style == ScalarStyle::Plain,
                    Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => false,
                    Some(_) => return Err(Unreadable::new(marks.start, "YAML tags are not supported")),
                };
                (Value::Scalar(self.scalar(typed.into_owned(), plain, marks)), anchor)
            }
            Event::SequenceStart(anchor, _) => (Value::List(self.list()?), anchor),
            Event::MappingStart(anchor, _) => (Value::Map(self.map()?), anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Unreadable::new(marks.start, "an alias refers to itself"))?;
                self.count(size(&node), marks)?;
                return Ok(node);
            }
            _ => return Err(Unreadable::new(marks.start, "a value is expected here")),
        };
        let node = Node { at: span(marks), value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Vec<Node>, Unreadable> {
        let mut items = Vec::new();
        loop {
            let (event, marks) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            self.path.push(Step::Index(items.len()));
            items.push(self.node(event, marks)?);
            self.path.pop();
        }
    }

    fn map(&mut self) -> Result<Vec<Entry>, Unreadable> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, marks) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(Unreadable::new(marks.start, "a key must be a single word or text")),
            };
            let key_at = span(marks);
            let first = entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_at.line);
            let place =
                if self.path.is_empty() { String::new() } else { format!(" in {}", name_of(&self.path)) };
            let (event, marks) = self.next()?;
            self.path.push(Step::Key(key.clone()));
            if let Some(line) = first {
                let problem = Problem::new(key_at, &self.path, format!("duplicate key `{key}`{place}"));
                self.problems.push(problem.hint(format!("keep one; the first is on line {line}")));
            }
            let value = self.node(event, marks)?;
            self.path.pop();
            if first.is_none() {
                entries.push(Entry { key, key_at, value });
            }
        }
    }

    fn scalar(&mut self, typed: String, plain: bool, marks: Marks) -> Scalar {
        match self.interpolation.resolve(&typed) {
            Ok(text) => Scalar { typed, text, plain },
            Err(missing) => {
                for missing in missing {
                    let problem = Problem::new(span(marks), &self.path, missing.message);
                    self.problems.push(problem.given(mask_passwords(&typed)).hint(missing.hint));
                }
                Scalar { text: typed.clone(), typed, plain }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'text>, Marks), Unreadable> {
        // The parser says `StreamEnd` before it has no more events.
        Ok(self.parser.next_event().unwrap_or(Ok((Event::StreamEnd, Marks::default())))?)
    }

    fn count(&mut self, nodes: usize, marks: Marks) -> Result<(), Unreadable> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES || self.path.len() > MAX_DEPTH {
            return Err(Unreadable::new(marks.start, "the file is nested too deeply or too large"));
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.value)).sum::<usize>(),
    }
}

/// The parser counts lines from 1 and columns from 0.
fn span(marks: Marks) -> Span {
    let (start, end) = (marks.start, marks.end);
    Span { line: start.line(), column: start.col() + 1, end_line: end.line(), end_column: end.col() + 1 }
}

/// Why there is no tree to go on with.
struct Unreadable {
    at: Span,
    message: String,
}

impl Unreadable {
    fn new(marker: Marker, message: impl Into<String>) -> Self {
        Self { at: span(Marks::empty(marker)), message: message.into() }
    }

    /// With the two usual causes when they are in sight.
    fn into_problem(self, file: &SourceText) -> Problem {
        let text = file.line(self.at.line).unwrap_or_default();
        let problem = Problem::new(self.at, &[], self.message);
        if text.contains("${") && text.contains(['{', '[']) {
            problem.hint("inside `{…}` and `[…]`, put quotes around a value that holds `${…}`")
        } else if text.trim_start_matches(' ').starts_with('\t') {
            problem.hint("indent with spaces; YAML allows no tabs there")
        } else {
            problem
        }
    }
}

impl From<ScanError> for Unreadable {
    fn from(error: ScanError) -> Self {
        Self::new(*error.marker(), format!("this is not sound YAML: {}", error.info()))
    }
}
