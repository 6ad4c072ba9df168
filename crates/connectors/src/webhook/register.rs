//! What a stream knows of the messages so far, and what becomes of those that come: each is taken once, or refused alone.

use std::{collections::HashSet, sync::Arc};

use tidemark_engine::{
    Error, Result,
    change::{ChangeBatch, Op},
    log::StateObject,
};
use tokio::sync::oneshot;

use super::{
    cursor::HookCursor,
    door::Inside,
    gathered::{Gathered, Message},
    ids::{Id, RecentIds},
};
use crate::records::{Outline, Rows, Table};

/// A message on its way from its request into the log.
pub(super) struct Delivery {
    pub(super) id: Option<Id>,
    pub(super) message: Message,
    /// What its body took.
    pub(super) bytes: usize,
    pub(super) reply: Reply,
}

/// Where its sender waits.
pub(super) struct Reply {
    pub(super) sender: oneshot::Sender<Verdict>,
    /// Its place inside, until it is answered.
    pub(super) inside: Inside,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is durable, by this request or an earlier one.
    Durable,
    /// Its records do not fit the stream.
    Unfit,
}

/// The messages of a stream so far.
pub(super) struct Register {
    table: Table,
    ids: RecentIds,
    /// Where the ids stand that are not at hand.
    aside: Option<StateObject>,
    /// How many ids are kept.
    remember: usize,
    origin: Arc<str>,
}

/// What became of some messages.
#[derive(Default)]
pub(super) struct Entered {
    /// The changes to commit.
    pub(super) batches: Vec<ChangeBatch>,
    /// Who is to hear when they are durable.
    pub(super) taken: Vec<Reply>,
    /// Who is to hear that they never will be, and why.
    pub(super) unfit: Vec<(Reply, Error)>,
}

impl Register {
    /// Goes on with what `cursor` says; `ids` are all that it knows.
    pub(super) fn new(
        outline: &Outline,
        cursor: HookCursor,
        ids: RecentIds,
        remember: usize,
        origin: Arc<str>,
    ) -> Self {
        Self { table: Table::new(outline, cursor.columns), ids, aside: cursor.aside, remember, origin }
    }

    /// Where the stream stands now.
    pub(super) fn cursor(&self) -> HookCursor {
        HookCursor::new(self.table.known().clone(), &self.ids, self.aside.clone())
    }

    /// The ids to set aside, when so many are at hand that the cursor gets long.
    pub(super) fn surplus(&self) -> Option<Vec<u8>> {
        self.ids.are_many().then(|| self.ids.all())
    }

    /// Notes that they stand in `object`.
    pub(super) fn set_aside(&mut self, object: StateObject) {
        self.ids.set_aside();
        self.aside = Some(object);
    }

    /// Enters messages in the order in which they came. One whose id is known is not entered again, and waits with the others: what it says
    /// may not be durable yet.
    pub(super) fn enter(&mut self, deliveries: Vec<Delivery>) -> Entered {
        let mut entered = Entered::default();
        let mut ids = HashSet::new();
        let is_new =
            |delivery: &&Delivery| delivery.id.is_none_or(|id| !self.ids.contains(id) && ids.insert(id));
        let messages: Vec<_> = deliveries.iter().filter(is_new).map(|delivery| &delivery.message).collect();
        if let Ok(batch) = self.batch(messages) {
            entered.batches.extend(batch);
            for delivery in deliveries {
                self.remember(delivery.id);
                entered.taken.push(delivery.reply);
            }
            return entered;
        }
        // One of them does not fit. Whose it is shows one by one; with it, what was to be the first of an id may be the second.
        for Delivery { id, message, reply, .. } in deliveries {
            if id.is_some_and(|id| self.ids.contains(id)) {
                entered.taken.push(reply);
                continue;
            }
            match self.batch(vec![&message]) {
                Ok(batch) => {
                    entered.batches.extend(batch);
                    self.remember(id);
                    entered.taken.push(reply);
                }
                Err(error) => entered.unfit.push((reply, error)),
            }
        }
        entered
    }

