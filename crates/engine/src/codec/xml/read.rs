//! An element as a change.
//!
//! The grammar is that of what is written, and no more of XML: elements, texts, and the references that texts have. A document type,
//! and with it every entity of its own, is refused; so is whatever else a document could hold.

use quick_xml::{
    Reader,
    events::{BytesRef, BytesStart, Event},
};

use super::{CHANGE, Element, INFINITY, NIL, characters};
use crate::codec::text::{Filling, Slot, Unsound};

/// Room to put texts together in, kept from one to the next.
#[derive(Default)]
pub(super) struct Room(String);

/// Fills one cell of each of `columns` from `line`.
pub(super) fn change(
    elements: &[Element],
    line: &str,
    columns: &mut [Filling],
    room: &mut Room,
) -> Result<(), Unsound> {
    let mut reader = Reader::from_str(line);
    reader.config_mut().expand_empty_elements = true;
    let mut parser = Parser { reader, room: &mut room.0 };
    match parser.next()? {
        Event::Start(start) if start.name().as_ref() == CHANGE.as_bytes() => nothing_more(&start)?,
        _ => return Err("it is no change".into()),
    }
    parser.fields(elements, columns)?;
    match parser.next()? {
        Event::Eof => Ok(()),
        _ => Err("something stands behind it".into()),
    }
}

struct Parser<'r> {
    reader: Reader<&'r [u8]>,
    room: &'r mut String,
}

impl<'r> Parser<'r> {
    fn next(&mut self) -> Result<Event<'r>, Unsound> {
        match self.reader.read_event() {
            Ok(Event::DocType(_)) => Err("it has a document type, and no blob of Tidemark has".into()),
            Ok(event) => Ok(event),
            // What the library says may hold a value.
            Err(_) => Err(format!("its XML is not sound, from byte {}", self.reader.error_position()).into()),
        }
    }

    /// The fields of an element that has begun, to its end, in the order of the columns; those left out have no value.
    fn fields(&mut self, elements: &[Element], columns: &mut [Filling]) -> Result<(), Unsound> {
        let mut next = 0;
        loop {
            match self.next()? {
                Event::End(_) => break,
                Event::Start(start) => {
                    let name = start.name();
                    let found =
                        elements[next..].iter().position(|element| element.name.as_bytes() == name.as_ref());
                    let found = next + found.ok_or("it has an unknown element, or one out of its place")?;
                    columns[next..found].iter_mut().for_each(Filling::null);
                    self.cell(&elements[found], &start, &mut columns[found])?;
                    next = found + 1;
                }
                _ => return Err("something stands between its elements".into()),
            }
        }
        columns[next..].iter_mut().for_each(Filling::null);
        Ok(())
    }

    /// The content of the element that `start` begins, to its end.
    fn cell(
        &mut self,
        element: &Element,
        start: &BytesStart<'_>,
        filling: &mut Filling,
    ) -> Result<(), Unsound> {
        if start.attributes_raw() == NIL.as_bytes() {
            filling.null();
            return match self.next()? {
                Event::End(_) => Ok(()),
                _ => Err("an element without a value has one".into()),
            };
        }
        nothing_more(start)?;
        match filling.slot() {
            Slot::Text(builder) => self.content(|content| {
                builder.append_value(characters::read(content)?);
                Ok(())
            }),
            Slot::Plain(filling) => self.content(|content| {
                let parsed = filling.parse(content, INFINITY);
                Ok(parsed.ok_or_else(|| format!("`{}` is not of its column's type", element.name))?)
            }),
            Slot::List(mut list) => {
                loop {
                    match self.next()? {
                        Event::End(_) => break,
                        Event::Start(start) if start.name().as_ref() == element.below[0].name.as_bytes() => {
                            self.cell(&element.below[0], &start, list.next())?;
                        }
                        _ => return Err("a list holds something else than its items".into()),
                    }
                }
                list.end();
                Ok(())
            }
            Slot::Struct(mut parts) => {
                self.fields(&element.below, parts.fields())?;
                parts.end();
                Ok(())
            }
        }
    }

    /// Gives `take` the text up to the end of the element.
    fn content(&mut self, take: impl FnOnce(&str) -> Result<(), Unsound>) -> Result<(), Unsound> {
        let first = match self.next()? {
            Event::End(_) => return take(""),
            event => event,
        };
        // Most texts are one piece, and taken from where they stand.
        let second = self.next()?;
        if let (Event::Text(text), Event::End(_)) = (&first, &second) {
            return take(&text.xml10_content().map_err(|_| "a text is not UTF-8")?);
        }
        self.room.clear();
        self.add(first)?;
        let mut event = second;
        while !matches!(event, Event::End(_)) {
            self.add(event)?;
            event = self.next()?;
        }
        take(self.room)
    }

    /// Adds a piece of a text.
    fn add(&mut self, event: Event<'_>) -> Result<(), Unsound> {
        match event {
            Event::Text(text) => {
                self.room.push_str(&text.xml10_content().map_err(|_| "a text is not UTF-8")?)
            }
            Event::GeneralRef(reference) => self.room.push(character(&reference)?),
            _ => return Err("a text holds something else".into()),
        }
        Ok(())
    }
}

/// The character of a reference by number, or of one of the names that XML itself has: there are no others without a document type.
fn character(reference: &BytesRef<'_>) -> Result<char, Unsound> {
    match &**reference {
        b"amp" => Ok('&'),
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"quot" => Ok('"'),
        b"apos" => Ok('\''),
        _ => reference.resolve_char_ref().ok().flatten().ok_or("a reference stands for nothing".into()),
    }
}

fn nothing_more(start: &BytesStart<'_>) -> Result<(), Unsound> {
    if start.attributes_raw().is_empty() { Ok(()) } else { Err("an element has an unknown attribute".into()) }
}
