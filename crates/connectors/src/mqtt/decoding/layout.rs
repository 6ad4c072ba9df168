//! Which topics are whose.

use tidemark_engine::{
    Error, Result,
    schema::{Kind, StreamName},
};

use super::super::{
    config::{Metadata, PayloadFormat, RawKind, SourceConfig, StreamConfig},
    topic::Pattern,
};
use super::gathered::PAYLOAD;
use crate::records::{Outline, RecordPath};

/// All streams, as the pipeline file has them.
#[derive(Debug)]
pub(in crate::mqtt) struct Layout {
    pub(in crate::mqtt) streams: Vec<Stream>,
}

/// The messages of some topics.
#[derive(Debug)]
pub(in crate::mqtt) struct Stream {
    pub(in crate::mqtt) outline: Outline,
    pub(in crate::mqtt) patterns: Vec<Pattern>,
    /// The columns that levels of topics and other metadata become, in order.
    pub(super) names: Vec<String>,
    pub(super) metadata: Vec<Metadata>,
    pub(super) format: Format,
    /// The stream for what is not valid.
    pub(super) invalid: Option<StreamName>,
}

/// What a message holds, and how it is read.
#[derive(Debug, Clone)]
pub(super) enum Format {
    Json(RecordPath),
    Csv { delimiter: u8, columns: Option<Vec<String>> },
    Raw(RawKind),
}

impl Layout {
    /// As the pipeline file says, which has been validated.
    pub(in crate::mqtt) fn new(config: &SourceConfig) -> Result<Self> {
        let stream = |(name, stream): (&String, &StreamConfig)| Stream::new(name, stream);
        Ok(Self { streams: config.streams.iter().map(stream).collect::<Result<_>>()? })
    }

    /// What the broker is asked for.
    pub(in crate::mqtt) fn filters(&self) -> Vec<String> {
        self.streams.iter().flat_map(|stream| &stream.patterns).map(Pattern::filter).collect()
    }

    /// The stream that a topic is of, by its number.
    pub(in crate::mqtt) fn stream_of(&self, topic: &str) -> Option<usize> {
        self.streams
            .iter()
            .position(|stream| stream.patterns.iter().any(|pattern| pattern.captures(topic).is_some()))
    }
}

impl Stream {
    fn new(name: &str, config: &StreamConfig) -> Result<Self> {
        let patterns =
            config.topics.texts().iter().map(|text| Pattern::parse(text)).collect::<Result<Vec<_>>>()?;
        let mut names: Vec<String> = Vec::new();
        for column in patterns.iter().flat_map(Pattern::names) {
            if !names.iter().any(|name| name == column) {
                names.push(column.to_owned());
            }
        }
        let mut metadata = Vec::new();
        for column in &config.metadata {
            if !metadata.contains(column) {
                metadata.push(*column);
                names.push(column.column().to_owned());
            }
        }
        let mut outline = Outline::configured(name, &config.key, &config.exclude, &config.types)?;
        let kinds = [
            (Metadata::Topic, Kind::Text),
            (Metadata::Qos, Kind::Int64),
            (Metadata::Retained, Kind::Bool),
            (Metadata::ReceivedAt, Kind::TimestampTz),
            (Metadata::ContentType, Kind::Text),
            (Metadata::ResponseTopic, Kind::Text),
            (Metadata::UserProperties, Kind::Json),
        ];
        for (column, kind) in kinds.into_iter().filter(|(column, _)| metadata.contains(column)) {
            outline.kinds.entry(column.column().to_owned()).or_insert(kind);
        }
        // A level of a topic is a text: of which kind its values are until one is not would be a guess.
        for column in patterns.iter().flat_map(Pattern::names) {
            outline.kinds.entry(column.to_owned()).or_insert(Kind::Text);
        }
        let format = match config.format {
            PayloadFormat::Json => Format::Json(match &config.records {
                Some(path) => path.parse()?,
                None => RecordPath::default(),
            }),
            PayloadFormat::Csv => Format::Csv {
                delimiter: u8::try_from(config.delimiter.unwrap_or(','))
                    .map_err(|error| Error::config("the delimiter is not ASCII").source(error))?,
                columns: (!config.columns.is_empty()).then(|| config.columns.clone()),
            },
            PayloadFormat::Raw => {
                let raw = config.raw.unwrap_or(RawKind::Text);
                let kind = if raw == RawKind::Bytes { Kind::Bytes } else { Kind::Text };
                outline.kinds.entry(PAYLOAD.to_owned()).or_insert(kind);
                Format::Raw(raw)
            }
        };
        let invalid = config.invalid.as_ref().map(StreamName::new);
        Ok(Self { outline, patterns, names, metadata, format, invalid })
    }
}
