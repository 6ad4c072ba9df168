//! Messages as bytes, as they stand in a batch.
//!
//! Source: AMQP 1.0, part 1 (types) and part 3.2 (message format).

// 3.2: the sections of a message, by their descriptors.
const HEADER: u8 = 0x70;
const MESSAGE_ANNOTATIONS: u8 = 0x72;
const PROPERTIES: u8 = 0x73;
const APPLICATION_PROPERTIES: u8 = 0x74;
const DATA: u8 = 0x75;

/// A value of one of the types that our messages are made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    True,
    Text(&'a str),
    Symbol(&'a str),
}

/// A message under way to its bytes. Sections are added in the order of this list.
#[derive(Debug, Default)]
pub(super) struct Encoded(Vec<u8>);

impl Encoded {
    pub(super) fn header(mut self, fields: &[Value<'_>]) -> Self {
        self.list(HEADER, fields);
        self
    }

    pub(super) fn message_annotations<'a>(
        mut self,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, value)| [Value::Symbol(key), Value::Text(value)]);
        self.map(MESSAGE_ANNOTATIONS, entries);
        self
    }

    pub(super) fn properties(mut self, fields: &[Value<'_>]) -> Self {
        self.list(PROPERTIES, fields);
        self
    }

    pub(super) fn application_properties<'a>(
        mut self,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, value)| [Value::Text(key), Value::Text(value)]);
        self.map(APPLICATION_PROPERTIES, entries);
        self
    }

    /// The whole message.
    pub(super) fn data(mut self, body: &[u8]) -> Vec<u8> {
        self.section(DATA);
        variable(&mut self.0, 0xa0, 0xb0, body);
        self.0
    }

    fn section(&mut self, descriptor: u8) {
        self.0.extend([0x00, 0x53, descriptor]);
    }

    fn list(&mut self, descriptor: u8, fields: &[Value<'_>]) {
        self.section(descriptor);
        compound(&mut self.0, 0xc0, 0xd0, fields);
    }

    /// A section without entries is left out.
    fn map<'a>(&mut self, descriptor: u8, entries: impl Iterator<Item = [Value<'a>; 2]>) {
        let values: Vec<_> = entries.flatten().collect();
        if !values.is_empty() {
            self.section(descriptor);
            compound(&mut self.0, 0xc1, 0xd1, &values);
        }
    }
}

/// How many bytes a batch grows by with a message of so many: 3.2.6, a data section.
pub(super) fn in_batch(bytes: usize) -> usize {
    let length = if bytes < 256 { 2 } else { 5 };
    3 + length + bytes
}

/// 1.6.22 to 1.6.25: the size counts what holds the count.
fn compound(out: &mut Vec<u8>, short: u8, long: u8, values: &[Value<'_>]) {
    let mut inner = Vec::new();
    for value in values {
        match value {
            Value::Null => inner.push(0x40),
            Value::True => inner.push(0x41),
            Value::Text(text) => variable(&mut inner, 0xa1, 0xb1, text.as_bytes()),
            Value::Symbol(text) => variable(&mut inner, 0xa3, 0xb3, text.as_bytes()),
        }
    }
    match (u8::try_from(inner.len() + 1), u8::try_from(values.len())) {
        (Ok(size), Ok(count)) => out.extend([short, size, count]),
        _ => {
            out.push(long);
            out.extend((inner.len() as u32 + 4).to_be_bytes());
            out.extend((values.len() as u32).to_be_bytes());
        }
    }
    out.extend(inner);
}

/// 1.6.19 to 1.6.21.
fn variable(out: &mut Vec<u8>, short: u8, long: u8, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length) => out.extend([short, length]),
        Err(_) => {
            out.push(long);
            out.extend((bytes.len() as u32).to_be_bytes());
        }
    }
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_forms_are_those_of_the_specification() {
        let small = Encoded::default()
            .header(&[Value::True])
            .message_annotations([])
            .properties(&[Value::Text("7"), Value::Null, Value::Symbol("s")])
            .data(b"ab");
        let wanted = [
            0x00, 0x53, 0x70, 0xc0, 2, 1, 0x41, // header
            0x00, 0x53, 0x73, 0xc0, 8, 3, 0xa1, 1, b'7', 0x40, 0xa3, 1, b's', // properties
            0x00, 0x53, 0x75, 0xa0, 2, b'a', b'b', // data
        ];
        assert_eq!(small, wanted);

        let long = "x".repeat(300);
        let large = Encoded::default().application_properties([("key", long.as_str())]).data(long.as_bytes());
        assert_eq!(large[..12], [0x00, 0x53, 0x74, 0xd1, 0, 0, 1, 0x3a, 0, 0, 0, 2]);
        assert_eq!(large[12..22], [0xa1, 3, b'k', b'e', b'y', 0xb1, 0, 0, 1, 0x2c]);
        assert_eq!(large[322..330], [0x00, 0x53, 0x75, 0xb0, 0, 0, 1, 0x2c]);
        assert_eq!(in_batch(300) - 300, 8);
        assert_eq!(in_batch(255) - 255, 5);
    }
}
