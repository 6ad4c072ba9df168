//! Columns of arrays. Arrow's lists are nested and count from no number; PostgreSQL's arrays have up to six dimensions, each
//! with a lower bound of its own. One dimension that counts from 1 is a list; any other array is an exception, as literal.

use std::{fmt::Write, ops::Range, sync::Arc};

use tidemark_engine::{
    Error, Result,
    arrow_array::{Array, ArrayRef, BooleanArray, ListArray, builder::BooleanBufferBuilder},
    arrow_buffer::{NullBuffer, OffsetBuffer},
    arrow_schema::{DataType, Field},
    arrow_select::filter::filter,
    change::Cell,
    schema::Kind,
};

use super::{
    array::{Elements, Literal, Token, write_element},
    binary,
    builder::ColumnBuilder,
    format::Format,
    literal,
    text::{self, Scratch},
};

/// Builds a column of lists.
#[derive(Debug)]
pub(super) struct ListBuilder {
    array: ArrayFormat,
    elements: ColumnBuilder,
    /// Where each list ends among the elements that are kept.
    ends: Vec<i32>,
    present: BooleanBufferBuilder,
    /// Elements appended before their list turned out to be none.
    discarded: Vec<Range<usize>>,
    discarded_count: usize,
    scratch: String,
}

/// What the elements of an array are.
#[derive(Debug, Clone)]
struct ArrayFormat {
    of: Format,
    kind: Kind,
    delimiter: char,
}

impl ListBuilder {
    pub(super) fn new(of: &Format, kind: &Kind, delimiter: char) -> Self {
        Self {
            array: ArrayFormat { of: of.clone(), kind: kind.clone(), delimiter },
            elements: ColumnBuilder::of(of, kind),
            ends: vec![0],
            present: BooleanBufferBuilder::new(0),
            discarded: Vec::new(),
            discarded_count: 0,
            scratch: String::new(),
        }
    }

    pub(super) fn append_binary(&mut self, bytes: &[u8]) -> Result<Option<String>> {
        let start = self.elements.len();
        if self.try_binary(bytes)? {
            return self.close().map(|()| None);
        }
        self.discard(start);
        let mut text = String::new();
        self.array.write_binary(bytes, &mut text)?;
        Ok(Some(text))
    }

    pub(super) fn append_text(&mut self, text: &str) -> Result<Option<String>> {
        let start = self.elements.len();
        if self.try_text(text)? {
            return self.close().map(|()| None);
        }
        self.discard(start);
        let mut canonical = String::new();
        self.array.write_text(text, &mut canonical)?;
        Ok(Some(canonical))
    }

    pub(super) fn append_null(&mut self) {
        self.present.append(false);
        self.ends.push(self.ends.last().copied().unwrap_or(0));
    }

    pub(super) fn len(&self) -> usize {
        self.present.len()
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let unsound = |error| Error::internal("a column of lists is unsound").source(error);
        let mut elements = self.elements.finish()?;
        if !self.discarded.is_empty() {
            let mut kept = vec![true; elements.len()];
            for range in self.discarded.drain(..) {
                kept[range].fill(false);
            }
            elements = filter(&elements, &BooleanArray::from(kept)).map_err(unsound)?;
        }
        self.discarded_count = 0;
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.ends, vec![0]).into());
        let present = NullBuffer::new(self.present.finish());
        let item = Arc::new(Field::new("item", elements.data_type().clone(), true));
        debug_assert_eq!(
            DataType::List(item.clone()),
            Kind::List { of: self.array.kind.clone().into() }.arrow()
        );
        let lists = ListArray::try_new(item, offsets, elements, Some(present)).map_err(unsound)?;
        Ok(Arc::new(lists))
    }

    /// Appends the elements; false when the array is no list of what the elements' Arrow type holds.
    fn try_binary(&mut self, bytes: &[u8]) -> Result<bool> {
        let mut array = self.array.read(bytes)?;
        if !array.is_list() {
            return Ok(false);
        }
        while let Some(element) = array.next() {
            match element {
                Some(bytes) if self.elements.append_binary(bytes)?.is_some() => return Ok(false),
                Some(_) => {}
                None => self.elements.append_null(),
            }
        }
        self.array.at_end(array.is_at_end())
    }

    fn try_text(&mut self, text: &str) -> Result<bool> {
        let mut literal = Literal::new(text, self.array.delimiter);
        if !literal.bounds().is_empty() {
            return Ok(false);
        }
        let mut depth = 0;
        while let Some(token) = literal.next(&mut self.scratch) {
            match token {
                Token::Open if depth == 1 => return Ok(false),
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                Token::Null => self.elements.append_null(),
                Token::Element(text) if self.elements.append_text(text)?.is_some() => return Ok(false),
                Token::Element(_) => {}
            }
        }
        self.array.at_end(literal.is_at_end() && depth == 0)
    }

    /// Ends a list.
    fn close(&mut self) -> Result<()> {
        let end = i32::try_from(self.elements.len() - self.discarded_count)
            .map_err(|_| Error::data("the arrays of one batch have more than 2^31 elements"))?;
        self.present.append(true);
        self.ends.push(end);
        Ok(())
    }

    /// Drops the elements from `start`, and makes NULL of their list.
    fn discard(&mut self, start: usize) {
        let range = start..self.elements.len();
        if !range.is_empty() {
            self.discarded_count += range.len();
            self.discarded.push(range);
        }
        self.append_null();
    }
}

