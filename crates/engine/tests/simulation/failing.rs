//! Processes that die again and again, while everything they use fails now and then.

use crate::{MOST_LIVES, fate::Fate, seeds, universe::Universe};

#[test]
fn nothing_is_lost_or_doubled_whatever_fails() {
    seeds::each("failing", 120, |seed| drop(lives_to_the_end(seed, Fate::random)));
}

/// What fails once must fail again, or nobody could find out why.
#[test]
fn a_seed_takes_the_same_way_every_time() {
    let way = |seed| {
        let mut lives = Vec::new();
        let universe = lives_to_the_end(seed, |seed| {
            lives.push(Fate::random(seed));
            lives[lives.len() - 1].clone()
        });
        (lives.iter().map(Fate::places).collect::<Vec<_>>(), universe.store.paths())
    };
    for seed in 0..8 {
        assert_eq!(way(seed), way(seed), "seed {seed}");
    }
}

/// Processes one after another, each with a fate of its own, until one has done everything.
pub(crate) fn lives_to_the_end(seed: u64, mut fate: impl FnMut(u64) -> Fate) -> Universe {
    let universe = Universe::of_any_kind(seed);
    // Some lives begin with a stream that a destination refuses, in vain or not.
    universe.mirrored.refuse([None, Some("orders"), Some("accounts")][(seed % 3) as usize]);
    let mut life = 0;
    while !universe.live(seed + life * 1_000_003, &fate(seed * 31 + life)) {
        life += 1;
        if life == 3 {
            universe.mirrored.refuse(None);
        }
        assert!(life < MOST_LIVES, "it never comes to its end");
    }
    universe.check_everything(seed);
    universe
}
