//! What a body is, and which records and which id it has.

use axum::http::HeaderValue;
use tidemark_engine::{Error, Result};

use super::{Format, StreamConfig, form};
use crate::records::{JsonCutter, RecordPath, Rows, XmlPath, text_at, xml_records};

/// The bodies of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// JSON with records at a place.
    Json(RecordPath),
    /// XML with records at a place.
    Xml(XmlPath),
    /// A form that is the record.
    Form,
    /// A form with JSON in one of its fields.
    JsonInForm { field: String, records: RecordPath },
}

impl Body {
    /// As the pipeline file says.
    pub(super) fn new(config: &StreamConfig) -> Result<Self> {
        let json = || config.records.as_deref().map_or(Ok(RecordPath::default()), str::parse);
        Ok(match (config.format, &config.form_field) {
            (Format::Json, _) => Self::Json(json()?),
            (Format::Xml, _) => Self::Xml(match &config.records {
                None => XmlPath::root(),
                Some(text) => XmlPath::parse(text).ok_or_else(|| {
                    Error::config(format!("`{text}` is no path to elements")).hint(
                        "write the names of elements from the outermost one on, such as `/orders/order`",
                    )
                })?,
            }),
            (Format::Form, None) => Self::Form,
            (Format::Form, Some(field)) => Self::JsonInForm { field: field.clone(), records: json()? },
        })
    }

    /// Whether a body of this type can be one of them. Without a type it may.
    pub(super) fn is_of(&self, content_type: Option<&HeaderValue>) -> bool {
        let Some(value) = content_type else { return true };
        let Ok(text) = value.to_str() else { return false };
        let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match self {
            Self::Json(_) => kind == "application/json" || kind == "text/json" || kind.ends_with("+json"),
            Self::Xml(_) => kind == "application/xml" || kind == "text/xml" || kind.ends_with("+xml"),
            Self::Form | Self::JsonInForm { .. } => kind == "application/x-www-form-urlencoded",
        }
    }

    /// The records in `bytes`, which were sent to `origin`.
    pub(super) fn rows(&self, bytes: &[u8], origin: &str) -> Result<Box<dyn Rows + Send>> {
        Ok(match self {
            Self::Json(path) => Box::new(JsonCutter::default().records(bytes, path, origin)?),
            Self::Xml(path) => Box::new(xml_records(bytes, path, origin)?),
            Self::Form => Box::new(form::record(bytes, origin)?),
            Self::JsonInForm { field, records } => {
                let json = form::field(bytes, field, origin)?;
                Box::new(JsonCutter::default().records(json.as_bytes(), records, origin)?)
            }
        })
    }
}

/// Where in a body a message's id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdPath {
    /// In JSON.
    Json(RecordPath),
    /// In JSON in a field of a form.
    JsonInForm { field: String, path: RecordPath },
    /// It is a field of a form.
    Field(String),
}

impl IdPath {
    /// The place `text` in such bodies.
    pub(super) fn parse(text: &str, body: &Body) -> Result<Self> {
        Ok(match body {
            Body::Json(_) => Self::Json(text.parse()?),
            Body::JsonInForm { field, .. } => Self::JsonInForm { field: field.clone(), path: text.parse()? },
            Body::Form => Self::Field(text.to_owned()),
            Body::Xml(_) => {
                return Err(Error::config("the id of a message in XML cannot be taken from its body")
                    .hint("name a header: `header:X-Message-Id`"));
            }
        })
    }

    /// The id in `bytes`; `None` where there is none.
    pub(super) fn id(&self, bytes: &[u8], origin: &str) -> Result<Option<String>> {
        match self {
            Self::Json(path) => text_at(bytes, path, origin),
            Self::JsonInForm { field, path } => {
                text_at(form::field(bytes, field, origin)?.as_bytes(), path, origin)
            }
            Self::Field(name) => form::field(bytes, name, origin).map(Some),
        }
    }
}
