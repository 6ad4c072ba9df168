//! The loops, run from a seed against a store, a source and two destinations that fail in every way they may, and a
//! process that dies at every place where it waits for one of them.
//!
//! Some lives are spent with a destination that refuses single changes, see `poison`.
//!
//! What must hold in the end, whatever happened on the way: `append` has every change of the source once and in order,
//! `mirror` looks like the source, a table that was read in chunks while it changed included, again and again beside its own changes,
//! and the source was never told that it may forget what was not durable.
//!
//! A failing run prints its seed; `TIDEMARK_SEED=n cargo test -p tidemark-engine --test simulation` repeats it, and
//! `TIDEMARK_SEED=300..5000` tries more.

#![expect(clippy::expect_used, reason = "what fails here fails the test")]

mod destination;
mod fate;
mod model;
mod poison;
mod source;
mod store;
mod table;
mod weather;
mod world;
mod year;

use std::{ops::Range, time::Duration};

use tidemark_engine::{
    Error, ErrorKind, Stop,
    codec::Format,
    log::{Housekeeping, HousekeepingSettings, Log, MasterKey, MasterKeys, Retention, Store},
    read::{ReadLoop, ReadSettings},
    schema::StreamName,
    write::{OnError, Plan, WriteLoop},
};
use tokio::sync::watch;

use destination::{Appended, Content, Destination, Mirrored};
use fate::Fate;
use model::Model;
use source::Source;

/// Everything that outlives a process.
struct Universe {
    model: Model,
    store: store::Durable,
    /// Whether the store is encrypted. Then each process has another key than the one before.
    encrypted: bool,
    source: source::Durable,
    appended: destination::Durable<Appended>,
    mirrored: destination::Durable<Mirrored>,
    /// Whether what is folded is dropped as soon as nobody needs it.
    drops: bool,
    /// Whether there is a destination that takes every change: one that begins late cannot have those that were dropped.
    appends: bool,
}

impl Universe {
    fn new(seed: u64) -> Self {
        let model = Model::new(seed);
        Self {
            source: source::Durable::new(&model),
            model,
            store: store::Durable::default(),
            encrypted: seed.is_multiple_of(2),
            appended: destination::Durable::default(),
            mirrored: destination::Durable::default(),
            drops: false,
            appends: true,
        }
    }

    /// The same, but that the log drops what nobody needs.
    fn dropping(seed: u64) -> Self {
        Self { drops: true, ..Self::new(seed) }
    }

    /// The store as a process sees it.
    fn store(&self, seed: u64, fate: &Fate) -> Store {
        let store = Store::new(self.store.connect(fate), "simulation");
        if !self.encrypted {
            return store;
        }
        let key = |number| MasterKey::parse(&format!("{:064x}", number % 3)).expect("these are keys");
        let keys = MasterKeys::new(key(seed), vec![key(seed + 1), key(seed + 2)]);
        store.encrypted(keys.expect("they differ"), world::simulated(seed))
    }

