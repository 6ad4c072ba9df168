//! What a write loop tells of itself in the staging store.

use super::Plan;
use crate::{
    Position, Result, Time,
    log::{Log, Mark, MarkState, Marks},
};

/// A loop under way says where it stands at most this often.
const EVERY_MICROS: u64 = 5_000_000;

/// Keeps the marks of one destination. A mark that cannot be written is no reason to stop: the destination itself
/// knows where it stands.
pub(super) struct Report<'a> {
    log: &'a Log,
    destination: &'a str,
    plan: &'a Plan,
    marks: Option<Marks>,
    position: Position,
    rows: u64,
    said: Option<Time>,
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

    /// Says `running`, unless something was said a moment ago.
    pub(super) async fn say_now_and_then(&mut self) {
        let now = self.log.world().now();
        if self.said.is_none_or(|said| now.micros_since(said) >= EVERY_MICROS) {
            self.say(MarkState::Running).await;
        }
    }

    /// Says how the destination is.
    pub(super) async fn say(&mut self, state: MarkState) {
        self.said = Some(self.log.world().now());
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
