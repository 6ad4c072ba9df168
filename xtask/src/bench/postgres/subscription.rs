//! The server's own logical replication, with asynchronous commit at the subscriber: what ours is compared with.

use std::{
    thread,
    time::{Duration, Instant},
};

use tidemark_test_servers::Database;

use super::{initial_sync, orders, value, wait};
use crate::{Result, shell::run};

/// What the limit is called.
pub(super) const NAME: &str = "logical replication of PostgreSQL, asynchronous commit";

/// A subscription to `orders`, which runs when it is told to.
pub(super) struct Subscription<'d, 's> {
    source: &'d Database<'s>,
    subscriber: &'d Database<'s>,
}

impl<'d, 's> Subscription<'d, 's> {
    /// One that has the rows as they are, and does not run. There is one to a source.
    pub(super) fn new(source: &'d Database<'s>, subscriber: &'d Database<'s>) -> Result<Self> {
        orders::make(subscriber);
        source.execute("CREATE PUBLICATION native FOR TABLE orders");
        source.query("SELECT pg_create_logical_replication_slot('native', 'pgoutput')");
        run(&mut initial_sync::copy(source, subscriber))?;
        subscriber.execute(&format!(
            "CREATE SUBSCRIPTION native CONNECTION '{}' PUBLICATION native
             WITH (create_slot = false, slot_name = native, enabled = false, copy_data = false, synchronous_commit = off)",
            source.url()
        ));
        Ok(Self { source, subscriber })
    }

    pub(super) fn start(&self) -> Result {
        self.subscriber.execute("ALTER SUBSCRIPTION native ENABLE");
        self.wait_until_active(true)
    }

    pub(super) fn stop(&self) -> Result {
        self.subscriber.execute("ALTER SUBSCRIPTION native DISABLE");
        self.wait_until_active(false)
    }

    fn wait_until_active(&self, active: bool) -> Result {
        let question = "SELECT active FROM pg_replication_slots WHERE slot_name = 'native'";
        wait("the subscription", || Ok((value(self.source, question)? == "t") == active))
    }

    /// Lets it run until it has everything, and tells how long that took.
    pub(super) fn catch_up(&self) -> Result<Duration> {
        let end = value(self.source, "SELECT pg_current_wal_flush_lsn()")?;
        let begun = Instant::now();
        self.subscriber.execute("ALTER SUBSCRIPTION native ENABLE");
        let question = format!(
            "SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'native'"
        );
        while value(self.source, &question)? != "t" {
            thread::sleep(Duration::from_millis(20));
        }
        let taken = begun.elapsed();
        self.stop()?;
        Ok(taken)
    }

    /// Removes it and its slot.
    pub(super) fn end(self) {
        self.subscriber.execute("DROP SUBSCRIPTION native");
    }
}