    /// One process, from start to its end or death. Returns whether it lived to do everything.
    fn live(&self, seed: u64, fate: &Fate) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let outcome = runtime.expect("a runtime starts").block_on(async {
            tokio::select! {
                biased;
                () = fate.death() => None,
                outcome = self.run_once(seed, fate) => Some(outcome),
            }
        });
        match outcome {
            None => false,
            Some(Ok(())) => true,
            // A stream is held: whoever runs it does something about it, and runs it again.
            Some(Err(error)) if error.stream().is_some() => false,
            // A store that may not be written to from the start is a matter for a person, who has seen to it by the next life.
            Some(Err(error)) if error.kind() == ErrorKind::Denied && fate.was_refused_first() => false,
            // A store that was down for long while nobody asked to stop cannot end a run.
            Some(Err(error)) => panic!("the run failed: {error}"),
        }
    }

    /// What `run --once` does.
    async fn run_once(&self, seed: u64, fate: &Fate) -> Result<(), Error> {
        let store = self.store(seed, fate);
        let log =
            patiently(|| Log::open_or_create(store.clone(), "simulation", world::simulated(seed))).await?;
        let settings = ReadSettings {
            format: Format::Arrow,
            max_delay: Duration::from_millis(seed % 3),
            // So little that larger transactions spill.
            memory: 16 << 10,
            until_caught_up: true,
        };
        let stop = Stop::new();
        let (horizon, last) = watch::channel(None);
        let write = |name: &str, mode| {
            let plan = Plan { on_error: OnError::DeadLetter, ..Plan::new(mode) };
            WriteLoop::new(log.clone(), name, plan, last.clone(), stop.clone())
        };
        let appending = write("appended", Appended::MODE);
        let mirroring = write("mirrored", Mirrored::MODE);
        let mut source = Source::new(self.source.clone(), fate.clone());
        let mut reading = ReadLoop::new(log.clone(), settings, stop.clone());
        let resyncs = reading.resyncs();
        // Somebody asks for the table now and then, before or while it is read.
        let asking = async {
            for number in 0..fate.draw(3) {
                for _ in 0..fate.draw(60) {
                    tokio::task::yield_now().await;
                }
                resyncs.ask(&format!("{seed}-{number}"), &[StreamName::new("accounts")]);
            }
        };
        let mut append = Destination::new(self.appended.clone(), fate.clone());
        let mut mirror = Destination::new(self.mirrored.clone(), fate.clone());
        let read = async {
            let end = futures::future::join(reading.run(&mut source), asking).await.0;
            horizon.send_replace(Some(log.head().sequence));
            end
        };
        let appending = async { if self.appends { appending.run(&mut append).await } else { Ok(()) } };
        let writing = futures::future::join(appending, mirroring.run(&mut mirror));
        let (read, (append, mirror), ()) =
            futures::future::join3(read, writing, self.keep_house(&log, fate)).await;
        read?;
        append?;
        mirror
    }

    /// The whole log once more, for destinations that had nothing of it, when all of it is folded that can be.
    fn check_replay(&self) {
        let replayed = Self {
            model: self.model.clone(),
            store: self.store.clone(),
            encrypted: self.encrypted,
            source: self.source.clone(),
            appended: destination::Durable::default(),
            mirrored: destination::Durable::default(),
            drops: self.drops,
            appends: !self.has_dropped(),
        };
        assert!(replayed.live(3, &Fate::kind()), "a quiet life");
        replayed.check();
    }

    /// Whether the log does not reach back to its beginning any more.
    fn has_dropped(&self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let log = runtime.expect("a runtime starts").block_on(async {
            Log::open_or_create(self.store(7, &Fate::kind()), "simulation", world::simulated(7)).await
        });
        log.expect("the log opens").begins_after().is_some()
    }

    fn check(&self) {
        if self.appends {
            self.model.check_appended(&self.appended.content());
            self.model.check_appended_accounts(&self.appended.content());
        }
        self.model.check_mirrored(&self.mirrored.content());
        self.model.check_mirrored_accounts(&self.mirrored.content());
    }

    /// Folds what there is and removes what nothing needs, every now and then.
    async fn keep_house(&self, log: &Log, fate: &Fate) {
        let retention = match self.drops {
            true => Retention {
                age: Some(Duration::ZERO),
                live: vec!["appended".to_owned(), "mirrored".to_owned()],
                ..Retention::default()
            },
            false => Retention::default(),
        };
        let settings =
            HousekeepingSettings { format: Format::Parquet, fold_after: Duration::ZERO, retention };
        let mut housekeeping = Housekeeping::new(log.clone(), settings, Stop::new());
        for _ in 0..fate.draw(12) {
            for _ in 0..fate.draw(200) {
                tokio::task::yield_now().await;
            }
            let outcome = match housekeeping.tidy().await {
                Ok(()) if self.drops => housekeeping.retain().await,
                outcome => outcome,
            };
            match outcome {
                Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Denied) => {}
                outcome => outcome.expect("housekeeping goes well"),
            }
        }
        if fate.draw(2) == 0 {
            let _ = housekeeping.retire().await;
        }
    }
}

