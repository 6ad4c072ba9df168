//! Links between a client and the service, and what is under way on them.

use super::{message::ServiceBusMessage, queues::Queues, value::Value};

/// A link, from the service's side.
pub(super) enum Link {
    Incoming(Incoming),
    Outgoing(Outgoing),
}

/// By which a client sends.
#[derive(Default)]
pub(super) struct Incoming {
    pub(super) address: String,
    /// Transfers that are whole.
    pub(super) count: u32,
    /// The one that is not: its number, its format, and what came of it.
    begun: Option<(u32, u64, Vec<u8>)>,
}

/// By which a client receives.
pub(super) struct Outgoing {
    pub(super) address: String,
    /// The client's end of it.
    pub(super) to: String,
    pub(super) credit: u32,
    pub(super) count: u32,
}

/// A message that a client has and has not settled.
pub(super) struct Given {
    pub(super) channel: u16,
    pub(super) id: u32,
    pub(super) queue: String,
    pub(super) message: ServiceBusMessage,
}

impl Incoming {
    pub(super) fn new(address: String) -> Self {
        Self { address, ..Self::default() }
    }

    /// A frame of a transfer; all of it where it was the last.
    pub(super) fn more(&mut self, told: &Value, payload: Vec<u8>) -> Option<(u32, u64, Vec<u8>)> {
        let number = |field: usize| told.field(field).as_number();
        let (id, format, mut whole) = self.begun.take().unwrap_or_else(|| {
            (number(1).unwrap_or_default() as u32, number(3).unwrap_or_default(), Vec::new())
        });
        whole.extend(payload);
        if told.field(9).is_true() {
            return None;
        }
        if told.field(5).is_true() {
            self.begun = Some((id, format, whole));
            return None;
        }
        self.count = self.count.wrapping_add(1);
        Some((id, format, whole))
    }
}

impl Given {
    pub(super) fn put_back(self, queues: &Queues) {
        if let Some(queue) = queues.state().queues.get_mut(&self.queue) {
            queue.waiting.push_front(self.message);
        }
    }
}

/// The tag of a message that is given: 16 bytes, as clients read it.
pub(super) fn lock_token(number: u32) -> [u8; 16] {
    let mut tag = [7; 16];
    tag[..4].copy_from_slice(&number.to_be_bytes());
    tag
}
