//! The write loop: one destination, playing the log.

use std::{
    collections::BTreeSet,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, TryStreamExt, future, stream, stream::BoxStream};
use tokio::sync::watch;

use super::{
    Appetite, Delivery, OnError, OnTruncate, Progress, SchemaPolicy, Standing, Unit, WriteMode,
    WriteStrategy,
    dead_letters::Letters,
    filling::Filling,
    holding::Revival,
    pausing::Rested,
    report::Report,
    schema_change::{self, Bases},
    truncate,
};
use crate::{
    Error, Result, Stop,
    change::Reshape,
    log::{Commit, Log, MarkState, Playing, Request, Selection},
    retry::Retry,
    schema::StreamName,
};

/// What to play.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where a destination begins that stands nowhere yet: after this commit. 0 is the beginning.
    pub from: u64,
    /// Which streams.
    pub selection: Selection,
    /// What the destination does with changes.
    pub mode: WriteMode,
    /// What becomes of truncates.
    pub on_truncate: OnTruncate,
    /// What becomes of a change that the destination cannot take.
    pub on_error: OnError,
    /// What becomes of changes of schema.
    pub schema_change: SchemaPolicy,
    /// What is done to changes on their way to the destination.
    pub reshape: Option<Arc<dyn Reshape>>,
    /// When the horizon is reached: changes of the commit after it that are to be played too, those with ordinals below this.
    pub beyond: Option<u64>,
    /// How many changes a second, at most.
    pub rate: Option<NonZeroU64>,
    /// A note that its marks carry, by which one plan is told from another.
    pub note: String,
}

impl Plan {
    /// Everything from the beginning, in `mode`.
    pub fn new(mode: WriteMode) -> Self {
        Self {
            from: 0,
            selection: Selection::default(),
            mode,
            on_truncate: OnTruncate::default(),
            on_error: OnError::default(),
            schema_change: SchemaPolicy::default(),
            reshape: None,
            beyond: None,
            rate: None,
            note: String::new(),
        }
    }
}

/// The last commit to play: `None` while there is no last one. It may become known while the loop runs.
pub type Horizon = watch::Receiver<Option<u64>>;

/// Plays a log into one destination.
pub struct WriteLoop {
    pub(super) log: Log,
    pub(super) destination: String,
    pub(super) plan: Plan,
    pub(super) horizon: Horizon,
    pub(super) stop: Stop,
    pub(super) progress: Arc<Progress>,
    pub(super) leaves_marks: bool,
    pub(super) may_be_paused: bool,
}

/// One run of the loop, over all of its attempts.
pub(super) struct Run<'a> {
    retry: Retry,
    pub(super) report: Report<'a>,
    pub(super) revival: Revival,
    pub(super) letters: Letters,
    /// Streams whose shadows failed since held streams were last tried again.
    pub(super) refused: BTreeSet<StreamName>,
    /// Whether it is the turn of streams that are filled anew.
    fills_next: bool,
}

/// What there is to do.
enum Next {
    Commits(Vec<Arc<Commit>>),
    /// These streams, which stand alike, are to be filled anew.
    Fill(Filling),
    /// Held streams are to be tried again.
    Revival,
    /// Somebody has asked something of this destination.
    Requests(Vec<(String, Request)>),
    /// Nothing, for the horizon is reached or somebody asked to stop.
    Nothing,
}

impl WriteLoop {
    /// A loop that plays `plan` of `log` into `destination`, up to `horizon` or until `stop`.
    pub fn new(log: Log, destination: impl Into<String>, plan: Plan, horizon: Horizon, stop: Stop) -> Self {
        let (destination, progress) = (destination.into(), Arc::default());
        Self { log, destination, plan, horizon, stop, progress, leaves_marks: true, may_be_paused: false }
    }

    /// The same loop, which gives its destination nothing while somebody has paused that ([`Request::Pause`]).
    #[must_use]
    pub fn that_may_be_paused(self) -> Self {
        Self { may_be_paused: true, ..self }
    }

    /// The same loop, of which nothing is to be seen in the staging store: its destination is nobody's business.
    #[must_use]
    pub fn without_marks(self) -> Self {
        Self { leaves_marks: false, ..self }
    }