    /// The records of `messages` as changes. After an error everything is as it was.
    fn batch(&mut self, messages: Vec<&Message>) -> Result<Option<ChangeBatch>> {
        let rows = Gathered::new(messages);
        if rows.len() == 0 {
            return Ok(None);
        }
        let mut table = self.table.clone();
        let batch = table.batch(&rows, Op::Create, false, &self.origin)?;
        self.table = table;
        Ok(Some(batch))
    }

    fn remember(&mut self, id: Option<Id>) {
        if let Some(id) = id {
            self.ids.add(id, self.remember);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        records::{JsonCutter, RecordPath},
        webhook::door::Door,
    };

    fn delivery(door: &Door, id: Option<&str>, json: &str) -> (Delivery, oneshot::Receiver<Verdict>) {
        let rows = JsonCutter::default().records(json.as_bytes(), &RecordPath::default(), "/hook").unwrap();
        let message = Message { rows: Box::new(rows), headers: Vec::new() };
        let (sender, verdict) = oneshot::channel();
        let reply = Reply { sender, inside: door.enter(1).unwrap() };
        (Delivery { id: id.map(|id| Id::of(id.as_bytes())), message, bytes: json.len(), reply }, verdict)
    }

    fn entered(register: &mut Register, messages: &[(Option<&str>, &str)]) -> (usize, usize, usize) {
        let door = Door::new(100);
        let deliveries = messages.iter().map(|(id, json)| delivery(&door, *id, json).0).collect();
        let Entered { batches, taken, unfit } = register.enter(deliveries);
        (batches.iter().map(ChangeBatch::rows).sum(), taken.len(), unfit.len())
    }

    fn register(remember: usize) -> Register {
        let types = [("n".to_owned(), "int64".to_owned())].into();
        let outline = Outline::configured("orders", &[], &[], &types).unwrap();
        Register::new(&outline, HookCursor::default(), RecentIds::default(), remember, "/hook".into())
    }

    #[test]
    fn each_id_is_entered_once() {
        let mut register = register(10);
        let first = [
            (Some("a"), r#"{"n": 1}"#),
            (Some("a"), r#"{"n": 1}"#),
            (Some("b"), r#"[{"n": 2}, {"n": 3}]"#),
            (None, "[]"),
        ];
        assert_eq!(entered(&mut register, &first), (3, 4, 0));
        let again = [(Some("b"), r#"{"n": 2}"#), (None, r#"{"n": 2}"#), (Some("c"), r#"{"m": 2}"#)];
        assert_eq!(entered(&mut register, &again), (2, 3, 0));
        let cursor = register.cursor();
        assert_eq!(HookCursor::parse(Some(&cursor.to_bytes().unwrap())).unwrap(), cursor);
        let outline = Outline::new("orders");
        let mut later = Register::new(&outline, cursor, register.ids, 10, "/hook".into());
        assert_eq!(entered(&mut later, &first), (0, 4, 0), "also after a start");
    }

    #[test]
    fn what_does_not_fit_is_refused_alone_and_its_id_is_not_known() {
        let mut register = register(10);
        let unfit = r#"{"n": "x"}"#;
        let messages =
            [(Some("a"), unfit), (Some("a"), unfit), (Some("b"), r#"{"n": 1}"#), (Some("b"), r#"{"n": 1}"#)];
        assert_eq!(entered(&mut register, &messages), (1, 2, 2));
        assert_eq!(entered(&mut register, &[(Some("a"), r#"{"n": 2}"#)]), (1, 1, 0), "it may be corrected");
    }

    #[test]
    fn what_is_forgotten_is_entered_again() {
        let mut register = register(1);
        assert_eq!(
            entered(&mut register, &[(Some("a"), r#"{"n": 1}"#), (Some("b"), r#"{"n": 1}"#)]),
            (2, 2, 0)
        );
        assert_eq!(
            entered(&mut register, &[(Some("b"), r#"{"n": 1}"#), (Some("a"), r#"{"n": 1}"#)]),
            (1, 2, 0)
        );
    }
}
