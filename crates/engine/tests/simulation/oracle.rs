//! What must hold in the end: the destinations, whoever plays the log again, and the log itself.

use tidemark_engine::{
    Stop, Time,
    log::{Log, Place},
    write::{Plan, WriteLoop},
};
use tokio::sync::watch;

use crate::{
    destination::{Appended, Content, Destination, Durable, Mirrored},
    fate::Fate,
    universe::{Universe, in_simulated_time},
    world::{self, Seeded},
};

/// Moments that are looked at, of those that the log has.
const MOMENTS: usize = 2;

impl Universe {
    /// Everything.
    pub(crate) fn check_everything(&self, seed: u64) {
        self.check();
        self.check_replay();
        self.check_moments(seed);
        self.check_whole();
    }

    /// What the destinations have.
    pub(crate) fn check(&self) {
        if self.appends {
            self.model.check_appended(&self.appended.content());
            self.model.check_appended_accounts(&self.appended.content());
        }
        self.model.check_mirrored(&self.mirrored.content());
        self.model.check_mirrored_accounts(&self.mirrored.content());
    }

    /// What the destinations have so far is what the source had at some time.
    pub(crate) fn check_nothing_wrong(&self) {
        if self.appends {
            self.model.check_begun(&self.appended.content());
        }
        self.model.check_state(&self.mirrored.content());
    }

    /// The whole log once more, for destinations that had nothing of it, when all of it is folded that can be.
    pub(crate) fn check_replay(&self) {
        let replayed = self.with_new_destinations();
        assert!(replayed.live(3, &Fate::kind()), "a quiet life");
        replayed.check();
    }

    /// Some moments: what is played up to one is what the source looked like then, and what is played from there on is all else.
    pub(crate) fn check_moments(&self, seed: u64) {
        let mut random = Seeded::new(seed ^ 0x3035);
        let mut moments = || [(); MOMENTS].map(|()| (random.next(), random.next()));
        let moments = moments();
        self.with_log(async |log| {
            for (at, part) in moments {
                self.check_moment(log, at, part).await;
            }
        });
    }

    async fn check_moment(&self, log: &Log, at: u64, part: u64) {
        let (first, last) = (log.begins_after().unwrap_or(0).max(1), log.head().sequence);
        let sequence = first + at % (last - first + 1);
        let mirror = Plan::new(Mirrored::MODE);
        let mirrored: Mirrored = played(log, mirror.clone(), sequence).await;
        let is_being_read = !log.commit(sequence).await.expect("it is kept").syncing().is_empty();
        let state = self.model.check_state(&mirrored);
        if !is_being_read {
            self.model.accounts.check_state(&mirrored);
        }

        let append = Plan::new(Appended::MODE);
        let rest: Appended = played(log, Plan { from: sequence, ..append.clone() }, last).await;
        let rest = self.model.check_rest(&rest);
        for (part, number) in &rest {
            assert!(
                state[part].contains(number),
                "`{part}` goes on from commit {sequence} as it was played up to there"
            );
        }
        if log.begins_after().is_none() {
            let begun: Appended = played(log, append, sequence).await;
            assert_eq!(
                self.model.check_begun(&begun),
                rest,
                "what is before and after commit {sequence} is everything"
            );
        }

        // A moment inside a commit, perhaps.
        let time = Time::from_micros(
            log.commit(sequence).await.expect("it is kept").watermark().as_micros() - (part % 2) as i64,
        );
        let Ok(cut) = log.cut(Place::Time(time)).await else { return };
        let mirrored: Mirrored = played(log, Plan { beyond: cut.beyond, ..mirror }, cut.sequence).await;
        self.model.check_state(&mirrored);
    }

    /// The log, as `fsck` looks at it.
    pub(crate) fn check_whole(&self) {
        let findings = in_simulated_time(async {
            Log::inspect(self.store(5, &Fate::kind()), world::simulated(5)).await
        });
        let findings = findings.expect("it can be looked at").expect("there is a log");
        assert!(findings.is_whole(), "the log is damaged: {:?}", findings.problems);
    }
}

/// What a destination has that had nothing when `log` is played to it up to commit `last`.
async fn played<C: Content>(log: &Log, plan: Plan, last: u64) -> C {
    let (durable, (_horizon, last)) = (Durable::<C>::default(), watch::channel(Some(last)));
    let playing = WriteLoop::new(log.clone(), "elsewhere", plan, last, Stop::new()).without_marks();
    playing.run(&mut Destination::new(durable.clone(), Fate::kind())).await.expect("it can be played");
    durable.content()
}
