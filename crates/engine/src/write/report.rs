//! What a write loop tells of itself in the staging store.

use std::time::Duration;

use futures::future;

use super::Plan;
use crate::{
    Position, Result, Time,
    log::{Log, Mark, MarkState, Marks},
};

/// A loop under way says where it stands at most this often: each time costs a durable write.
const EVERY: Duration = Duration::from_secs(2);

/// Keeps the marks of one destination. A mark that cannot be written is no reason to stop: the destination itself
/// knows where it stands.
pub(super) struct Report<'a> {
    log: &'a Log,
    destination: &'a str,
    plan: &'a Plan,
    marks: Option<Marks>,
    position: Position,
    rows: u64,
    said: Option<(Time, Position)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(log: &'a Log, destination: &'a str, plan: &'a Plan) -> Self {
        let position = Position::start(log.id().clone());
        Self { log, destination, plan, marks: None, position, rows: 0, said: None }
    }

    /// Notes that the destination stands at `position` after `rows` more changes.
    pub(super) fn stands_at(&mut self, position: &Position, rows: u64) {
        self.position = position.clone();
        self.rows += rows;
    }

    /// Returns when it is time to say where the destination stands; never, while that has been said.
    pub(super) async fn due(&self) {
        let world = self.log.world();
        match &self.said {
            None => {}
            Some((_, position)) if position == &self.position => future::pending().await,
            Some((time, _)) => {
                let passed = Duration::from_micros(world.now().micros_since(*time));
                world.sleep(EVERY.saturating_sub(passed)).await;
            }
        }
    }

    /// Says how the destination is.
    pub(super) async fn say(&mut self, state: MarkState) {
        self.said = Some((self.log.world().now(), self.position.clone()));
        if let Err(error) = self.try_say(state).await {
            tracing::warn!(destination = self.destination, %error, "cannot note where the destination stands");
        }
    }

    async fn try_say(&mut self, state: MarkState) -> Result<()> {
        let marks = match &mut self.marks {
            Some(marks) => marks,
            None => {
                let (marks, last) = Marks::open(self.log, self.destination).await?;
                if let Some(last) = last.filter(|last| &last.position.log == self.log.id()) {
                    self.rows += last.rows;
                }
                self.marks.insert(marks)
            }
        };
        let mark = Mark {
            position: self.position.clone(),
            from: self.plan.from,
            streams: self.plan.selection.streams.clone(),
            rows: self.rows,
            time: self.log.world().now(),
            state,
        };
        marks.add(&mark).await
    }
}
