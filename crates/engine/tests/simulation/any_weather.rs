//! A store that is full for a while, read-only, slow, or silent.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{failing::lives_to_the_end, fate::Fate, seeds};

#[test]
fn nothing_is_lost_or_doubled_in_any_weather() {
    let weathered = AtomicU64::new(0);
    seeds::each("any_weather", 120, |seed| {
        let mut lives = Vec::new();
        lives_to_the_end(seed, |seed| {
            let fate = Fate::in_any_weather(seed);
            lives.push(fate.clone());
            fate
        });
        weathered.fetch_add(lives.iter().map(Fate::weathered).sum::<u64>(), Ordering::Relaxed);
    });
    let weathered = weathered.into_inner();
    println!("{weathered} calls met bad weather");
    assert!(weathered > 50 || seeds::are_asked_for(), "the weather was fair");
}
