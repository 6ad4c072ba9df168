//! When rows can be seen at a destination.

use std::{
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls};

use crate::Result;

/// How long it rests after each look.
const REST: Duration = Duration::from_millis(1);
/// How long nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// When each row was first seen, and how that was known.
pub(super) struct Arrivals {
    first: i64,
    seen: Vec<Instant>,
    /// From one look's answer to the next one's: the most by which a row may have been there before it was seen.
    pub(super) looks: Vec<Duration>,
}

impl Arrivals {
    pub(super) fn of(&self, id: i64) -> Instant {
        self.seen[(id - self.first) as usize]
    }
}

/// Looks every millisecond, through the key's index and from the first row that is missing on, until all rows of `ids` are there.
pub(super) fn watch(url: &str, ids: Range<i64>) -> Result<Arrivals> {
    let mut client = Client::connect(url, NoTls)?;
    // The table has no statistics; what is looked for are a few of many rows.
    client.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off")?;
    let new = client.prepare("SELECT id FROM orders WHERE id >= $1 AND id < $2")?;
    let mut seen: Vec<Option<Instant>> = vec![None; (ids.end - ids.start) as usize];
    let (mut missing, mut looks) = (0, Vec::new());
    let (mut looked, mut progress) = (Instant::now(), Instant::now());
    while missing < seen.len() {
        thread::sleep(REST);
        let rows = client.query(&new, &[&(ids.start + missing as i64), &ids.end])?;
        let now = Instant::now();
        looks.push(now - looked);
        looked = now;
        for row in rows {
            let at = (row.get::<_, i64>(0) - ids.start) as usize;
            if seen[at].is_none() {
                (seen[at], progress) = (Some(now), now);
            }
        }
        missing += seen[missing..].iter().take_while(|seen| seen.is_some()).count();
        if progress.elapsed() > PATIENCE {
            let left = seen.iter().filter(|seen| seen.is_none()).count();
            return Err(format!("{left} of {} rows did not arrive for a minute", seen.len()).into());
        }
    }
    Ok(Arrivals { first: ids.start, seen: seen.into_iter().flatten().collect(), looks })
}
