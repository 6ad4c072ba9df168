//! The log of a pipeline, as commands open it.

use std::time::Duration;

use tidemark_connectors::object_stores::Environment;
use tidemark_engine::{
    Error, Time,
    log::{Log, MarkState, Marks, Store},
    world::World,
};

use crate::{
    failure::Failure,
    pipeline_file::{Pipeline, StagingPlace},
};

/// A destination that said of itself within this time that it is written to probably still is.
const FRESH: Duration = Duration::from_secs(30);

/// The store that holds the log of `pipeline`; a folder is made when absent.
pub(crate) fn store(pipeline: &Pipeline) -> Result<Store, Error> {
    match &pipeline.staging.place {
        StagingPlace::Folder(path) => Store::local(path.join(&pipeline.name)),
        StagingPlace::Objects(url) => {
            let url = url.join(&pipeline.name);
            let objects = url.connect(&Environment::of_this_process());
            Ok(Store::new(objects.map_err(|error| error.context("staging"))?, url.to_string()))
        }
    }
}

/// The same, tried out: a log can be kept there.
pub(crate) async fn sound_store(pipeline: &Pipeline) -> Result<Store, Error> {
    let store = store(pipeline)?;
    store.probe(&World::real()).await?;
    Ok(store)
}

/// The log of `pipeline`, which must be there already. Makes nothing.
pub(crate) async fn existing_log(pipeline: &Pipeline) -> Result<Log, Failure> {
    find_log(pipeline).await?.ok_or_else(|| {
        Error::config(format!("pipeline `{}` has staged nothing yet", pipeline.name))
            .hint("run it first: tidemark run FILE")
            .into()
    })
}

/// The log of `pipeline`; `None` when there is none. Makes nothing.
pub(crate) async fn find_log(pipeline: &Pipeline) -> Result<Option<Log>, Error> {
    if let StagingPlace::Folder(path) = &pipeline.staging.place
        && !path.join(&pipeline.name).is_dir()
    {
        return Ok(None);
    }
    Log::open(store(pipeline)?, World::real()).await
}

/// The destination that was the last to say that it is being written to, and when, if that was a moment ago: where no lock tells, the only
/// sign of somebody who runs the pipeline. Of one that has nothing to do there is none.
pub(crate) async fn sign_of_life(pipeline: &Pipeline, log: &Log) -> Result<Option<(String, Time)>, Error> {
    let mut last: Option<(String, Time)> = None;
    for destination in pipeline.destinations.iter().filter(|destination| destination.live) {
        let name = &destination.writing.destination;
        let (_, mark) = Marks::open(log, name).await?;
        let running =
            mark.filter(|mark| matches!(mark.state, MarkState::Running | MarkState::Retrying { .. }));
        if let Some(mark) = running
            && last.as_ref().is_none_or(|(_, time)| mark.time > *time)
        {
            last = Some((name.clone(), mark.time));
        }
    }
    let now = log.world().now();
    Ok(last.filter(|(_, time)| u128::from(now.micros_since(*time)) < FRESH.as_micros()))
}
