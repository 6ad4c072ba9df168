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

/// The log of `pipeline`, which must be there already. Makes nothing.
pub(crate) async fn existing_log(pipeline: &Pipeline) -> Result<Log, Failure> {
    let folder = pipeline.staging.path.join(&pipeline.name);
    let log = match folder.is_dir() {
        true => Log::open(store(pipeline)?, World::real()).await?,
        false => None,
    };
    log.ok_or_else(|| {
        Error::config(format!("pipeline `{}` has staged nothing yet", pipeline.name))
            .hint("run it first: tidemark run FILE")
            .into()
    })
}
