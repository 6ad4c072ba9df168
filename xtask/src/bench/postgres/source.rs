//! A source whose table changes, and the slot that a peer reads it from.

use std::{
    cell::Cell,
    process::{Command, Stdio},
};

use tidemark_test_servers::{Database, Postgres};

use super::{Servers, orders, value};
use crate::{Result, shell::command};

pub(super) struct Source<'s> {
    servers: &'s Servers,
    pub(super) database: Database<'s>,
    /// Rows that updates choose among.
    early: u64,
    /// The number of the next row.
    next: Cell<u64>,
}

impl<'s> Source<'s> {
    /// A table with as many rows as `changes` call for: a fifth, but not too few for what they delete.
    pub(super) fn new(servers: &'s Servers, changes: u64) -> Self {
        let rows = (changes / 5).max(4_000);
        Self {
            servers,
            database: orders::filled(&servers.source, rows),
            early: rows / 2,
            next: Cell::new(rows + 1),
        }
    }

    /// Has `pg_recvlogical` find from now on what is changed.
    pub(super) fn remember_for_peer(&self) {
        self.database.execute("CREATE PUBLICATION peer FOR TABLE orders");
        self.database.query("SELECT pg_create_logical_replication_slot('peer', 'pgoutput')");
    }

    /// Makes `changes`, so many to a transaction.
    pub(super) fn change(&self, changes: u64, per_transaction: u64) {
        let (early, next) = (self.early, self.next.get());
        self.database.execute(&format!("CALL change_orders({early}, {next}, {changes}, {per_transaction})"));
        self.next.set(next + changes);
        self.servers.settle();
    }

    /// Makes `changes` of the same kinds in one transaction, each kind at once: to rows that it inserts.
    pub(super) fn change_at_once(&self, changes: u64) {
        let (inserted, updated, deleted) = (changes / 10 * 6, changes / 10 * 3, changes / 10);
        let next = self.next.get();
        let (first_deleted, after) = (next + updated, next + inserted);
        self.database.execute(&format!(
            "INSERT INTO orders SELECT * FROM orders_of({next}, {after} - 1);
             UPDATE orders SET total = total + 1, paid = NOT paid, note = 'changed ' || id
             WHERE id >= {next} AND id < {first_deleted};
             DELETE FROM orders WHERE id >= {first_deleted} AND id < {first_deleted} + {deleted}"
        ));
        self.next.set(after);
        self.servers.settle();
    }

    /// Reads the peer's slot up to where the server's log ends.
    pub(super) fn receive(&self) -> Result<Command> {
        let end = value(&self.database, "SELECT pg_current_wal_flush_lsn()")?;
        let mut receive =
            command(Postgres::program("pg_recvlogical"), ["--start", "--no-loop", "--slot", "peer"]);
        receive.args([
            "--option",
            "proto_version=1",
            "--option",
            "publication_names=peer",
            "--file",
            "/dev/null",
        ]);
        receive.args(["--endpos", &end, "--dbname", &self.database.url()]).stderr(Stdio::null());
        Ok(receive)
    }
}
