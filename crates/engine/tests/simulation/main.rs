//! The loops, run from a seed against a store, a source and two destinations that fail in every way they may, and processes that die,
//! or stand still, at every place where they wait for one of them.
//!
//! | Simulation | What goes wrong |
//! |---|---|
//! | `dying` | a process dies, once, at each place there is |
//! | `failing` | processes die again and again, and calls fail, before or after they took effect |
//! | `any_weather` | the store is full, read-only, slow, or silent for a while |
//! | `left_behind` | nobody is waited for: what is old is dropped although somebody needs it |
//! | `rivals` | two processes at once; one stands still past its replacement, and goes on |
//! | `late` | calls that failed take effect later, when their process is dead; answers come after hours |
//! | `power` | the power goes: a disk loses what is not synced |
//! | `damage` | an object's bits are flipped, its end is missing, or zeros stand there |
//! | `slow_readers` | destinations take hours while the log is folded, dropped, and removed |
//! | `poison` | a destination refuses single changes |
//! | `year` | nothing, for a year |
//!
//! In all of them clocks jump by days, either way, half of the stores are encrypted, half of the logs drop what nobody needs, and
//! somebody asks for a table to be read anew now and then.
//!
//! What must hold in the end, whatever happened on the way (`oracle`): `append` has every change of the source once and in order,
//! `mirror` looks like the source, a table that was read in chunks while it changed included, again and again beside its own changes;
//! whoever plays the log again gets the same, up to any moment and from any moment on; the log is whole; and the source was never told
//! that it may forget what was not durable.
//!
//! `cargo xtask simulate` tries more seeds than a test does, and a seed that failed again. It says which by `TIDEMARK_SEED`: a number, or
//! `FROM..UNTIL`.

#![expect(clippy::expect_used, reason = "what fails here fails the test")]

mod any_weather;
mod damage;
mod destination;
mod dying;
mod failing;
mod fate;
mod late;
mod left_behind;
mod model;
mod oracle;
mod poison;
mod power;
mod process;
mod rivals;
mod seeds;
mod slow_readers;
mod source;
mod store;
mod table;
mod universe;
mod world;
mod year;

use tidemark_engine::{Error, ErrorKind};

/// More lives than this do not come to an end.
const MOST_LIVES: u64 = 1_000;

/// Tries again while a system is down, as the program's supervisor would.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(attempt: impl Fn() -> F) -> Result<T, Error> {
    loop {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            outcome => return outcome,
        }
    }
}
