//! The queues of a namespace, and what is to go wrong with them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::message::ServiceBusMessage;

/// What the service does with messages that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfortune {
    /// Refuses them for now: `com.microsoft:server-busy`.
    Busy,
    /// Ends the link without having taken them: `amqp:link:detach-forced`.
    Detached,
    /// Takes them, and is cut off before it has said so.
    CutOff,
}

/// A namespace, whether somebody is connected or not.
pub(super) struct Queues(Mutex<State>);

pub(super) struct State {
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) largest_message: u64,
    pub(super) largest_batch: Option<u64>,
    misfortunes: VecDeque<Misfortune>,
    /// What no message may hold.
    pub(super) poison: Option<Vec<u8>>,
    /// Tokens that were shown and taken: what for.
    pub(super) tokens: Vec<String>,
    /// It is not there for anybody.
    pub(super) is_down: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<ServiceBusMessage>,
    /// The ids that were there, where duplicates are dropped.
    pub(super) known: Option<BTreeSet<String>>,
    pub(super) requires_session: bool,
    pub(super) is_disabled: bool,
}

/// What the service says to a transfer.
pub(super) enum Verdict {
    Accepted,
    Rejected(&'static str),
    Detached,
    CutOff,
}

impl Queues {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            queues: BTreeMap::new(),
            // The standard tier's.
            largest_message: 256 << 10,
            largest_batch: None,
            misfortunes: VecDeque::new(),
            poison: None,
            tokens: Vec::new(),
            is_down: false,
        }))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    pub(super) fn dropping_duplicates() -> Self {
        Self { known: Some(BTreeSet::new()), ..Self::default() }
    }

    fn keep(&mut self, message: ServiceBusMessage) {
        if self.known.as_mut().is_none_or(|known| known.insert(message.id.clone())) {
            self.waiting.push_back(message);
        }
    }
}

impl State {
    pub(super) fn plan(&mut self, misfortune: Misfortune, times: usize) {
        self.misfortunes.extend(std::iter::repeat_n(misfortune, times));
    }

    /// Takes what came in one transfer, whole or not at all. A batch of a queue with sessions or partitions is of one of them.
    pub(super) fn take(&mut self, queue: &str, messages: Vec<ServiceBusMessage>) -> Verdict {
        let misfortune = self.misfortunes.pop_front();
        let Some(queue) = self.queues.get_mut(queue) else { return Verdict::Rejected("amqp:not-found") };
        let Some(first) = messages.first() else { return Verdict::Rejected("com.microsoft:argument-error") };
        let is_one = |other: &ServiceBusMessage| {
            (&other.session, &other.partition) == (&first.session, &first.partition)
        };
        let has_long_group =
            |message: &ServiceBusMessage| message.session.as_ref().is_some_and(|id| id.chars().count() > 128);
        if queue.requires_session && first.session.is_none() {
            return Verdict::Rejected("amqp:not-allowed");
        }
        let poison = self.poison.as_deref().filter(|poison| !poison.is_empty());
        let is_poisoned = |message: &ServiceBusMessage| {
            poison.is_some_and(|poison| message.body.windows(poison.len()).any(|part| part == poison))
        };
        if !messages.iter().all(is_one)
            || messages.iter().any(is_poisoned)
            || messages.iter().any(|message| message.id.is_empty() || message.id.len() > 128)
            || messages.iter().any(has_long_group)
        {
            return Verdict::Rejected("com.microsoft:argument-error");
        }
        match misfortune {
            Some(Misfortune::Busy) => return Verdict::Rejected("com.microsoft:server-busy"),
            Some(Misfortune::Detached) => return Verdict::Detached,
            Some(Misfortune::CutOff) | None => {}
        }
        for message in messages {
            queue.keep(message);
        }
        if misfortune.is_some() { Verdict::CutOff } else { Verdict::Accepted }
    }
}
