//! Whatever happens: once a source has come to rest and was swept once more, its records are what is staged.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    bench::{Fate, Restless},
    fold::{Fold, records},
    plan, run,
    server::{Habits, Order},
    watermark,
    world::Chance,
};
use crate::polling::{Changes, Overlap, Plan};

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Keys), Just(Order::Marks), Just(Order::Offset), Just(Order::OffsetOfMarks)]
}

fn habits() -> impl Strategy<Value = Habits> {
    let flags = any::<[bool; 3]>();
    (order(), 1u64..8, 5u64..60, flags, prop_oneof![Just(0), 1u64..6]).prop_map(
        |(order, size, keys, [is_untidy, tells_time, drifts], late)| Habits {
            order,
            size,
            keys,
            is_untidy,
            tells_time,
            late: if tells_time { late * 400_000_000 } else { late },
            deletes: true,
            sparse: false,
            drifts,
        },
    )
}

impl Habits {
    fn overlap(&self) -> Overlap {
        match self.tells_time {
            true => Overlap::Time(Duration::from_micros(self.late)),
            false => Overlap::Steps(self.late),
        }
    }

    fn is_steady(&self) -> bool {
        matches!(self.order, Order::Keys | Order::Marks)
    }
}

/// A few processes while the source changes, each with a fate of its own; then rest, and one process more.
pub(super) async fn live(restless: &mut Restless, seed: u64) {
    let mut chance = Chance::new(!seed);
    for _ in 0..3 + chance.below(6) {
        for _ in 0..chance.below(12) {
            restless.server().change();
        }
        restless.server().patience = chance.below(120);
        let fate = match chance.below(5) {
            0 => Fate::CaughtUp,
            1 => Fate::Stopped(chance.below(400)),
            _ => Fate::Killed(chance.below(300)),
        };
        if let Some(Err(error)) = restless.bench.run(fate).await {
            panic!("{error}");
        }
    }
    restless.server().come_to_rest();
    restless.bench.catch_up().await;
}

async fn fold(restless: &Restless, is_sparse: bool) -> Fold {
    let staged = restless.bench.staged(0).await;
    if is_sparse { Fold::of_sparse(&staged, &["id"]) } else { Fold::of(&staged, &["id"]) }
}

fn compared(plan: Plan, habits: &Habits) -> Plan {
    Plan { max_deletes: 100, steady_pages: habits.is_steady(), ..plan }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_full_refresh_loses_nothing_and_invents_nothing(habits in habits(), seed in any::<u64>()) {
        run(async {
            let plan = compared(plan(&["id"], Changes::FullRefresh), &habits);
            let mut restless = Restless::new(habits, plan, seed);
            live(&mut restless, seed).await;
            assert_eq!(fold(&restless, false).await.image, restless.server().image());
            let commits = restless.bench.commits().await;
            restless.bench.catch_up().await;
            assert_eq!(restless.bench.commits().await, commits, "an unchanged source adds nothing");
        });
    }

    #[test]
    fn a_watermark_loses_nothing_though_records_come_late_and_share_it(habits in habits(), seed in any::<u64>()) {
        run(async {
            let plan = compared(plan(&["id"], watermark(habits.overlap(), None)), &habits);
            let mut restless = Restless::new(habits, plan, seed);
            live(&mut restless, seed).await;
            let (fold, image) = (fold(&restless, false).await.image, restless.server().image());
            for (key, row) in &image {
                assert_eq!(fold.get(key), Some(row), "{key}");
            }
            // How far it was read comes to its end a few sweeps after the records.
            for _ in 0..4 {
                restless.bench.catch_up().await;
            }
            let commits = restless.bench.commits().await;
            restless.bench.catch_up().await;
            assert_eq!(restless.bench.commits().await, commits, "an unchanged source adds nothing");
        });
    }

    #[test]
    fn a_watermark_with_comparisons_finds_what_is_gone_too(habits in habits(), seed in any::<u64>()) {
        run(async {
            let every = Duration::from_secs(3_600);
            let plan = compared(plan(&["id"], watermark(habits.overlap(), Some(every))), &habits);
            let mut restless = Restless::new(habits, plan, seed);
            live(&mut restless, seed).await;
            restless.bench.clock.advance(2 * every);
            restless.bench.catch_up().await;
            assert_eq!(fold(&restless, false).await.image, restless.server().image());
        });
    }

    #[test]
    fn records_without_a_key_are_all_there_and_none_twice(
        habits in habits(),
        by_mark in any::<bool>(),
        seed in any::<u64>(),
    ) {
        run(async {
            let changes = if by_mark { watermark(habits.overlap(), None) } else { Changes::FullRefresh };
            let plan = compared(plan(&[], changes), &habits);
            let is_to_go = habits.deletes && !by_mark;
            let mut restless = Restless::new(habits, plan, seed);
            live(&mut restless, seed).await;
            let staged = records(&restless.bench.staged(0).await);
            for record in restless.server().image().values() {
                assert!(staged.contains_key(record), "{record:?}");
            }
            // Who was not seen for a while comes again; no two records ever hold the same.
            assert!(is_to_go || staged.values().all(|times| *times == 1), "{staged:?}");
        });
    }

    #[test]
    fn changes_that_are_told_lose_nothing_though_tokens_expire(
        habits in habits(),
        sparse in any::<bool>(),
        seed in any::<u64>(),
    ) {
        run(async {
            let drifts = habits.drifts && !sparse;
            let habits = Habits { sparse, drifts, late: 0, ..habits };
            let plan = Plan { max_deletes: 100, ..plan(&["id"], Changes::Delta { sparse }) };
            let mut restless = Restless::new(habits, plan, seed);
            live(&mut restless, seed).await;
            assert_eq!(fold(&restless, sparse).await.image, restless.server().image());
            let commits = restless.bench.commits().await;
            restless.bench.catch_up().await;
            assert_eq!(restless.bench.commits().await, commits, "an unchanged source adds nothing");
        });
    }
}
