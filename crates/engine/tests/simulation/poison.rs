//! A destination that refuses single changes: these become dead letters, with what comes later of their keys. When it takes
//! them, it looks like the source again.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_engine::{
    change::Op,
    log::{DeadLetter, LetterId, Request},
};

use crate::{MOST_LIVES, fate::Fate, seeds, universe::Universe};

/// It refuses changes whose serial is a multiple of this.
pub(crate) const POISON: i64 = 97;

type Letters = BTreeMap<LetterId, DeadLetter>;

impl Universe {
    pub(crate) fn letters(&self) -> Letters {
        self.with_log(async |log| log.dead_letters("mirrored").await.expect("they can be read"))
    }

    fn ask(&self, request: Request) {
        self.with_log(async |log| log.ask(&request).await.map(drop).expect("it can be asked"));
    }

    /// Asks for all letters to be tried again.
    pub(crate) fn ask_for_all(&self) {
        self.ask(Request::Retry { destination: "mirrored".into(), letters: Vec::new() });
    }

    /// The destination has everything but dead changes and what is behind them, and each of those has its letter.
    pub(crate) fn check_poisoned(&self, poison: i64) {
        let (letters, mirrored) = (self.letters(), self.mirrored.content());
        for (part, transactions) in &self.model.parts {
            let (mut expected, mut dead, mut held) = (BTreeMap::new(), 0, BTreeSet::new());
            for change in transactions.iter().flatten() {
                if change.serial % poison == 0 {
                    held.insert(change.key);
                }
                if held.contains(&change.key) {
                    dead += 1;
                } else if change.op == Op::Delete {
                    expected.remove(&change.key);
                } else {
                    expected.insert(change.key, change.serial);
                }
            }
            assert_eq!(mirrored.get(*part), Some(&expected), "`{part}` without what is held");
            let found = letters.values().filter(|letter| letter.stream.as_str() == *part).count();
            assert_eq!(found, dead, "each change of `{part}` that is held has one letter");
        }
        let of_accounts = letters.values().filter(|letter| letter.stream.as_str() == "accounts");
        let held = of_accounts.flat_map(|letter| letter.keys.clone()).collect::<BTreeSet<_>>();
        let free = |accounts: &BTreeMap<i64, i64>| {
            let is_free = |(key, _): &(i64, i64)| !held.contains(&format!("{{\"key\":{key}}}"));
            accounts.iter().map(|(key, serial)| (*key, *serial)).filter(is_free).collect::<Vec<_>>()
        };
        let expected = free(self.model.accounts.at(self.model.accounts.last()));
        assert_eq!(free(&mirrored["accounts"]), expected, "`accounts` without what is held");
        for letter in letters.values().filter(|letter| letter.behind.is_some()) {
            let behind = letter.behind.expect("it is behind one");
            assert!(letters.contains_key(&behind), "what `{}` is behind is there", letter.id);
        }
    }

    /// Nothing is left, and all is as it is without poison.
    pub(crate) fn check_healed(&self) {
        assert_eq!(self.letters().len(), 0, "no letter is left");
        self.check();
    }

    /// Lives one life after another until one has done everything.
    fn live_on(&self, seed: u64) {
        let mut life = 0;
        while !self.live(seed + life * 1_000_003, &Fate::busy(seed * 37 + life)) {
            life += 1;
            assert!(life < MOST_LIVES, "it never comes to its end");
        }
    }
}

#[test]
fn what_is_refused_is_kept_and_written_later_whatever_fails() {
    seeds::each("poison", 40, |seed| {
        let universe = Universe::new(seed);
        universe.mirrored.poison(Some(POISON));
        universe.live_on(seed);
        universe.check_poisoned(POISON);
        // In vain, at first.
        universe.ask_for_all();
        universe.live_on(seed + 1);
        universe.check_poisoned(POISON);

        universe.mirrored.poison(None);
        for attempt in 0.. {
            // A life in which nobody could see what is asked does nothing about it.
            universe.ask_for_all();
            universe.live_on(seed + 2 + attempt);
            if universe.letters().is_empty() {
                break;
            }
            assert!(attempt < 100, "letters are never written");
        }
        universe.check_healed();
    });
}

#[test]
fn what_is_behind_a_discarded_change_goes_on() {
    let universe = Universe::new(5);
    universe.mirrored.poison(Some(POISON));
    universe.live_on(5);
    let refused = universe.letters().into_values().filter(|letter| letter.behind.is_none());
    let letters = refused.map(|letter| letter.id.to_string()).collect::<Vec<_>>();
    universe.mirrored.poison(None);
    universe.ask(Request::Discard { destination: "mirrored".into(), letters });
    assert!(universe.live(6, &Fate::kind()));
    assert_eq!(universe.letters().len(), 0, "what was behind them is written");
    for (part, transactions) in &universe.model.parts {
        let (mut expected, mut held) = (BTreeMap::new(), BTreeSet::new());
        for change in transactions.iter().flatten() {
            if change.serial % POISON == 0 && held.insert(change.key) {
                continue;
            }
            match change.op {
                Op::Delete => expected.remove(&change.key),
                _ => expected.insert(change.key, change.serial),
            };
        }
        assert_eq!(
            universe.mirrored.content().get(*part),
            Some(&expected),
            "`{part}` without what was discarded"
        );
    }
}
