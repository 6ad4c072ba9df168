//! The log of a pipeline, as commands open it.

use tidemark_engine::{
    Error,
    log::{Log, Store},
    world::World,
};

use crate::{failure::Failure, pipeline_file::Pipeline};

/// The store that holds the log of `pipeline`, made when absent.
pub(crate) fn store(pipeline: &Pipeline) -> Result<Store, Failure> {
    Ok(Store::local(pipeline.staging.path.join(&pipeline.name))?)
}

/// The store that holds the log of `pipeline`; `None` when there is none. Makes nothing.
pub(crate) fn existing_store(pipeline: &Pipeline) -> Result<Option<Store>, Failure> {
    let folder = pipeline.staging.path.join(&pipeline.name);
    folder.is_dir().then(|| store(pipeline)).transpose()
}

/// The log of `pipeline`, which must be there already. Makes nothing.
pub(crate) async fn existing_log(pipeline: &Pipeline) -> Result<Log, Failure> {
    let log = match existing_store(pipeline)? {
        Some(store) => Log::open(store, World::real()).await?,
        None => None,
    };
    log.ok_or_else(|| nothing_staged(pipeline))
}

/// Why a command that reads the log of `pipeline` cannot.
pub(crate) fn nothing_staged(pipeline: &Pipeline) -> Failure {
    Error::config(format!("pipeline `{}` has staged nothing yet", pipeline.name))
        .hint("run it first: tidemark run FILE")
        .into()
}
