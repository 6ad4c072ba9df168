//! One PostgreSQL and one MQTT source, each to eight destinations at once. One is paused, one is down, one refuses a record: the others have
//! everything meanwhile, and in the end so have those. RabbitMQ is given a tenth, for it alone would take longer than all others together.

mod devices;
mod fan;
mod lives;
mod orders;
mod systems;

use std::time::Duration;

use crate::process::{Running, pause};
use devices::Devices;
use fan::Fan;
use orders::Orders;
use systems::Systems;

const PAUSED: &str = "warehouse";
const DOWN: &str = "entries";
const POISONED: &str = "hooks";
const OTHERS: [&str; 5] = ["mirror", "history", "archive", "feed", "bus"];

/// What the poisoned destination refuses wherever it stands.
const POISON: &str = "refuse me";

/// How often an application changes every order.
const ROUNDS: usize = 50;

/// So many changes the paused destination is not told of, at least.
const MISSED: usize = 100_000;

#[test]
fn one_is_paused_one_down_and_one_poisoned_and_the_others_never_notice() {
    let mut systems = Systems::start();
    let (orders, mut devices) = (Orders::begin(), Devices::begin());
    let fans = [
        Fan::of(&systems, orders::STREAM, &orders.source()),
        Fan::of(&systems, devices::STREAM, &devices.source()),
    ];
    for fan in &fans {
        fan.tidemark("check pipeline.yaml").succeeds();
        // The broker keeps for a session what is published from here on.
        fan.tidemark("run pipeline.yaml --once").succeeds();
    }
    let mut running = fans.each_ref().map(|fan| fan.start());
    devices.publish(0);
    let lives = [orders.lives(), devices.lives()];
    until(&fans, &mut running, "every destination has what there is", |fan, number| {
        fan.lacks_nothing(&systems::ALL) && fan.has_mirrored(&lives[number])
    });

    for fan in &fans {
        fan.tidemark(&format!("pause --wait pipeline.yaml {PAUSED}")).succeeds();
    }
    systems.hooks_refuse_poison(true);
    orders.poison();
    devices.poison();
    until(&fans, &mut running, "a record is a dead letter", |fan, _| fan.dead_letters() == 1);
    let before = fans.each_ref().map(Fan::warehouse);
    let told = orders.told();

    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            systems.redis.kill();
        }
        orders.change(round);
        if round % 10 == 0 {
            devices.publish(1 + round / 10);
        }
    }
    let lives = [orders.lives(), devices.lives()];
    assert!(orders.told() - told >= MISSED);
    until(&fans, &mut running, "the others have everything", |fan, number| {
        fan.lacks_nothing(&OTHERS) && fan.has_mirrored(&lives[number])
    });
    for (fan, before) in fans.iter().zip(&before) {
        let [paused, down, poisoned] = [PAUSED, DOWN, POISONED].map(|destination| fan.standing(destination));
        assert_eq!(paused["state"], "paused");
        assert_eq!(down["state"], "retrying");
        assert!(paused["behind"].as_u64().unwrap() > 0 && down["behind"].as_u64().unwrap() > 0);
        assert!(poisoned["dead_letters"].as_u64().unwrap() > 1, "what follows upon the refused record waits");
        assert_eq!(&fan.warehouse(), before, "nothing was given to the paused destination");
    }
    // What one refuses is no reason for it to be behind with the rest.
    until(&fans, &mut running, "the poisoned one has the rest", |fan, _| fan.lacks_nothing(&[POISONED]));

    systems.redis.start_again();
    systems.hooks_refuse_poison(false);
    for fan in &fans {
        fan.tidemark(&format!("resume pipeline.yaml {PAUSED}")).succeeds();
        assert!(fan.tidemark("dead-letters pipeline.yaml list").succeeds().stdout.contains("422"));
        fan.tidemark("dead-letters pipeline.yaml retry").succeeds();
    }
    until(&fans, &mut running, "everything is everywhere", |fan, _| {
        fan.lacks_nothing(&systems::ALL) && fan.dead_letters() == 0
    });
    for running in running {
        running.terminate().succeeds();
    }

    let mut received = systems.received();
    for (fan, lives) in fans.iter().zip(&lives) {
        fan.assert_equal_to(lives, &mut received);
    }
}

/// Waits until it holds for each of them, which have numbers, while their processes run.
fn until(fans: &[Fan; 2], running: &mut [Running; 2], what: &str, holds: impl Fn(&Fan, usize) -> bool) {
    for (number, (fan, running)) in fans.iter().zip(running).enumerate() {
        running.until(what, || {
            // Whoever looks takes from those who work.
            pause(Duration::from_millis(500));
            holds(fan, number)
        });
    }
}
