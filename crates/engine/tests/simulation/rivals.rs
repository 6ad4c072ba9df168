//! Two processes at once over one store, where nothing keeps the second from starting: one of them stands still for a while, at any
//! place, as one does that is stopped by a signal or whose machine sleeps. Meanwhile others take its place, die, and end; then it goes
//! on, and must find out by itself, for nobody tells it.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use crate::{
    MOST_LIVES,
    fate::{Fate, Hazards},
    process::Ending,
    seeds,
    universe::{Universe, in_simulated_time},
    world::Seeded,
};

#[test]
fn whoever_is_replaced_notices_and_changes_nothing() {
    let replaced = AtomicU64::new(0);
    seeds::each("rivals", 150, |seed| {
        let universe = Universe::of_any_kind(seed).shared();
        let mut random = Seeded::new(seed ^ 0x21ba);
        for life in 0.. {
            let seeds = seed + life * 1_000_003;
            if live_beside_one_another(&universe, seeds, &mut random, &replaced) {
                break;
            }
            assert!(life < MOST_LIVES, "it never comes to its end");
        }
        assert!(universe.live(seed + 1, &Fate::kind()), "nobody is left who could replace the last one");
        universe.check_everything(seed);
    });
    let replaced = replaced.into_inner();
    println!("{replaced} processes were replaced and noticed");
    assert!(replaced > 0 || seeds::are_asked_for(), "somebody is replaced");
}

/// One process that stands still for a while, and one or more, one after another, beside it. Returns whether one did everything.
fn live_beside_one_another(
    universe: &Universe,
    seed: u64,
    random: &mut Seeded,
    replaced: &AtomicU64,
) -> bool {
    let mut fate = |hazards| Fate::new(hazards, random.next());
    let number = fate(Hazards::default()).draw(3);
    let failing = [0, 0, 20, 50][fate(Hazards::default()).draw(4) as usize];
    let first = {
        // Often before it has put anything: then no name keeps it out but those that others have taken since.
        let draw = fate(Hazards::default());
        let most = [40, 500][draw.draw(2) as usize];
        let stands_still_at = Some(draw.draw(most));
        fate(Hazards { stands_still_at, failing, ..Hazards::default() })
    };
    let others = (0..=number).map(|_| {
        let draw = fate(Hazards::default());
        let dies_at = (draw.draw(2) == 0).then(|| draw.draw(700));
        let stands_still_at = (draw.draw(3) == 0).then(|| draw.draw(300));
        fate(Hazards { dies_at, stands_still_at, failing, ..Hazards::default() })
    });
    let others: Vec<_> = others.collect();
    // It goes on when the others have come so far, or have ended.
    let goes_on_after = [100, 600, u64::MAX][first.draw(3) as usize];

    let done = AtomicU64::new(0);
    let note = |ending, fate: &Fate| match ending {
        Ending::Done => drop(done.fetch_add(1, Ordering::Relaxed)),
        Ending::Died => {}
        Ending::Failed(error) => {
            replaced.fetch_add(u64::from(error.message().contains("another process")), Ordering::Relaxed);
            universe.accept(error, fate);
        }
    };
    in_simulated_time(async {
        let current = Mutex::new(others[0].clone());
        let zombie = async { note(universe.process(seed, &first).await, &first) };
        let successors = async {
            for (number, fate) in others.iter().enumerate() {
                current.lock().expect("nobody panics here").clone_from(fate);
                note(universe.process(seed + 1 + number as u64, fate).await, fate);
            }
        };
        let places = || others.iter().map(Fate::places).sum::<u64>();
        let current = || current.lock().expect("nobody panics here").clone();
        beside_one_another((zombie, &first), (successors, &current), &places, goes_on_after).await;
    });
    done.into_inner() > 0
}

/// Runs both to their end. Nothing of a process is polled while it stands still; the first goes on when the second has come past so many
/// places or has ended, the second when the first stands still or has ended.
async fn beside_one_another(
    (first, first_fate): (impl Future<Output = ()>, &Fate),
    (second, second_fate): (impl Future<Output = ()>, &dyn Fn() -> Fate),
    places: &dyn Fn() -> u64,
    goes_on_after: u64,
) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_ended, mut second_ended) = (false, false);
    poll_fn(|context| {
        loop {
            if !first_ended && !first_fate.stands_still() {
                first_ended = first.as_mut().poll(context).is_ready();
            }
            if second_fate().stands_still() && (first_ended || first_fate.stands_still()) {
                second_fate().go_on();
            }
            if !second_ended && !second_fate().stands_still() {
                second_ended = second.as_mut().poll(context).is_ready();
            }
            if first_ended && second_ended {
                return Poll::Ready(());
            }
            let first_goes_on = first_fate.stands_still() && (second_ended || places() >= goes_on_after);
            let second_goes_on = second_fate().stands_still() && (first_ended || first_fate.stands_still());
            if first_goes_on {
                first_fate.go_on();
            } else if !second_goes_on {
                return Poll::Pending;
            }
        }
    })
    .await;
}