/// Arrays as literals, whichever format they come in: both ways lead to the same text.
impl ArrayFormat {
    fn read<'a>(&self, bytes: &'a [u8]) -> Result<Elements<'a>> {
        Elements::read(bytes).ok_or_else(|| binary::unreadable(&self.format()))
    }

    fn format(&self) -> Format {
        Format::Array { of: Box::new(self.of.clone()), delimiter: self.delimiter }
    }

    /// True, when the whole array has been read as it should be.
    fn at_end(&self, is_at_end: bool) -> Result<bool> {
        if is_at_end { Ok(true) } else { Err(text::unreadable(&self.format())) }
    }

    fn write_binary(&self, bytes: &[u8], out: &mut String) -> Result<()> {
        let mut array = self.read(bytes)?;
        let dimensions: Vec<(i32, i32)> = array.dimensions().collect();
        if dimensions.iter().any(|(_, lower)| *lower != 1) {
            for (length, lower) in &dimensions {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "[{lower}:{}]", i64::from(*lower) + i64::from(*length) - 1);
            }
            out.push('=');
        }
        if dimensions.is_empty() {
            out.push_str("{}");
        } else {
            self.write_dimension(&dimensions, &mut array, out)?;
        }
        self.at_end(array.is_at_end()).map(|_| ())
    }

    fn write_dimension(
        &self,
        dimensions: &[(i32, i32)],
        array: &mut Elements<'_>,
        out: &mut String,
    ) -> Result<()> {
        let Some(((length, _), inner)) = dimensions.split_first() else {
            let element = array.next().ok_or_else(|| binary::unreadable(&self.format()))?;
            return match element {
                Some(bytes) => self.write_binary_element(bytes, out),
                None => {
                    out.push_str("NULL");
                    Ok(())
                }
            };
        };
        out.push('{');
        for i in 0..*length {
            if i > 0 {
                out.push(self.delimiter);
            }
            self.write_dimension(inner, array, out)?;
        }
        out.push('}');
        Ok(())
    }

    fn write_binary_element(&self, bytes: &[u8], out: &mut String) -> Result<()> {
        if let Some(inner) = self.inner() {
            let mut element = String::new();
            inner.write_binary(bytes, &mut element)?;
            write_element(&element, self.delimiter, out);
            return Ok(());
        }
        let mut scratch = String::new();
        let cell = binary::read(&self.of, &self.kind, bytes, &mut scratch)?;
        self.write_cell(&cell, out)
    }

    fn write_text(&self, text: &str, out: &mut String) -> Result<()> {
        let (mut literal, mut scratch) = (Literal::new(text, self.delimiter), String::new());
        out.push_str(literal.bounds());
        let mut is_first = true;
        while let Some(token) = literal.next(&mut scratch) {
            if !is_first && token != Token::Close {
                out.push(self.delimiter);
            }
            is_first = token == Token::Open;
            match token {
                Token::Open => out.push('{'),
                Token::Close => out.push('}'),
                Token::Null => out.push_str("NULL"),
                Token::Element(text) => self.write_text_element(text, out)?,
            }
        }
        self.at_end(literal.is_at_end()).map(|_| ())
    }

    fn write_text_element(&self, text: &str, out: &mut String) -> Result<()> {
        if let Some(inner) = self.inner() {
            let mut element = String::new();
            inner.write_text(text, &mut element)?;
            write_element(&element, self.delimiter, out);
            return Ok(());
        }
        let mut scratch = Scratch::default();
        let cell = text::read(&self.of, &self.kind, text, &mut scratch)?;
        self.write_cell(&cell, out)
    }

    /// The arrays that are its elements, which there are when the elements are of a domain over an array.
    fn inner(&self) -> Option<Self> {
        match (&self.of, &self.kind) {
            (Format::Array { of, delimiter }, Kind::List { of: kind }) => {
                Some(Self { of: (**of).clone(), kind: (**kind).clone(), delimiter: *delimiter })
            }
            _ => None,
        }
    }

    fn write_cell(&self, cell: &Cell<'_>, out: &mut String) -> Result<()> {
        let mut element = String::new();
        match cell {
            Cell::Value(value) => literal::write(value, &self.kind, &mut element)?,
            Cell::Exception(text) => element.push_str(text),
            Cell::Null | Cell::Unchanged => {}
        }
        write_element(&element, self.delimiter, out);
        Ok(())
    }
}
