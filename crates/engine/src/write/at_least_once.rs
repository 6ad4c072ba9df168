//! Destinations that take changes and keep no position: queues, buses, web hooks.

use async_trait::async_trait;

use super::{Appetite, Standing, Unit, WriteStrategy};
use crate::{LogId, Result, log::Ledger};

/// Hands changes on to a system that keeps no position of ours.
///
/// ```text
/// courier.open().await?;                       // again after every failure
/// loop {
///     courier.deliver(&mut unit).await?;       // the system has all of it, durably
///     ledger.advance(unit.end()).await?;       // a crash before this: the unit is delivered again
/// }
/// ```
///
/// Duties of a courier:
/// - When `deliver` returns, the system has promised to keep every change of the unit. Some of them may have been taken when it fails.
/// - Changes of one key arrive in source order, and a change is sent again only with those that follow it of its key.
/// - Each change carries its [`ChangeId`](crate::ChangeId), the same in every delivery, so that whoever receives it twice can tell.
/// - Errors that concern one stream or one change say so, as a [`WriteStrategy`]'s do.
/// - Calls come one at a time. It may be dropped at any await.
#[async_trait]
pub trait Courier: Send {
    /// How much it likes to be given at once.
    fn appetite(&self) -> Appetite {
        Appetite::default()
    }

    /// Gets ready. What an earlier attempt has left under way does not count.
    async fn open(&mut self) -> Result<()>;

    /// Hands over every change of `unit`.
    async fn deliver(&mut self, unit: &mut Unit) -> Result<()>;

    /// Ends the session in good order.
    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The write strategy of a courier: every change is delivered at least once, and where the destination stands is kept in a [`Ledger`].
pub struct AtLeastOnce<C> {
    courier: C,
    ledger: Ledger,
}

impl<C: Courier> AtLeastOnce<C> {
    /// Delivers by `courier`, and keeps in `ledger` how far.
    pub fn new(courier: C, ledger: Ledger) -> Self {
        Self { courier, ledger }
    }
}

#[async_trait]
impl<C: Courier> WriteStrategy for AtLeastOnce<C> {
    fn appetite(&self) -> Appetite {
        self.courier.appetite()
    }

    async fn open(&mut self, _log: &LogId) -> Result<Option<Standing>> {
        self.courier.open().await?;
        self.ledger.take_over().await
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        self.ledger.check(unit.begin()).await?;
        self.courier.deliver(unit).await?;
        self.ledger.advance(unit.end().clone()).await
    }

    async fn close(&mut self) -> Result<()> {
        self.courier.close().await
    }
}
