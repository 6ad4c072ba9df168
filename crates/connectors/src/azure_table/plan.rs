//! How each table is read.

use std::{collections::BTreeSet, time::Duration};

use tidemark_engine::{Result, schema::Kind};

use super::{
    config::{ChangesConfig, TableStream},
    entities::{Decoding, TIMESTAMP},
    query::KEY,
};
use crate::{
    polling::{Changes, Overlap, Plan},
    records::Outline,
};

/// How the stream `name` is read.
pub(super) fn plan(name: &str, stream: &TableStream, poll: Duration) -> Result<Plan> {
    let changes = match stream.changes {
        ChangesConfig::FullRefresh => Changes::FullRefresh,
        ChangesConfig::Watermark => Changes::Watermark {
            column: TIMESTAMP.to_owned(),
            overlap: Overlap::Time(stream.overlap.0),
            compare_every: Some(stream.compare_every.0),
        },
    };
    Ok(Plan {
        outline: Outline::configured(name, &KEY.map(str::to_owned), &stream.exclude, &stream.types)?,
        changes,
        ignored: stream.ignore.clone(),
        poll,
        keeps_vanished: false,
        max_deletes: stream.max_deletes,
        // They are in the order of their keys.
        steady_pages: true,
    })
}

/// How its answers are read. Who declares a time to be one of microseconds gets it so; the service has a digit more.
pub(super) fn decoding(stream: &TableStream) -> Result<Decoding> {
    let is_time = |kind: &str| matches!(Kind::parse(kind), Some(Kind::Timestamp | Kind::TimestampTz));
    let cut = stream.types.iter().filter(|(_, kind)| is_time(kind));
    Decoding::new(cut.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>())
}
