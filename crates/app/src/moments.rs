//! Moments as people name them on the command line, found in the log.

use tidemark_connectors::config::SourceConfig;
use tidemark_engine::{
    Error, Result,
    log::{Cut, Log, Moment, Place},
};

/// The last commit that is at or before `moment` as a whole.
pub(crate) async fn seek(log: &Log, source: &SourceConfig, moment: &Moment) -> Result<u64> {
    Ok(cut(log, source, moment).await?.sequence)
}

/// Where `moment` cuts the log in two.
pub(crate) async fn cut(log: &Log, source: &SourceConfig, moment: &Moment) -> Result<Cut> {
    match moment {
        Moment::Beginning => log.cut(Place::Sequence(0)).await,
        Moment::Sequence(sequence) => log.cut(Place::Sequence(*sequence)).await,
        Moment::Time(time) => log.cut(Place::Time(*time)).await,
        Moment::Source(place) => {
            let bytes = source.source_position(place).ok_or_else(|| {
                let system = source.system();
                Error::config(format!("`{place}` is no place in a source of type `{system}`")).hint(
                    "give one as the source itself writes it, such as `source:16/B374D848` for PostgreSQL, or a time",
                )
            })?;
            log.cut(Place::Source(&bytes)).await
        }
    }
}
