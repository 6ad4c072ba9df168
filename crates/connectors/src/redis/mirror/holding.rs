//! A destination that is ours, from `open` to the first error.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use redis::{Cmd, cmd};
use tidemark_engine::{
    Digest, Error, ErrorKind, LogId, Result,
    schema::StreamName,
    write::{Delivery, Standing},
};

use super::{
    Terms,
    fold::Fold,
    incoming::Incoming,
    ledger::{self, Ledger, Tenure},
    link::Link,
    names::{Layer, Names, OURS},
    streams::{Known, Patterns},
    template::Pattern,
};
use crate::redis::refusal;

/// How often the destination is taken anew when somebody else takes it at the same moment.
const ATTEMPTS: usize = 5;

/// A destination that is ours.
pub(super) struct Holding {
    pub(super) link: Link,
    pub(super) names: Names,
    pub(super) terms: Arc<Terms>,
    pub(super) log: LogId,
    tenure: Tenure,
    /// Whose records stand under which keys, as the server said, and as it will.
    noted_patterns: HashMap<String, String>,
    patterns: Patterns,
    /// The patterns of the schemas that have been seen.
    prepared: HashMap<Digest, Arc<Pattern>>,
    pub(super) known: HashMap<StreamName, Known>,
}

/// The unit that is being applied.
pub(super) struct Span {
    pub(super) begin: Standing,
    pub(super) end: Standing,
    pub(super) into_shadows: bool,
    /// Whether it tries dead letters again, which the destination never had.
    pub(super) retries: bool,
    /// What its changes come to.
    pub(super) folds: BTreeMap<StreamName, Fold>,
    /// What notes patterns that are new.
    claims: Vec<Cmd>,
}

impl Span {
    pub(super) fn new(begin: Standing, end: Standing, into_shadows: bool, retries: bool) -> Self {
        Self { begin, end, into_shadows, retries, folds: BTreeMap::new(), claims: Vec::new() }
    }
}

impl Holding {
    /// Takes the destination; where it was ours, under the epoch `former`, it must still be.
    pub(super) async fn open(
        mut link: Link,
        terms: Arc<Terms>,
        log: LogId,
        former: Option<u64>,
    ) -> Result<(Self, Option<Standing>)> {
        let names = Names::of(&terms.destination);
        let (tenure, ledger) = take(&mut link, &names, &terms, former).await?;
        let standing = ledger.standing(&terms.destination)?;
        let noted_patterns = link.ask(hash(OURS)).await?;
        let known: HashMap<String, String> = link.ask(hash(&names.streams())).await?;
        let mut holding = Self {
            patterns: Patterns::read(&noted_patterns)?,
            known: Known::read(&known)?,
            prepared: HashMap::new(),
            link,
            names,
            terms,
            log,
            tenure,
            noted_patterns,
        };
        holding.remove_void().await?;
        Ok((holding, standing))
    }

    /// Under which epoch it is ours.
    pub(super) fn epoch(&self) -> u64 {
        self.tenure.epoch
    }

    /// Fails unless the destination is ours and stands where `span` begins.
    pub(super) async fn begin(&mut self, span: &Span) -> Result<()> {
        if span.begin.position.log != self.log || span.end.position.log != self.log {
            return Err(Error::internal("a unit belongs to another log than the destination was opened for"));
        }
        let ledger = self.ledger().await?;
        ledger.check_position(&span.begin.position, &self.terms.destination)
    }

    /// What the server says of the destination, which is ours.
    async fn ledger(&mut self) -> Result<Ledger> {
        let fields: HashMap<String, String> = self.link.ask(hash(self.names.position())).await?;
        let ledger = Ledger::from(fields);
        ledger.check(&self.tenure, &self.terms.destination)?;
        Ok(ledger)
    }

    /// Adds the changes of `delivery` to what those of `span` come to. What cannot be done with them concerns their stream alone, and
    /// what is wrong with one of them that one.
    pub(super) async fn fold(&mut self, span: &mut Span, delivery: &Delivery) -> Result<()> {
        let stream = delivery.changes.schema().stream();
        let pattern = self.prepare(span, delivery).map_err(|error| error.of_stream(stream))?;
        let changes = Incoming::new(&delivery.changes, &pattern, self.terms.form);
        let known = self.known(stream);
        let is_mixed = known.mixed_until.is_some_and(|until| delivery.played <= until);
        let has_seen = !span.retries && !span.into_shadows && delivery.played <= known.applied;
        let replayed = is_mixed || has_seen;
        let layer = self.layer(span, stream);
        let fold = span.folds.entry(stream.clone()).or_default();
        fold.seen = fold.seen.max(delivery.played);
        let of_change = |error: Error, row: usize| match delivery.changes.ordinals() {
            Some(ordinals) if error.kind() == ErrorKind::Data => {
                error.of_change(stream, delivery.sequence, ordinals.value(row))
            }
            _ => error.of_stream(stream),
        };
        // A key that cannot be told is found again below, with its change.
        if let Ok(unknown) = fold.unknown(&changes) {
            let unknown = unknown.into_iter().collect::<Vec<_>>();
            let form = self.terms.form;
            let questions = unknown.iter().map(|key| form.ask(&layer.record(key))).collect();
            let answers = self.link.ask_each(questions).await?;
            for (key, answer) in unknown.into_iter().zip(answers) {
                let record = match answer {
                    Ok(answer) => form.read(answer, &key).map_err(|error| error.of_stream(stream))?,
                    Err(error) if error.code() == Some("WRONGTYPE") => {
                        return Err(form.foreign(&key).of_stream(stream));
                    }
                    Err(error) => return Err(refusal::of_records(self.link.server(), error)),
                };
                fold.learn(key, record);
            }
        }
        let limit = self.link.value_bytes();
        for row in 0..changes.rows() {
            let record = fold.apply(&changes, row, replayed).map_err(|error| of_change(error, row))?;
            if record.is_some_and(|record| self.terms.form.largest(record) > limit) {
                return Err(of_change(changes.too_large(limit), row));
            }
        }
        Ok(())
    }

