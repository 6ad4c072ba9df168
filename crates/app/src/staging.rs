//! The log of a pipeline, as commands open it.

mod keys;

use tidemark_engine::{
    Error,
    log::{Holder, Log, RunLock, Store},
    world::World,
};

use crate::{failure::Failure, pipeline_file::Pipeline};

/// The store that holds the log of `pipeline`, made when absent, with its keys where it is encrypted.
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
    Store::local(pipeline.staging.path.join(&pipeline.name))
}

/// Whether anything has been made there.
fn exists(pipeline: &Pipeline) -> bool {
    pipeline.staging.path.join(&pipeline.name).is_dir()
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
pub(crate) fn holder(pipeline: &Pipeline) -> Result<Option<Holder>, Error> {
    Ok(if exists(pipeline) { RunLock::holder(&place(pipeline)?) } else { None })
}
