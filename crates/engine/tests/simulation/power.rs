//! A disk that loses names which were not synced when the power goes, and brings back removed ones.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{MOST_LIVES, fate::Fate, poison::POISON, seeds, universe::Universe, world::Seeded};

#[test]
fn what_is_acknowledged_survives_a_power_cut() {
    let lost = AtomicU64::new(0);
    seeds::each("power", 100, |seed| {
        let universe = Universe::of_any_kind(seed).on_disk();
        live_through_power_cuts(&universe, seed, Fate::random);
        universe.check_everything(seed);
        lost.fetch_add(universe.store.lost(), Ordering::Relaxed);
    });
    println!("{} names were lost or came back", lost.into_inner());
}

#[test]
fn a_dead_letter_survives_a_power_cut() {
    seeds::each("power", 40, |seed| {
        let universe = Universe::new(seed).on_disk();
        universe.mirrored.poison(Some(POISON));
        live_through_power_cuts(&universe, seed, Fate::busy);
        // What had been forgotten and came back is forgotten again.
        assert!(universe.live(seed + 1, &Fate::kind()), "a quiet life");
        universe.check_poisoned(POISON);
    });
}

/// One life after another until one has done everything. After some of them the power goes.
fn live_through_power_cuts(universe: &Universe, seed: u64, fate: impl Fn(u64) -> Fate) {
    let mut random = Seeded::new(seed ^ 0x70e7);
    for life in 0.. {
        let done = universe.live(seed + life * 1_000_003, &fate(seed * 43 + life));
        if random.below(2) == 0 {
            universe.store.power_cut(random.next());
        }
        if done {
            break;
        }
        assert!(life < MOST_LIVES, "it never comes to its end");
    }
}