    /// What is known of `stream`.
    pub(super) fn known(&self, stream: &StreamName) -> Known {
        let known = self.known.get(stream).filter(|known| known.log == self.log);
        known.cloned().unwrap_or(Known { log: self.log.clone(), applied: 0, mixed_until: None })
    }

    fn prepare(&mut self, span: &mut Span, delivery: &Delivery) -> Result<Arc<Pattern>> {
        let schema = delivery.changes.schema();
        if let Some(pattern) = self.prepared.get(&schema.digest()) {
            return Ok(pattern.clone());
        }
        let Terms { destination, template, form, .. } = &*self.terms;
        let (pattern, claim) = self.patterns.claim(schema, template, destination, *form)?;
        span.claims.extend(claim);
        let pattern = Arc::new(pattern);
        self.prepared.insert(schema.digest(), pattern.clone());
        Ok(pattern)
    }

    /// Where the records of `stream` are that the changes of `span` are about.
    pub(super) fn layer(&self, span: &Span, stream: &StreamName) -> Layer {
        let anew = span.begin.anew.get(stream).filter(|_| span.into_shadows);
        anew.map_or_else(|| self.names.seen(stream), |anew| self.names.anew(anew.from, stream.as_str()))
    }

    /// Runs `commands` as one, if the destination is still ours.
    pub(super) async fn fenced(&mut self, commands: Vec<Cmd>) -> Result<()> {
        self.watch(&[]).await?;
        self.ledger().await?;
        self.run(commands).await
    }

    /// Runs `commands` as one, with what moves the destination from where `span` begins to where it ends.
    pub(super) async fn finish(&mut self, span: &mut Span, mut commands: Vec<Cmd>) -> Result<()> {
        let claims = std::mem::take(&mut span.claims);
        self.watch(if claims.is_empty() { &[] } else { &[OURS] }).await?;
        let ledger = self.ledger().await?;
        ledger.check_position(&span.begin.position, &self.terms.destination)?;
        let claimed = !claims.is_empty();
        if claimed {
            let noted: HashMap<String, String> = self.link.ask(hash(OURS)).await?;
            if noted != self.noted_patterns {
                return Err(Error::unavailable(
                    "another destination has begun to write to the same database of Redis",
                )
                .hint("nothing is to be done: what it writes is looked at, and this is tried again"));
            }
        }
        commands.extend(claims);
        commands.extend(ledger::note_position(self.names.position(), &span.end)?);
        self.run(commands).await?;
        if claimed {
            self.noted_patterns = self.link.ask(hash(OURS)).await?;
        }
        Ok(())
    }

    async fn watch(&mut self, others: &[&str]) -> Result<()> {
        let mut watch = cmd("WATCH");
        watch.arg(self.names.position()).arg(others);
        self.link.ask(watch).await
    }

    async fn run(&mut self, commands: Vec<Cmd>) -> Result<()> {
        let mut transaction = self.link.begin().await?;
        for command in commands {
            transaction.add(command).await?;
        }
        if transaction.run().await? {
            return Ok(());
        }
        // Who changed it says the server now.
        self.ledger().await?;
        Err(Error::unavailable("another destination has begun to write to the same database of Redis")
            .hint("nothing is to be done: this is tried again"))
    }
}

/// Takes the destination, and tells where it stands.
async fn take(
    link: &mut Link,
    names: &Names,
    terms: &Terms,
    former: Option<u64>,
) -> Result<(Tenure, Ledger)> {
    for _ in 0..ATTEMPTS {
        let mut watch = cmd("WATCH");
        let () = link.ask(watch.arg(names.position()).clone()).await?;
        let fields: HashMap<String, String> = link.ask(hash(names.position())).await?;
        let ledger = Ledger::from(fields);
        let tenure = ledger.next(former, &terms.owner, &terms.destination)?;
        let mut transaction = link.begin().await?;
        transaction.add(tenure.note(names.position())).await?;
        if transaction.run().await? {
            return Ok((tenure, ledger));
        }
    }
    Err(ledger::lost(&terms.destination))
}

/// Asks for all of a hash.
fn hash(key: &str) -> Cmd {
    let mut ask = cmd("HGETALL");
    ask.arg(key);
    ask
}
