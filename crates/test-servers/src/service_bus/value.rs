//! Values of AMQP 1.0, as bytes and back: part 1 of the specification.

/// A value. Kinds that nobody here looks into are refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Ubyte(u8),
    Ushort(u16),
    Uint(u32),
    Ulong(u64),
    Int(i32),
    Long(i64),
    Timestamp(i64),
    Uuid([u8; 16]),
    Binary(Vec<u8>),
    Text(String),
    Symbol(String),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Array(Vec<Value>),
    Described(u64, Box<Value>),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn symbol(text: &str) -> Self {
        Self::Symbol(text.to_owned())
    }

    pub(super) fn described(descriptor: u64, fields: Vec<Self>) -> Self {
        Self::Described(descriptor, Box::new(Self::List(fields)))
    }

    /// What a text or symbol says. Microsoft's client for Python writes some texts as bytes.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Symbol(text) => Some(text),
            Self::Binary(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// A number that is not negative.
    pub(super) fn as_number(&self) -> Option<u64> {
        match self {
            Self::Ubyte(number) => Some(u64::from(*number)),
            Self::Ushort(number) => Some(u64::from(*number)),
            Self::Uint(number) => Some(u64::from(*number)),
            Self::Ulong(number) => Some(*number),
            Self::Int(number) => u64::try_from(*number).ok(),
            Self::Long(number) | Self::Timestamp(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }

    /// The fields of a list, also of a described one.
    pub(super) fn fields(&self) -> &[Self] {
        match self {
            Self::List(fields) => fields,
            Self::Described(_, value) => value.fields(),
            _ => &[],
        }
    }

    /// The field with that number; what is left out at the end is null.
    pub(super) fn field(&self, number: usize) -> &Self {
        self.fields().get(number).unwrap_or(&Self::Null)
    }

    /// What a map holds under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0x40),
            Self::Bool(value) => out.push(if *value { 0x41 } else { 0x42 }),
            Self::Ubyte(number) => out.extend([0x50, *number]),
            Self::Ushort(number) => fixed(out, 0x60, &number.to_be_bytes()),
            Self::Uint(number) => fixed(out, 0x70, &number.to_be_bytes()),
            Self::Ulong(number) => fixed(out, 0x80, &number.to_be_bytes()),
            Self::Int(number) => fixed(out, 0x71, &number.to_be_bytes()),
            Self::Long(number) => fixed(out, 0x81, &number.to_be_bytes()),
            Self::Timestamp(number) => fixed(out, 0x83, &number.to_be_bytes()),
            Self::Uuid(bytes) => fixed(out, 0x98, bytes),
            Self::Binary(bytes) => variable(out, 0xb0, bytes),
            Self::Text(text) => variable(out, 0xb1, text.as_bytes()),
            Self::Symbol(text) => variable(out, 0xb3, text.as_bytes()),
            Self::List(values) => compound(out, 0xd0, values.iter()),
            Self::Map(entries) => compound(out, 0xd1, entries.iter().flat_map(|(key, value)| [key, value])),
            Self::Array(symbols) => array(out, symbols),
            // Microsoft's client expects the short form.
            Self::Described(descriptor, value) => {
                out.extend([0x00, 0x53, u8::try_from(*descriptor).unwrap()]);
                value.write(out);
            }
        }
    }

    /// The value at the beginning of `bytes`, which then begin behind it.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let constructor = take(bytes, 1)?[0];
        if constructor != 0x00 {
            return Self::of(constructor, bytes);
        }
        let descriptor = Self::read(bytes)?;
        let value = Self::read(bytes)?;
        Some(Self::Described(descriptor.as_number()?, Box::new(value)))
    }

    fn of(constructor: u8, bytes: &mut &[u8]) -> Option<Self> {
        Some(match constructor {
            0x40 => Self::Null,
            0x41 => Self::Bool(true),
            0x42 => Self::Bool(false),
            0x56 => Self::Bool(take(bytes, 1)?[0] == 1),
            0x43 => Self::Uint(0),
            0x44 => Self::Ulong(0),
            0x45 => Self::List(Vec::new()),
            0x50 => Self::Ubyte(take(bytes, 1)?[0]),
            0x52 => Self::Uint(u32::from(take(bytes, 1)?[0])),
            0x53 => Self::Ulong(u64::from(take(bytes, 1)?[0])),
            0x54 => Self::Int(i32::from(take(bytes, 1)?[0] as i8)),
            0x55 => Self::Long(i64::from(take(bytes, 1)?[0] as i8)),
            0x60 => Self::Ushort(u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?)),
            0x70 => Self::Uint(u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?)),
            0x71 => Self::Int(i32::from_be_bytes(take(bytes, 4)?.try_into().ok()?)),
            0x80 => Self::Ulong(u64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)),
            0x81 => Self::Long(i64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)),
            0x83 => Self::Timestamp(i64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)),
            0x98 => Self::Uuid(take(bytes, 16)?.try_into().ok()?),
            0xa0 | 0xa1 | 0xa3 | 0xb0 | 0xb1 | 0xb3 => {
                let length = length(constructor < 0xb0, bytes)?;
                let content = take(bytes, length)?.to_vec();
                match constructor & 0x0f {
                    0 => Self::Binary(content),
                    1 => Self::Text(String::from_utf8(content).ok()?),
                    _ => Self::Symbol(String::from_utf8(content).ok()?),
                }
            }
            0xc0 | 0xc1 | 0xd0 | 0xd1 => {
                let is_short = constructor < 0xd0;
                let size = length(is_short, bytes)?;
                let mut inner = take(bytes, size)?;
                let count = length(is_short, &mut inner)?;
                let values = (0..count).map(|_| Self::read(&mut inner)).collect::<Option<Vec<_>>>()?;
                match constructor & 0x0f {
                    0 => Self::List(values),
                    _ => Self::Map(
                        values.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
                    ),
                }
            }
            0xe0 | 0xf0 => {
                let is_short = constructor == 0xe0;
                let size = length(is_short, bytes)?;
                let mut inner = take(bytes, size)?;
                let count = length(is_short, &mut inner)?;
                let of_elements = take(&mut inner, 1)?[0];
                Self::Array((0..count).map(|_| Self::of(of_elements, &mut inner)).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn length(is_short: bool, bytes: &mut &[u8]) -> Option<usize> {
    match is_short {
        true => Some(usize::from(take(bytes, 1)?[0])),
        false => usize::try_from(u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?)).ok(),
    }
}

fn fixed(out: &mut Vec<u8>, constructor: u8, bytes: &[u8]) {
    out.push(constructor);
    out.extend(bytes);
}

fn variable(out: &mut Vec<u8>, constructor: u8, bytes: &[u8]) {
    out.push(constructor);
    out.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

fn compound<'v>(out: &mut Vec<u8>, constructor: u8, values: impl Iterator<Item = &'v Value>) {
    let (mut inner, mut count) = (Vec::new(), 0_u32);
    for value in values {
        value.write(&mut inner);
        count += 1;
    }
    out.push(constructor);
    out.extend((u32::try_from(inner.len()).unwrap() + 4).to_be_bytes());
    out.extend(count.to_be_bytes());
    out.extend(inner);
}

/// All of ours are of symbols.
fn array(out: &mut Vec<u8>, symbols: &[Value]) {
    let mut inner = vec![0xb3];
    for symbol in symbols {
        let text = symbol.as_text().unwrap_or_default();
        inner.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        inner.extend(text.as_bytes());
    }
    out.push(0xf0);
    out.extend((u32::try_from(inner.len()).unwrap() + 4).to_be_bytes());
    out.extend(u32::try_from(symbols.len()).unwrap().to_be_bytes());
    out.extend(inner);
}