    /// How far it has come.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Runs to the horizon. A destination that is down is waited for until the loop is stopped; a stream that fails alone is
    /// held while the others go on, and its error returned in the end; any other error ends the loop, with nothing lost.
    pub async fn run(&self, strategy: &mut dyn WriteStrategy) -> Result<()> {
        let mut run = Run::new(self);
        loop {
            let error = match self.attempt(strategy, &mut run).await {
                Ok(None) => match self.rest(strategy, &mut run).await {
                    Rested::Resumed => continue,
                    Rested::Ended => {
                        run.report.say(MarkState::Stopped).await;
                        return run.report.standing().map_or(Ok(()), |standing| self.told_of_holds(standing));
                    }
                },
                Ok(Some(standing)) => {
                    run.report.say(MarkState::Stopped).await;
                    strategy.close().await?;
                    run.letters.tell();
                    return self.told_of_holds(&standing);
                }
                Err(error) => self
                    .left_behind(error, run.report.standing())
                    .context(format_args!("destination `{}`", self.destination)),
            };
            if !error.kind().is_transient() {
                run.report.say(MarkState::Failed { error: error.to_string() }).await;
                return Err(error);
            }
            tracing::warn!(%error, hint = error.hint_text(), "the destination or the staging store does not answer: trying again");
            run.report.say(MarkState::Retrying { error: error.to_string() }).await;
            if run.retry.pause(&self.stop).await.is_stopped() {
                run.report.say(MarkState::Stopped).await;
                return run.report.standing().map_or(Ok(()), |standing| self.told_of_holds(standing));
            }
        }
    }

    /// Plays from where the destination says it stands, and returns where it stands in the end; `None` when it is paused.
    async fn attempt(&self, strategy: &mut dyn WriteStrategy, run: &mut Run<'_>) -> Result<Option<Standing>> {
        if self.is_paused().await? {
            return Ok(None);
        }
        // What failed before is to be tried again with everything else.
        run.refused.clear();
        run.letters.read().await?;
        let mut standing = self.open(strategy, run).await?;
        if standing.held.values().any(|hold| hold.was_brought) {
            // A replay has been here: what it brought only has to catch up.
            run.revival.hurry();
        }
        self.progress.stands_at(standing.position.sequence);
        run.report.stands_at(&standing, 0);
        run.report.say(MarkState::Running).await;
        let requests = run.letters.asked_before().await?;
        standing = self.attend(strategy, standing, requests, run).await?;
        loop {
            let appetite = self.appetite(strategy);
            standing = match self.next(&standing, appetite, run).await? {
                Next::Commits(commits) => self.advance(strategy, standing, commits, run).await?,
                Next::Fill(filling) => self.fill(strategy, standing, filling, run).await?,
                Next::Revival => self.revive(strategy, standing, run).await?,
                Next::Requests(requests) if self.is_paused_by(&requests) => return Ok(None),
                Next::Requests(requests) => self.attend(strategy, standing, requests, run).await?,
                Next::Nothing => return self.go_beyond(strategy, standing, run).await.map(Some),
            };
        }
    }

    /// Asks the destination where it stands. The outcome of whatever failed before may be unknown, so it is always asked.
    pub(super) async fn open(&self, strategy: &mut dyn WriteStrategy, run: &mut Run<'_>) -> Result<Standing> {
        let told = strategy.open(self.log.id()).await?;
        let is_new = told.is_none();
        let standing = match told {
            Some(standing) => standing,
            None => self.log.position(self.plan.from).await?.into(),
        };
        let verified = self.log.verify(&standing.position).await;
        verified.map_err(|error| self.left_behind(error, Some(&standing)))?;
        self.check_beginning(&standing).await?;
        let is_the_end =
            standing.beyond == self.plan.beyond && *self.horizon.borrow() == Some(standing.position.sequence);
        if standing.beyond.is_some() && !is_the_end {
            return Err(Error::conflict("it shows a moment inside a commit, from which nothing goes on")
                .hint("replay into it with `--as-of`, or into a new destination"));
        }
        run.letters.settle(standing, is_new).await
    }

