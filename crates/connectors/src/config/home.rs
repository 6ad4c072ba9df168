//! Where a pipeline lives.

use std::path::PathBuf;

/// What connectors know of the pipeline that they serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The pipeline file's folder, where relative paths begin.
    pub folder: PathBuf,
    /// The pipeline's name. What a connector makes for it elsewhere carries it: a replication slot, a publication.
    pub pipeline: String,
}