/// Tries again while a system is down, as the program's supervisor would.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(attempt: impl Fn() -> F) -> Result<T, Error> {
    loop {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            outcome => return outcome,
        }
    }
}

/// Dies once, at each place there is, and lives on.
#[test]
fn a_process_may_die_at_any_await() {
    for (seed, kind) in [(1, "plain"), (2, "encrypted")] {
        let (places, _) = die_at_every_place(|| Universe::new(seed));
        println!("died at {places} places over a store that is {kind}");
        assert!(places > 200, "the run has far more places than {places} where it waits");
    }
}

/// The same, while the log drops what every destination has.
#[test]
fn a_process_may_die_at_any_await_while_it_drops_what_is_old() {
    let (places, dropped) = die_at_every_place(|| Universe::dropping(1));
    assert!(places > 200 && dropped > 0, "some log has been cut off");
}

/// Returns how many places there are, and how often what is old was dropped in the end.
fn die_at_every_place(universe: impl Fn() -> Universe) -> (u64, usize) {
    let (mut places, mut replaced, mut dropped) = (0, 0, 0);
    loop {
        let universe = universe();
        let survived = universe.live(1, &Fate::dies_at(places));
        if !survived {
            assert!(universe.live(2, &Fate::kind()), "the second life is a quiet one");
        }
        universe.check();
        universe.check_replay();
        replaced += universe.mirrored.replaced();
        dropped += usize::from(universe.has_dropped());
        if survived {
            break;
        }
        places += 1;
    }
    assert!(replaced > 0, "some shadow has taken a place");
    (places, dropped)
}

/// Dies again and again, while everything it uses fails now and then.
#[test]
fn nothing_is_lost_or_doubled_whatever_fails() {
    for seed in seeds(300) {
        println!("seed {seed}");
        lives_to_the_end(seed, Fate::random);
    }
}

/// The same with a store that is full for a while, read-only, slow, or silent.
#[test]
fn nothing_is_lost_or_doubled_in_any_weather() {
    let mut weathered = 0;
    for seed in seeds(300) {
        println!("seed {seed}");
        let mut lives = Vec::new();
        lives_to_the_end(seed, |seed| {
            let fate = Fate::in_any_weather(seed);
            lives.push(fate.clone());
            fate
        });
        weathered += lives.iter().map(Fate::weathered).sum::<u64>();
    }
    println!("{weathered} calls met bad weather");
    assert!(weathered > 50, "the weather was fair");
}

/// As many seeds, or those that somebody asks for.
fn seeds(many: u64) -> Range<u64> {
    match std::env::var("TIDEMARK_SEED") {
        Ok(seeds) => {
            let (from, until) = seeds.split_once("..").unwrap_or((&seeds, ""));
            let from = from.parse().expect("TIDEMARK_SEED is a number, or two with `..` between");
            from..until.parse().unwrap_or(from + 1)
        }
        Err(_) => 0..many,
    }
}

fn lives_to_the_end(seed: u64, mut fate: impl FnMut(u64) -> Fate) {
    // Encrypted and dropping what is old, each apart and both together.
    let universe = if seed % 4 < 2 { Universe::new(seed) } else { Universe::dropping(seed) };
    // Some lives begin with a stream that a destination refuses, in vain or not.
    universe.mirrored.refuse([None, Some("orders"), Some("accounts")][(seed % 3) as usize]);
    let mut life = 0;
    while !universe.live(seed + life * 1_000_003, &fate(seed * 31 + life)) {
        life += 1;
        if life == 3 {
            universe.mirrored.refuse(None);
        }
        assert!(life < 1_000, "it never comes to its end");
    }
    universe.check();
    universe.check_replay();
}