    /// What there is to do; while there is nothing, the report is kept up to date.
    async fn next(&self, standing: &Standing, appetite: Appetite, run: &mut Run<'_>) -> Result<Next> {
        let may_fill = run.fills_next || !self.has_grown_beyond(standing.position.sequence);
        if may_fill
            && !self.stop.is_stopped()
            && let Some(filling) = self.next_to_fill(standing, run)
        {
            run.fills_next = false;
            return Ok(Next::Fill(filling));
        }
        run.fills_next = true;
        let Run { report, revival, letters, .. } = run;
        let mut commits = std::pin::pin!(self.next_commits(&standing.position, appetite));
        loop {
            tokio::select! {
                biased;
                requests = letters.asked() => {
                    if !requests.is_empty() {
                        return Ok(Next::Requests(requests));
                    }
                }
                () = revival.wait(), if !standing.held.is_empty() => return Ok(Next::Revival),
                commits = &mut commits => return Ok(commits?.map_or(Next::Nothing, Next::Commits)),
                () = report.due() => report.say(MarkState::Running).await,
            }
        }
    }

    /// Plays `commits`. Of a stream that fails alone it is only noted that it is to be held; they are to be played again.
    async fn advance(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        commits: Vec<Arc<Commit>>,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let Some(last) = commits.last() else { return Ok(standing) };
        let mut selection = self.plan.selection.clone();
        selection.except.extend(standing.held.keys().cloned());
        let waiting = standing.anew.iter().filter(|(_, anew)| anew.waits);
        selection.except.extend(waiting.map(|(stream, _)| stream.clone()));
        let mut end = Standing { position: last.position(), ..standing.clone() };
        for commit in &commits {
            self.filled_anew_by(commit, &mut end.anew);
            schema_change::note(&self.plan, &self.playing(), commit, &mut end.schemas);
        }
        let commits = stream::iter(commits).map(Ok);
        match self.apply(strategy, (&standing, &end), commits, &selection, run).await {
            Ok(()) => Ok(end),
            Err(error) => match self.bury(error, &self.playing(), run).await? {
                None => self.open_holding(strategy, standing.held, run).await,
                Some(error) => self.hold(strategy, standing, error, run).await,
            },
        }
    }

    /// How much is to be played at once.
    pub(super) fn appetite(&self, strategy: &dyn WriteStrategy) -> Appetite {
        let appetite = strategy.appetite();
        let most = self.plan.rate.map_or(u64::MAX, NonZeroU64::get);
        Appetite { rows: appetite.rows.min(most), ..appetite }
    }

    /// Pauses after `rows` changes where they are not to come faster.
    async fn keep_to_rate(&self, rows: u64) {
        let Some(rate) = self.plan.rate else { return };
        let pause = Duration::from_secs_f64(rows as f64 / rate.get() as f64);
        tokio::select! {
            biased;
            () = self.log.world().sleep(pause) => {}
            () = self.stop.stopped() => {}
        }
    }

    /// Plays what is wanted of the commit after the last one, in the one step that is left.
    async fn go_beyond(
        &self,
        strategy: &mut dyn WriteStrategy,
        standing: Standing,
        run: &mut Run<'_>,
    ) -> Result<Standing> {
        let is_there = *self.horizon.borrow() == Some(standing.position.sequence);
        // What failed, or is on its way, has to come first.
        let is_whole = standing.held.is_empty() && standing.anew.is_empty();
        let Some(ordinal) = self.plan.beyond.filter(|_| standing.beyond.is_none() && is_there && is_whole)
        else {
            return Ok(standing);
        };
        let commit = self.log.commit_after(&standing.position).await?;
        let mut end = Standing { beyond: Some(ordinal), ..standing.clone() };
        schema_change::note(&self.plan, &self.playing(), &commit, &mut end.schemas);
        let bases = self.bases(&end).await?;
        let mut standing = standing;
        loop {
            let deliveries = self.log.played_up_to(&commit, ordinal, &self.plan.selection, self.playing());
            let unit = run.letters.unit((&standing, &end), self.barred(deliveries), self.playing());
            let unit = self.shaped(unit, bases.clone());
            match self.give(strategy, unit, &end, run).await {
                Ok(()) => return Ok(end),
                Err(error) => match self.bury(error, &self.playing(), run).await? {
                    None => standing = self.open_holding(strategy, standing.held, run).await?,
                    Some(error) => return Err(error),
                },
            }
        }
    }

