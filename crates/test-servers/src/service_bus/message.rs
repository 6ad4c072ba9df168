//! Messages, as the service reads and keeps them: part 3.2 of the specification.

use std::collections::BTreeMap;

use super::value::Value;

/// The format of a message that is a batch: each of its data sections is a message.
const BATCH: u64 = 0x8001_3700;

/// A message that a queue has.
#[derive(Debug, Clone)]
pub struct ServiceBusMessage {
    pub id: String,
    pub session: Option<String>,
    pub partition: Option<String>,
    pub subject: Option<String>,
    pub content_type: Option<String>,
    pub properties: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How many came in the same transfer.
    pub batch: usize,
    pub(super) encoded: Vec<u8>,
}

/// The sections of a message.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) annotations: Option<Value>,
    pub(super) properties: Option<Value>,
    pub(super) application_properties: Option<Value>,
    pub(super) data: Vec<Vec<u8>>,
    pub(super) value: Option<Value>,
}

impl Sections {
    pub(super) fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut sections = Self::default();
        while !bytes.is_empty() {
            let Value::Described(descriptor, value) = Value::read(&mut bytes)? else { return None };
            match (descriptor, *value) {
                (0x70 | 0x71 | 0x78, _) => {}
                (0x72, value) => sections.annotations = Some(value),
                (0x73, value) => sections.properties = Some(value),
                (0x74, value) => sections.application_properties = Some(value),
                (0x75, Value::Binary(data)) => sections.data.push(data),
                (0x77, value) => sections.value = Some(value),
                _ => return None,
            }
        }
        Some(sections)
    }

    pub(super) fn property(&self, number: usize) -> Option<&Value> {
        self.properties.as_ref().map(|properties| properties.field(number))
    }

    pub(super) fn application(&self, name: &str) -> Option<&Value> {
        self.application_properties.as_ref()?.get(name)
    }
}

/// The messages of a transfer; `None` where it cannot be read.
pub(super) fn messages(format: u64, payload: &[u8]) -> Option<Vec<ServiceBusMessage>> {
    if format != BATCH {
        return Some(vec![message(payload, 1)?]);
    }
    let sections = Sections::read(payload)?.data;
    sections.iter().map(|data| message(data, sections.len())).collect()
}

fn message(encoded: &[u8], batch: usize) -> Option<ServiceBusMessage> {
    let sections = Sections::read(encoded)?;
    let text = |value: Option<&Value>| value.and_then(Value::as_text).map(str::to_owned);
    let mut properties = BTreeMap::new();
    if let Some(Value::Map(entries)) = &sections.application_properties {
        for (name, value) in entries {
            properties.insert(name.as_text()?.to_owned(), value.as_text().unwrap_or_default().to_owned());
        }
    }
    let partition = sections.annotations.as_ref().and_then(|told| told.get("x-opt-partition-key"));
    Some(ServiceBusMessage {
        id: text(sections.property(0)).unwrap_or_default(),
        session: text(sections.property(10)),
        partition: text(partition),
        subject: text(sections.property(3)),
        content_type: text(sections.property(6)),
        properties,
        body: sections.data.concat(),
        batch,
        encoded: encoded.to_vec(),
    })
}
