//! Calls that arrive late: a put or a removal that failed for whoever made it, and takes effect when that process is long dead, others
//! have gone on, and names have been freed by folding; and answers that come after hours.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    MOST_LIVES,
    fate::{Fate, Hazards},
    seeds,
    universe::Universe,
};

#[test]
fn what_arrives_late_changes_nothing_that_others_have_gone_on_from() {
    let landed = AtomicU64::new(0);
    seeds::each("late", 150, |seed| {
        let universe = Universe::of_any_kind(seed).late();
        let fate = |seed| {
            let hazards =
                Hazards { landing_late: 40, answered_late: 10, failing: 10, ..Hazards::random(seed) };
            Fate::new(hazards, seed)
        };
        let mut life = 0;
        while !universe.live(seed + life * 1_000_003, &fate(seed * 41 + life)) {
            life += 1;
            assert!(life < MOST_LIVES, "it never comes to its end");
        }
        // A commit of a dead process may be among it: that is then played too.
        universe.store.arrive_all();
        assert!(universe.live(seed + 1, &Fate::kind()), "nothing is on its way any more");
        universe.check_everything(seed);
        landed.fetch_add(universe.store.landed(), Ordering::Relaxed);
    });
    let landed = landed.into_inner();
    println!("{landed} calls took effect late");
    assert!(landed > 0 || seeds::are_asked_for(), "something arrives late");
}
