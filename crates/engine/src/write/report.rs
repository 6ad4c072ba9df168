//! What a write loop tells of itself in the staging store.

use std::time::Duration;

use futures::future;

use super::{Plan, Standing};
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
    /// Whether anything is said at all.
    leaves_marks: bool,
    marks: Option<Marks>,
    /// `None` until the destination has told.
    standing: Option<Standing>,
    rows: u64,
    said: Option<(Time, Option<Standing>)>,
    /// Whether the last mark could not be written: a store that is full is told of once.
    failed: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(log: &'a Log, destination: &'a str, plan: &'a Plan, leaves_marks: bool) -> Self {
        Self {
            log,
            destination,
            plan,
            leaves_marks,
            marks: None,
            standing: None,
            rows: 0,
            said: None,
            failed: false,
        }
    }

    /// Notes that the destination stands at `standing` after `rows` more changes.
    pub(super) fn stands_at(&mut self, standing: &Standing, rows: u64) {
        self.standing = Some(standing.clone());
        self.rows += rows;
    }

    /// Where the destination last stood, in as far as anybody knows.
    pub(super) fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Returns when it is time to say where the destination stands; never, while that has been said.
    pub(super) async fn due(&self) {
        let world = self.log.world();
        match &self.said {
            None => {}
            Some((_, standing)) if standing == &self.standing => future::pending().await,
            Some((time, _)) => {
                let passed = Duration::from_micros(world.now().micros_since(*time));
                world.sleep(EVERY.saturating_sub(passed)).await;
            }
        }
    }

    /// Says `running` if it is time to.
    pub(super) async fn say_if_due(&mut self) {
        let now = self.log.world().now();
        if self.said.as_ref().is_none_or(|(time, _)| now.micros_since(*time) >= EVERY.as_micros() as u64) {
            self.say(MarkState::Running).await;
        }
    }

    /// Says how the destination is.
    pub(super) async fn say(&mut self, state: MarkState) {
        self.said = Some((self.log.world().now(), self.standing.clone()));
        if !self.leaves_marks {
            return;
        }
        let outcome = self.try_say(state).await;
        if let Err(error) = &outcome
            && !self.failed
        {
            tracing::warn!(destination = self.destination, %error, "cannot note where the destination stands");
        }
        self.failed = outcome.is_err();
    }

    /// Goes on from what was said before this process: unless the destination has been emptied since.
    fn resume(&mut self, last: Mark) {
        let stands_at = self.standing.as_ref().map(|standing| standing.position.sequence);
        let begins_anew = stands_at.is_some_and(|sequence| sequence <= self.plan.from);
        if !begins_anew {
            self.rows += last.rows;
        }
        let Mark { position, held, anew, .. } = last;
        self.standing.get_or_insert(Standing {
            position,
            held,
            anew,
            ..Position::start(self.log.id().clone()).into()
        });
    }

    async fn try_say(&mut self, state: MarkState) -> Result<()> {
        let marks = match &mut self.marks {
            Some(marks) => marks,
            None => {
                let (marks, last) = Marks::open(self.log, self.destination).await?;
                if let Some(last) = last.filter(|last| &last.position.log == self.log.id()) {
                    self.resume(last);
                }
                self.marks.insert(marks)
            }
        };
        // One that never told stands nowhere, as far as anybody knows.
        let nowhere = || Position::start(self.log.id().clone()).into();
        let Standing { position, held, anew, .. } = self.standing.clone().unwrap_or_else(nowhere);
        let mark = Mark {
            position,
            held,
            anew,
            from: self.plan.from,
            as_of: None,
            note: self.plan.note.clone(),
            streams: self.plan.selection.streams.clone(),
            rows: self.rows,
            time: self.log.world().now(),
            state,
        };
        marks.add(&mark).await
    }
}
