//! Transactions at a steady pace, each on time whether the ones before have come back or not, as far as there are clients.

use std::{
    ops::Range,
    sync::atomic::{AtomicI64, Ordering},
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls};

use crate::Result;

/// Enough for flushes of 16 ms at a thousand transactions a second.
const CLIENTS: usize = 16;

/// A transaction, and when.
pub(super) struct Commit {
    pub(super) id: i64,
    /// When its one statement was sent.
    pub(super) sent: Instant,
    /// When the client knew that it was committed.
    pub(super) acknowledged: Instant,
}

/// Inserts the rows of `ids` at `url`, one a transaction, one every `pace`.
pub(super) fn insert(url: &str, ids: Range<i64>, pace: Duration) -> Result<Vec<Commit>> {
    let clients =
        (0..CLIENTS).map(|_| Client::connect(url, NoTls)).collect::<std::result::Result<Vec<_>, _>>()?;
    let next = AtomicI64::new(ids.start);
    let begun = Instant::now();
    thread::scope(|scope| {
        let at_work: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| insert_some(client, &next, &ids, begun, pace)))
            .collect();
        let mut commits = Vec::new();
        for client in at_work {
            commits.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(commits)
    })
}

/// What one client does: the next row that nobody has taken, when it is due.
fn insert_some(
    mut client: Client,
    next: &AtomicI64,
    ids: &Range<i64>,
    begun: Instant,
    pace: Duration,
) -> std::result::Result<Vec<Commit>, postgres::Error> {
    let insert = client.prepare("INSERT INTO orders SELECT * FROM orders_of($1, $1)")?;
    let mut commits = Vec::new();
    loop {
        let id = next.fetch_add(1, Ordering::Relaxed);
        if !ids.contains(&id) {
            return Ok(commits);
        }
        let due = begun + pace * (id - ids.start) as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        client.execute(&insert, &[&id])?;
        commits.push(Commit { id, sent, acknowledged: Instant::now() });
    }
}
