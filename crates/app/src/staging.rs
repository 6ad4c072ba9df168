//! The log of a pipeline, as commands open it.

mod keys;

use std::time::Duration;

use tidemark_connectors::object_stores::Environment;
use tidemark_engine::{
    Error, Time,
    log::{Log, MarkState, Marks, RunLock, Runner, Store},
    world::World,
};

use crate::{
    failure::Failure,
    pipeline_file::{Pipeline, StagingPlace},
};

/// A destination that said of itself within this time that it is written to probably still is.
const FRESH: Duration = Duration::from_secs(30);

/// The store that holds the log of `pipeline`, with its keys where it is encrypted; a folder is made when absent.
pub(crate) async fn store(pipeline: &Pipeline) -> Result<Store, Error> {
    let keys = keys::fetch(pipeline).await?;
    let store = place(pipeline)?;
    Ok(match keys {
        Some(keys) => store.encrypted(keys, World::real()),
        None => store,
    })
}

/// The same without its keys.
fn place(pipeline: &Pipeline) -> Result<Store, Error> {
    match &pipeline.staging.place {
        StagingPlace::Folder(path) => Store::local(path.join(&pipeline.name)),
        StagingPlace::Objects(url) => {
            let url = url.join(&pipeline.name);
            let objects = url.connect(&Environment::of_this_process());
            Ok(Store::new(objects.map_err(|error| error.context("staging"))?, url.to_string()))
        }
    }
}

/// The store of a pipeline that is to be run, tried out: a log can be kept there.
pub(crate) async fn sound_store(pipeline: &Pipeline) -> Result<Store, Error> {
    let store = store(pipeline).await?;
    probe(pipeline).await?;
    Ok(store)
}

/// Puts an object into object storage and removes it: whether a log can be kept there. A folder is known to do, and made by the run.
pub(crate) async fn probe(pipeline: &Pipeline) -> Result<(), Error> {
    match pipeline.staging.place {
        StagingPlace::Folder(_) => Ok(()),
        StagingPlace::Objects(_) => place(pipeline)?.probe(&World::real()).await,
    }
}

/// Whether anything may have been staged there.
fn exists(pipeline: &Pipeline) -> bool {
    match &pipeline.staging.place {
        StagingPlace::Folder(path) => path.join(&pipeline.name).is_dir(),
        StagingPlace::Objects(_) => true,
    }
}

/// The store that holds the log of `pipeline`; `None` when there is none. Makes nothing.
pub(crate) async fn existing_store(pipeline: &Pipeline) -> Result<Option<Store>, Error> {
    if exists(pipeline) { store(pipeline).await.map(Some) } else { Ok(None) }
}

/// The log of `pipeline`, which must be there already. Makes nothing.
pub(crate) async fn existing_log(pipeline: &Pipeline) -> Result<Log, Failure> {
    find(pipeline).await?.ok_or_else(|| nothing_staged(pipeline))
}

/// Why a command that reads the log of `pipeline` cannot.
pub(crate) fn nothing_staged(pipeline: &Pipeline) -> Failure {
    Error::config(format!("pipeline `{}` has staged nothing yet", pipeline.name))
        .hint("run it first: tidemark run FILE")
        .into()
}

/// The log of `pipeline`; `None` when nothing has been staged yet. Makes nothing.
pub(crate) async fn find(pipeline: &Pipeline) -> Result<Option<Log>, Error> {
    if exists(pipeline) {
        return Log::open(store(pipeline).await?, World::real()).await;
    }
    // A key that cannot be had is found out before it is needed.
    keys::fetch(pipeline).await.map(|_| None)
}

/// Who runs `pipeline` now.
pub(crate) fn runner(pipeline: &Pipeline) -> Result<Runner, Error> {
    match exists(pipeline) {
        true => Ok(RunLock::runner(&place(pipeline)?)),
        false => Ok(Runner::Nobody),
    }
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
