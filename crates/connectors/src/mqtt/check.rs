//! Whether the broker would let us in, found under a passing name: the pipeline's session stays as it is.

use std::time::Duration;

use tidemark_engine::{Error, Result, world::World};

use super::{
    session::{Event, Session},
    source::Source,
    strategy::refused,
};
use crate::config::Findings;

/// How long the broker may take to grant subscriptions.
const PATIENCE: Duration = Duration::from_secs(10);

impl Source {
    /// Everything that stands in the way of a run.
    pub async fn check(&self) -> Findings {
        match self.ask(&World::real()).await {
            Ok(()) => Findings::default(),
            Err(error) => error.into(),
        }
    }

    async fn ask(&self, world: &World) -> Result<()> {
        let mut session = Session::open(&self.broker, &self.introduction.in_passing(world), world).await?;
        // Whoever joins a shared subscription takes messages from the others.
        let patterns = self.layout.streams.iter().flat_map(|stream| &stream.patterns);
        let filters = patterns
            .filter(|pattern| !pattern.is_shared())
            .map(|pattern| pattern.filter())
            .collect::<Vec<_>>();
        if filters.is_empty() {
            return Ok(());
        }
        session.subscribe(filters.clone(), Vec::new());
        let granted = async {
            loop {
                if let Event::Subscribed(granted) = session.next().await? {
                    return Ok::<_, Error>(granted);
                }
            }
        };
        let granted = tokio::select! {
            granted = granted => granted?,
            () = world.sleep(PATIENCE) => {
                return Err(Error::unavailable(format!("`{}` grants no subscription", self.broker.address)));
            }
        };
        session.close().await;
        match filters.iter().zip(granted).find(|(_, is_granted)| !is_granted) {
            Some((filter, _)) => Err(refused(&self.broker.address.to_string(), filter)),
            None => Ok(()),
        }
    }
}
