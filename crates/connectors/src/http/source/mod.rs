//! Reading over HTTP: what is asked for, page by page, and what the answers hold.
//!
//! | Question | Module |
//! |---|---|
//! | What is wrong with the pipeline file? | `validate` |
//! | Which streams are there, and how is each read? | `streams` |
//! | What is asked for? | `outgoing`, `values` |
//! | What does an answer hold? | `endpoint`, `decoding` |
//! | Where is the next page? | `next`, `place`, `circle` |
//! | What of streams below others? | `children` |
//! | What of streams that only go forward? | `follow` |
//! | Is everything there, and what does it look like? | `look`, `check`, `discover` |

mod check;
mod children;
mod circle;
mod decoding;
mod discover;
mod endpoint;
mod follow;
mod look;
mod next;
mod outgoing;
mod pages;
mod place;
mod strategy;
mod streams;
mod tokens;
mod validate;
mod values;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tidemark_engine::{Error, Result, read::ReadStrategy, world::World};

use super::{
    client::{Budgets, Client, Surroundings, TokenStore},
    config::SourceConfig,
};
use outgoing::below;
use strategy::HttpStrategy;

/// A server that answers with records, as a source.
#[derive(Debug, Clone)]
pub struct Source {
    config: Arc<SourceConfig>,
    folder: PathBuf,
}

impl Source {
    /// The source that `config` describes, relative paths in it taken from `folder` (the pipeline file's). Touches no network.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when [`SourceConfig::validate`] finds a problem.
    pub fn new(config: SourceConfig, folder: &Path) -> Result<Self> {
        if let Some(problem) = config.validate().into_iter().next() {
            let error = Error::config(format!("{}: {}", problem.path.join("."), problem.message));
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(Self { config: Arc::new(config), folder: folder.to_owned() })
    }

    /// What reads it; see [`crate::polling`].
    pub fn strategy(&self) -> Box<dyn ReadStrategy> {
        Box::new(HttpStrategy { source: self.clone() })
    }

    /// A client for its server. Without a place for `tokens`, credentials that renew themselves cannot be used.
    fn client(&self, world: World, tokens: Option<Arc<dyn TokenStore>>) -> Result<Arc<Client>> {
        let base = below(&self.base()?, "")?;
        let around = Surroundings { world, folder: &self.folder, budgets: Budgets::of_process(), tokens };
        Client::new(&self.config.client(), &base, around).map(Arc::new)
    }
}
