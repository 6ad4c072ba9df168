//! Web hooks as a source.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tidemark_engine::{
    Error, Result,
    schema::{Field, Kind, StreamSchema},
};

use super::{
    SourceConfig,
    hook::Hook,
    strategy::{WebhookStrategy, bind},
};
use crate::config::{Discovered, Extent, Findings};

/// A server that takes what is sent to it.
pub struct Source {
    address: SocketAddr,
    hooks: Vec<Arc<Hook>>,
    max_body: u32,
    max_waiting: u32,
    patience: Duration,
    remember: usize,
}

impl Source {
    /// The source that `config` describes. Listens at nothing yet.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when [`SourceConfig::validate`] finds a problem.
    pub fn new(config: &SourceConfig) -> Result<Self> {
        if let Some(problem) = config.validate().into_iter().next() {
            let error = Error::config(format!("{}: {}", problem.path.join("."), problem.message));
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        let address = config
            .listen
            .parse()
            .map_err(|error| Error::config(format!("`{}` is no address", config.listen)).source(error))?;
        let hooks = config.streams.iter().map(|(name, stream)| Hook::new(name, stream).map(Arc::new));
        Ok(Self {
            address,
            hooks: hooks.collect::<Result<_>>()?,
            max_body: u32::try_from(config.max_body.0).unwrap_or(u32::MAX),
            max_waiting: config.max_waiting,
            patience: config.answer_within.0,
            remember: config.remember as usize,
        })
    }

    /// Whether its address can be listened at. The pipeline itself may be listening there, so one that is taken is no more than a
    /// warning.
    pub async fn check(&self) -> Findings {
        match bind(self.address).await {
            Ok(_) => Findings::default(),
            Err(error) if is_taken(&error) => Findings { problems: Vec::new(), warnings: vec![error] },
            Err(error) => error.into(),
        }
    }

    /// The streams whose columns the pipeline file declares: what others have shows with their first message.
    pub fn discover(&self) -> Result<Vec<Discovered>> {
        let mut discovered = Vec::new();
        for hook in &self.hooks {
            let outline = &hook.outline;
            let declared = outline.kinds.iter().map(|(name, kind)| Field::new(name, kind.clone()));
            let headers = hook.headers().filter(|name| !outline.kinds.contains_key(*name));
            let fields: Vec<_> = declared.chain(headers.map(|name| Field::new(name, Kind::Text))).collect();
            if fields.is_empty() {
                continue;
            }
            let key = outline.key.iter().filter(|key| fields.iter().any(|field| field.name == **key));
            let schema = StreamSchema::new(outline.name.clone(), fields.clone(), key.cloned().collect())?;
            discovered.push(Discovered { schema, extent: Extent::Records(None), sample: None });
        }
        Ok(discovered)
    }

    /// Takes what is sent; one part and one lane a stream, under its name.
    ///
    /// - Each record is one change, `c`.
    /// - What came while a commit was under way shares the next one. A sender is answered 2xx when its message is durable, never before.
    /// - The cursor of a stream holds its columns and the ids of its latest messages: a message is staged exactly if its id is known.
    /// - Asked to read a stream anew, it forgets the ids: what is sent again is taken again.
    /// - Told to stop, it accepts nothing more, answers what is inside, and leaves.
    pub fn strategy(&self) -> WebhookStrategy {
        WebhookStrategy {
            address: self.address,
            hooks: self.hooks.clone(),
            max_body: self.max_body,
            max_waiting: self.max_waiting,
            patience: self.patience,
            remember: self.remember,
        }
    }
}

fn is_taken(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::AddrInUse)
}
