//! How many requests may be inside at once, and how many bytes of theirs: beyond that they are sent away, so memory is bounded whatever
//! comes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of bodies that may be inside at once, over all streams.
pub(super) const BYTES: u32 = 64 << 20;

/// Lets requests in.
#[derive(Debug)]
pub(super) struct Door {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// How many streams wait for the log to take what it was given.
    shut: AtomicU32,
}

/// Keeps the door shut while it is there.
#[derive(Debug)]
pub(super) struct Shut<'a>(&'a Door);

/// The place that a request has inside, until it is answered.
#[derive(Debug)]
pub(super) struct Inside {
    _request: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
}

/// Why a request does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outside {
    /// Too many are inside.
    Full,
    /// The log takes nothing now.
    Shut,
}

impl Door {
    /// For up to `requests` at once.
    pub(super) fn new(requests: u32) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(requests as usize)),
            bytes: Arc::new(Semaphore::new(BYTES as usize)),
            shut: AtomicU32::new(0),
        }
    }

    /// A place for a request whose body has up to `bytes`.
    pub(super) fn enter(&self, bytes: u32) -> Result<Inside, Outside> {
        if self.shut.load(Ordering::Relaxed) > 0 {
            return Err(Outside::Shut);
        }
        let request = self.requests.clone().try_acquire_owned().map_err(|_| Outside::Full)?;
        let bytes = self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| Outside::Full)?;
        Ok(Inside { _request: request, bytes })
    }

    /// Sends everybody away until what it returns is dropped.
    pub(super) fn shut(&self) -> Shut<'_> {
        self.shut.fetch_add(1, Ordering::Relaxed);
        Shut(self)
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.shut.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inside {
    /// Its body turned out to have no more than `bytes`.
    pub(super) fn needs(&mut self, bytes: usize) {
        let surplus = self.bytes.num_permits().saturating_sub(bytes);
        drop(self.bytes.split(surplus));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_bytes_are_bounded_and_given_back() {
        let door = Door::new(2);
        let mut first = door.enter(BYTES - 10).unwrap();
        assert_eq!(door.enter(11).unwrap_err(), Outside::Full);
        let second = door.enter(10).unwrap();
        assert_eq!(door.enter(0).unwrap_err(), Outside::Full);
        first.needs(5);
        drop(second);
        let third = door.enter(BYTES - 5).unwrap();
        drop((first, third));
        let shut = [door.shut(), door.shut()];
        assert_eq!(door.enter(1).unwrap_err(), Outside::Shut);
        drop(shut);
        assert!(door.enter(BYTES).is_ok());
    }
}
