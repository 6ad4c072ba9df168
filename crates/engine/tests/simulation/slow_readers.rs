//! Destinations that take hours for a unit, a source that takes hours for a transaction, and a store that answers after hours, while the
//! log is folded, and what nobody needs is dropped and removed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    MOST_LIVES,
    fate::{Fate, Hazards},
    seeds,
    universe::Universe,
};

#[test]
fn whoever_reads_for_hours_gets_all_of_it_or_is_told() {
    let left_behind = AtomicU64::new(0);
    seeds::each("slow_readers", 100, |seed| {
        let universe = match seed % 4 {
            0 => Universe::new(seed),
            1 | 2 => Universe::dropping(seed),
            _ => Universe::expiring(seed),
        };
        let universe = universe.slow();
        let fate = |seed| {
            let hazards = Hazards { slow: 60, answered_late: 10, failing: 10, ..Hazards::random(seed) };
            Fate::new(hazards, seed)
        };
        let mut life = 0;
        while !universe.live(seed + life * 1_000_003, &fate(seed * 53 + life)) {
            life += 1;
            assert!(life < MOST_LIVES, "it never comes to its end");
        }
        universe.check_everything(seed);
        left_behind.fetch_add(universe.mirrored.emptied(), Ordering::Relaxed);
    });
    println!("{} times somebody was left behind", left_behind.into_inner());
}