    /// How the destination takes what the log holds.
    pub(super) fn playing(&self) -> Playing {
        Playing::new(self.plan.from, self.plan.mode)
    }

    /// Gives the destination what `commits` hold of `selection`, and with it the way from one standing to another.
    pub(super) async fn apply(
        &self,
        strategy: &mut dyn WriteStrategy,
        (begin, end): (&Standing, &Standing),
        commits: impl Stream<Item = Result<Arc<Commit>>> + Send + 'static,
        selection: &Selection,
        run: &mut Run<'_>,
    ) -> Result<()> {
        let bases = self.bases(end).await?;
        self.apply_as(strategy, (begin, end), commits, (selection, self.playing(), bases), run).await
    }

    /// The same, as `playing` has it.
    pub(super) async fn apply_as(
        &self,
        strategy: &mut dyn WriteStrategy,
        (begin, end): (&Standing, &Standing),
        commits: impl Stream<Item = Result<Arc<Commit>>> + Send + 'static,
        (selection, playing, bases): (&Selection, Playing, Bases),
        run: &mut Run<'_>,
    ) -> Result<()> {
        let into_shadows = playing.shadows.is_some();
        let deliveries = self.barred(self.log.played(commits, selection, playing.clone()));
        let unit = self.shaped(run.letters.unit((begin, end), deliveries, playing), bases);
        let unit = if into_shadows { unit.into_shadows() } else { unit };
        self.give(strategy, unit, end, run).await
    }

    /// The schemas that a destination at `standing` keeps to, as it sees them.
    pub(super) async fn bases(&self, standing: &Standing) -> Result<Bases> {
        schema_change::bases(&self.log, &standing.schemas, self.plan.reshape.as_deref()).await
    }

    /// `deliveries` with the truncates that the destination is to hear of.
    pub(super) fn barred(
        &self,
        deliveries: BoxStream<'static, Result<Delivery>>,
    ) -> BoxStream<'static, Result<Delivery>> {
        let on_truncate = self.plan.on_truncate;
        deliveries
            .try_filter_map(move |delivery| future::ready(truncate::treated(delivery, on_truncate)))
            .boxed()
    }

    /// `unit` with what the destination is given of its changes. Dead letters were sifted out before: they are known by the keys that
    /// records have in the log.
    pub(super) fn shaped(&self, unit: Unit, bases: Bases) -> Unit {
        let (reshape, policy) = (self.plan.reshape.clone(), self.plan.schema_change);
        unit.mapped(move |delivery| {
            let delivery = match &reshape {
                Some(reshape) => delivery.reshaped(reshape.as_ref())?,
                None => Some(delivery),
            };
            delivery.map(|delivery| schema_change::treated(delivery, &bases, policy)).transpose()
        })
    }

    /// Gives the destination `unit`, which leads to `end`.
    async fn give(
        &self,
        strategy: &mut dyn WriteStrategy,
        unit: Unit,
        end: &Standing,
        run: &mut Run<'_>,
    ) -> Result<()> {
        let rows = Arc::new(AtomicU64::new(0));
        let mut unit = unit.counted(rows.clone());
        strategy.apply(&mut unit).await?;
        run.letters.passed(end).await?;
        let rows = rows.load(Ordering::Relaxed);
        self.progress.applied(rows);
        self.progress.stands_at(end.position.sequence);
        run.retry.reset();
        run.note(end, rows).await;
        self.keep_to_rate(rows).await;
        Ok(())
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(write_loop: &'a WriteLoop) -> Self {
        let WriteLoop { log, destination, plan, progress, leaves_marks, .. } = write_loop;
        let world = log.world();
        Self {
            retry: Retry::new(world.clone()),
            report: Report::new(log, destination, plan, *leaves_marks),
            revival: Revival::due(world.clone()),
            letters: Letters::new(log, destination, plan.mode, progress.clone()),
            refused: BTreeSet::new(),
            fills_next: false,
        }
    }

    /// Notes that the destination stands at `standing` after `rows` more changes, and says so when it is time to.
    pub(super) async fn note(&mut self, standing: &Standing, rows: u64) {
        self.report.stands_at(standing, rows);
        self.report.say_if_due().await;
    }
}
