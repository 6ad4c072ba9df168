//! One process, from its start to its end or death: what `run --once` does, beside its housekeeping.

use std::time::Duration;

use tidemark_engine::{
    Error, ErrorKind, Stop,
    codec::Format,
    log::{Housekeeping, HousekeepingSettings, Log, Retention},
    read::{ReadLoop, ReadSettings},
    schema::StreamName,
    write::{OnError, Plan, WriteLoop},
};
use tokio::sync::watch;

use crate::{
    destination::{Appended, Content, Destination, Mirrored},
    fate::Fate,
    patiently,
    source::Source,
    universe::{Keeping, Universe, in_simulated_time},
    world,
};

/// How a process ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It has done everything.
    Done,
    Died,
    Failed(Error),
}

impl Universe {
    /// One process alone. Returns whether it lived to do everything.
    pub(crate) fn live(&self, seed: u64, fate: &Fate) -> bool {
        match in_simulated_time(self.process(seed, fate)) {
            Ending::Died => false,
            Ending::Done => true,
            Ending::Failed(error) => {
                self.accept(error, fate);
                false
            }
        }
    }

    /// Does about an error what a person would, before the next life.
    ///
    /// Panics when it is one that should not have come to be.
    pub(crate) fn accept(&self, error: Error, fate: &Fate) {
        match error {
            // A stream is held: whoever runs it does something about it, and runs it again.
            error if error.stream().is_some() => {}
            // A store that may not be written to from the start is a matter for a person, who has seen to it by the next life.
            error if error.kind() == ErrorKind::Denied && fate.was_refused_first() => {}
            // The mirror was left behind: it is emptied, and begins with what is kept.
            error if self.keeping == Keeping::Nothing && error.message().contains("is not kept any more") => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                self.mirrored.empty();
            }
            // Whoever is replaced stops, and changes nothing any more.
            error if self.has_rivals && error.message().contains("another process has taken over") => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            }
            // One that stood still where its destination is no more: the others have gone on with it, and dropped what it has by now.
            // Had they dropped what it needs, the last life would not come to its end.
            error if self.has_rivals && error.message().contains("is not kept any more") => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            }
            // A store that was down for long while nobody asked to stop cannot end a run.
            error => panic!("the run failed: {error}"),
        }
    }

    /// One process, until it ends or dies.
    pub(crate) async fn process(&self, seed: u64, fate: &Fate) -> Ending {
        tokio::select! {
            biased;
            () = fate.death() => Ending::Died,
            outcome = self.run_once(seed, fate) => match outcome {
                Ok(()) => Ending::Done,
                Err(error) => Ending::Failed(error),
            }
        }
    }

    async fn run_once(&self, seed: u64, fate: &Fate) -> Result<(), Error> {
        let store = self.store(seed, fate);
        let log =
            patiently(|| Log::open_or_create(store.clone(), "simulation", world::simulated(seed))).await?;
        let settings = ReadSettings {
            format: Format::Arrow,
            max_delay: Duration::from_millis(seed % 3),
            // So little that larger transactions spill.
            memory: 4 << 10,
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
        let (read, (append, mirror), house) =
            futures::future::join3(read, writing, self.keep_house(&log, fate)).await;
        read?;
        append?;
        mirror?;
        house
    }

    /// Folds what there is and removes what nothing needs, every now and then.
    ///
    /// Fails when somebody else does that, or something is damaged.
    #[expect(clippy::disallowed_methods, reason = "time is paused: it takes simulated time")]
    async fn keep_house(&self, log: &Log, fate: &Fate) -> Result<(), Error> {
        let retention = match self.keeping {
            Keeping::Everything => Retention::default(),
            keeping => Retention {
                age: Some(Duration::ZERO),
                expires_slow: keeping == Keeping::Nothing,
                live: vec!["appended".to_owned(), "mirrored".to_owned()],
                ..Retention::default()
            },
        };
        let drops = !retention.is_everything();
        let settings = HousekeepingSettings { format: self.format, fold_after: Duration::ZERO, retention };
        let mut housekeeping = Housekeeping::new(log.clone(), settings, Stop::new());
        for _ in 0..fate.draw(12) {
            if self.takes_its_time {
                tokio::time::sleep(Duration::from_secs(fate.draw(1_800))).await;
            }
            for _ in 0..fate.draw(200) {
                tokio::task::yield_now().await;
            }
            let outcome = match housekeeping.tidy().await {
                Ok(()) if drops => housekeeping.retain().await,
                outcome => outcome,
            };
            match outcome {
                Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Denied) => {}
                outcome => outcome?,
            }
        }
        if fate.draw(2) == 0 {
            let _ = housekeeping.retire().await;
        }
        Ok(())
    }
}
