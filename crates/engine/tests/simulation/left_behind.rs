//! Nobody is waited for: a destination that reads too slowly, or that was away for too long, notices, and begins with what is kept.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{MOST_LIVES, fate::Fate, seeds, universe::Universe};

#[test]
fn who_is_left_behind_notices_and_begins_again() {
    let left_behind = AtomicU64::new(0);
    seeds::each("left_behind", 60, |seed| {
        let universe = Universe::expiring(seed);
        let mut life = 0;
        while !universe.live(seed + life * 1_000_003, &Fate::random(seed * 37 + life)) {
            life += 1;
            assert!(life < MOST_LIVES, "it never comes to its end");
        }
        universe.check_everything(seed);
        left_behind.fetch_add(universe.mirrored.emptied(), Ordering::Relaxed);
    });
    assert!(left_behind.into_inner() > 0 || seeds::are_asked_for(), "somebody was too slow");
}
