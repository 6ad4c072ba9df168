//! A process that dies once, at each place there is, and lives on.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::{fate::Fate, seeds, universe::Universe};

/// A destination that refuses so few changes that a process can die at each place.
const POISON: i64 = 499;

#[test]
fn a_process_may_die_at_any_await() {
    let (places, _) = die_at_every_place(|| Universe::new(1));
    println!("died at {places} places");
    assert!(places > 200, "the run has far more places than {places} where it waits");
}

/// The same, while the log drops what every destination has, over a store that is encrypted.
#[test]
fn a_process_may_die_at_any_await_while_it_drops_what_is_old() {
    let (places, dropped) = die_at_every_place(|| Universe::dropping(2));
    println!("died at {places} places");
    assert!(places > 200 && dropped > 0, "some log has been cut off");
}

/// Returns how many places there are, and how often what is old was dropped in the end.
fn die_at_every_place(universe: impl Fn() -> Universe + Sync) -> (u64, usize) {
    let (replaced, dropped) = (AtomicU64::new(0), AtomicUsize::new(0));
    let places = seeds::until(|place| {
        let universe = universe();
        let survived = universe.live(1, &Fate::dies_at(place));
        if !survived {
            assert!(universe.live(2, &Fate::kind()), "the second life is a quiet one");
        }
        // What takes longest is looked at after one death in four.
        if place.is_multiple_of(4) {
            universe.check_everything(place);
        } else {
            universe.check();
            universe.check_replay();
        }
        replaced.fetch_add(universe.mirrored.replaced(), Ordering::Relaxed);
        dropped.fetch_add(usize::from(universe.begins_after().is_some()), Ordering::Relaxed);
        survived
    });
    assert!(replaced.into_inner() > 0, "some shadow has taken a place");
    (places, dropped.into_inner())
}

#[test]
fn a_process_may_die_at_any_await_while_changes_are_refused_and_while_they_are_tried_again() {
    let places = seeds::until(|place| {
        let universe = Universe::new(3);
        universe.mirrored.poison(Some(POISON));
        let survived = universe.live(1, &Fate::dies_at(place));
        if !survived {
            assert!(universe.live(2, &Fate::kind()), "the second life is a quiet one");
        }
        universe.check_poisoned(POISON);
        assert!(!universe.letters().is_empty(), "some are refused");

        universe.mirrored.poison(None);
        universe.ask_for_all();
        let survived_retry = universe.live(3, &Fate::dies_at(place));
        if !survived_retry {
            assert!(universe.live(4, &Fate::kind()), "the second life is a quiet one");
        }
        universe.check_healed();
        survived && survived_retry
    });
    println!("died at {places} places");
    assert!(places > 300, "the run has far more places than {places} where it waits");
}
