//! Objects that are damaged where they lie: a bit is another, the end is missing, or zeros stand in its place. Whoever comes by it stops,
//! and delivers nothing of it; when the object is as it was, all goes on.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tidemark_engine::{Error, ErrorKind};

use crate::{
    MOST_LIVES,
    fate::Fate,
    process::Ending,
    seeds,
    universe::{Universe, in_simulated_time},
    world::Seeded,
};

#[test]
fn what_is_damaged_is_noticed_and_nothing_of_it_delivered() {
    let (noticed, unneeded) = (AtomicU64::new(0), AtomicU64::new(0));
    seeds::each("damage", 150, |seed| {
        let universe = Universe::of_any_kind(seed);
        let mut random = Seeded::new(seed ^ 0xda3a);
        for life in 0.. {
            if universe.live(seed + life * 1_000_003, &Fate::random(seed * 47 + life)) {
                break;
            }
            let stopped = live_with_damage(&universe, seed + life, &mut random);
            let counted = if stopped { &noticed } else { &unneeded };
            counted.fetch_add(1, Ordering::Relaxed);
            assert!(life < MOST_LIVES, "it never comes to its end");
        }
        universe.check_everything(seed);
    });
    let noticed = noticed.into_inner();
    println!(
        "{noticed} processes stopped before damage, {} did not need what was damaged",
        unneeded.into_inner()
    );
    assert!(noticed > 0 || seeds::are_asked_for(), "something is damaged that is needed");
}

/// One life with an object that is damaged, and is as it was afterwards. Returns whether it stopped for that.
fn live_with_damage(universe: &Universe, seed: u64, random: &mut Seeded) -> bool {
    let paths = universe.store.paths();
    let Some(path) = paths.get(random.below(paths.len().max(1) as u64) as usize) else { return false };
    let whole = universe.store.read(path).expect("it is listed");
    let damaged = damaged(&whole, random);
    universe.store.overwrite(path, damaged.clone());
    let stopped = match in_simulated_time(universe.process(seed, &Fate::kind())) {
        Ending::Failed(error) => {
            check(&error, path.as_ref());
            true
        }
        Ending::Done | Ending::Died => false,
    };
    // What was not needed may have gone meanwhile, as it should.
    if universe.store.read(path) == Some(damaged) {
        universe.store.overwrite(path, whole);
    }
    universe.check_nothing_wrong();
    stopped
}

fn check(error: &Error, path: &str) {
    assert_eq!(error.kind(), ErrorKind::Conflict, "`{path}` is damaged: {error}");
}

/// `whole`, but for a bit, its end, or zeros in the place of that.
fn damaged(whole: &Bytes, random: &mut Seeded) -> Bytes {
    let mut damaged = whole.to_vec();
    let at = random.below(damaged.len().max(1) as u64) as usize;
    match random.below(3) {
        0 => damaged.truncate(at),
        1 if damaged[at..].iter().any(|byte| *byte != 0) => damaged[at..].fill(0),
        _ => damaged[at] ^= 1 << random.below(8),
    }
    damaged.into()
}
