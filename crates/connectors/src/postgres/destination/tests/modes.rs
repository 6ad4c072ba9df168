//! `soft-delete` and `history` against models in memory: whatever changes come, and however they are cut into units.

use std::{collections::BTreeMap, sync::Arc};

use futures::stream;
use proptest::prelude::*;
use tidemark_engine::{
    Error, Time,
    change::{ChangeBatch, Op},
    contract::write::{log, position},
    read::Phase,
    schema::StreamSchema,
    write::{Delivery, Unit, Watermarks, WriteMode, WriteStrategy},
};
use tidemark_test_servers::Database;

use super::{
    apply,
    changes::{Change, Said, batch, plain, text},
    database,
    model::{Model, Wish, block_on, happen, key_of, schemas, wish},
    open, rewind, value,
};

/// Changes of one commit as they are played.
#[derive(Debug, Clone)]
pub(super) struct Played {
    pub(super) schema: Arc<StreamSchema>,
    pub(super) phase: Phase,
    pub(super) time: i64,
    pub(super) changes: Vec<Change>,
}

impl Played {
    /// As commit `sequence` brings it, in batches of `step` changes.
    pub(super) fn deliveries(&self, sequence: u64, step: usize) -> Vec<Result<Delivery, Error>> {
        let of = |(part, number): (&[Change], usize)| {
            let changes: ChangeBatch = batch(&self.schema, part, (number * step) as u64);
            let watermarks = Watermarks::all(Time::from_micros(self.time));
            Ok(Delivery { sequence, played: sequence, phase: self.phase, watermarks, changes })
        };
        self.changes.chunks(step.max(1)).zip(0..).map(of).collect()
    }
}

type Values = BTreeMap<String, Option<String>>;

/// A record, or one version of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    position: String,
    from: i64,
    /// When it was deleted, or no longer valid.
    to: Option<i64>,
    values: Values,
    /// It has left its key to another, and waits to be moved or deleted.
    waits: bool,
}

/// What the table of a stream holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table(pub(super) Vec<Record>);

fn said(schema: &StreamSchema, change: &Change) -> Values {
    let fields = schema.fields().iter().zip(&change.values);
    let carried = fields.filter(|(_, said)| **said != Said::Unchanged);
    carried.map(|(field, said)| (field.name.clone(), plain_text(said))).collect()
}

fn plain_text(said: &Said) -> Option<String> {
    match said {
        Said::Text(text) => Some(text.clone()),
        Said::Null | Said::Unchanged => None,
    }
}

/// The key after the change, and the key before.
fn keys(schema: &StreamSchema, change: &Change) -> (Values, Values) {
    let parts = |values: &[Said]| {
        schema.key_names().iter().cloned().zip(values.iter().map(plain_text)).collect::<Values>()
    };
    let new = parts(&change.values);
    (new.clone(), change.old_key.as_deref().map_or(new, parts))
}

impl Record {
    fn has(&self, key: &Values) -> bool {
        key.iter().all(|(name, value)| self.values.get(name) == Some(value))
    }
}

impl Table {
    /// What `change` makes of a table in `soft-delete`.
    fn soft_delete(&mut self, schema: &StreamSchema, change: &Change, time: i64) {
        let ((new, old), said) = (keys(schema, change), said(schema, change));
        let waiting = |rows: &[Record], key: &Values| rows.iter().position(|row| row.waits && row.has(key));
        let standing = |rows: &[Record], key: &Values| rows.iter().position(|row| !row.waits && row.has(key));
        let rows = &mut self.0;
        match change.op {
            Op::Truncate => {
                rows.retain(|row| !row.waits);
                rows.iter_mut().for_each(|row| row.to = row.to.or(Some(time)));
            }
            Op::Delete => match (waiting(rows, &new), standing(rows, &new)) {
                (Some(at), _) => drop(rows.remove(at)),
                (None, Some(at)) => {
                    rows[at].to = Some(time);
                    rows[at].values.extend(said);
                }
                (None, None) => {}
            },
            Op::Update if new != old => {
                let at = waiting(rows, &old).or(standing(rows, &old)).unwrap();
                let mut row = rows.remove(at);
                if let Some(other) = standing(rows, &new) {
                    match rows[other].to {
                        Some(_) => drop(rows.remove(other)),
                        None => rows[other].waits = true,
                    }
                }
                (row.waits, row.to) = (false, None);
                row.values.extend(said);
                rows.push(row);
            }
            _ => match standing(rows, &new) {
                Some(at) => {
                    rows[at].to = None;
                    rows[at].values.extend(said);
                }
                None => rows.push(Record {
                    position: String::new(),
                    from: 0,
                    to: None,
                    values: said,
                    waits: false,
                }),
            },
        }
    }

    /// What `change` makes of a table in `history`.
    fn history(&mut self, schema: &StreamSchema, change: &Change, time: i64, position: String) {
        let ((new, old), said) = (keys(schema, change), said(schema, change));
        let valid =
            |rows: &[Record], key: &Values| rows.iter().position(|row| row.to.is_none() && row.has(key));
        let rows = &mut self.0;
        let waiting = rows.iter().position(|row| row.waits && row.has(&old));
        let leaves = change.op == Op::Delete || new != old;
        if change.op == Op::Truncate {
            for row in rows.iter_mut() {
                row.waits = false;
                row.to = row.to.or(Some(time.max(row.from)));
            }
            return;
        }
        let former = waiting.filter(|_| leaves).or(valid(rows, &old));
        let other = valid(rows, &new).filter(|other| new != old && Some(*other) != former);
        let begins = |at: Option<usize>| at.map_or(i64::MIN, |at| rows[at].to.unwrap_or(rows[at].from));
        let from = time.max(begins(former)).max(begins(other));
        if let Some(at) = former {
            rows[at].to = rows[at].to.or(Some(time.max(rows[at].from)));
            rows[at].waits = false;
        }
        if let Some(at) = other {
            (rows[at].to, rows[at].waits) = (Some(time.max(rows[at].from)), true);
        }
        if change.op == Op::Delete {
            return;
        }
        let mut values = said;
        if let Some(at) = former.filter(|_| change.op == Op::Update) {
            for field in schema.fields() {
                let before = rows[at].values.get(&field.name).cloned().flatten();
                values.entry(field.name.clone()).or_insert(before);
            }
        }
        rows.push(Record { position, from, to: None, values, waits: false });
    }

    /// A new generation takes its place, which was complete at `time`.
    pub(super) fn take(&mut self, mode: WriteMode, shadow: Self, time: i64) {
        let key = |record: &Record| (record.values.get("id").cloned(), record.values.get("part").cloned());
        let same = |a: &Record, b: &Record| key(a) == key(b);
        let shown = |record: &Record| {
            let record = Record { position: String::new(), from: 0, to: None, ..record.clone() };
            Self(vec![record]).rows(WriteMode::Mirror)
        };
        match mode {
            WriteMode::SoftDelete => {
                let mut rows = std::mem::replace(&mut self.0, shadow.0);
                rows.retain(|row| !self.0.iter().any(|other| same(row, other)));
                rows.iter_mut().for_each(|row| row.to = row.to.or(Some(time)));
                self.0.extend(rows);
            }
            WriteMode::History => {
                let valid = shadow.0.into_iter().filter(|row| row.to.is_none()).collect::<Vec<_>>();
                for row in self.0.iter_mut().filter(|row| row.to.is_none()) {
                    if !valid.iter().any(|other| same(row, other)) {
                        row.to = Some(time.max(row.from));
                    }
                }
                for mut new in valid {
                    if self.0.iter().any(|row| row.position == new.position) {
                        continue;
                    }
                    if let Some(row) = self.0.iter_mut().find(|row| row.to.is_none() && same(row, &new)) {
                        if shown(row) == shown(&new) {
                            continue;
                        }
                        new.from = new.from.max(row.from);
                        row.to = Some(new.from);
                    }
                    self.0.push(new);
                }
            }
            _ => *self = shadow,
        }
    }

    pub(super) fn play(&mut self, mode: WriteMode, played: &Played, sequence: u64) {
        for (change, ordinal) in played.changes.iter().zip(0u64..) {
            let position = format!("testlog00000-{sequence:012}-{ordinal:09}");
            if played.phase == Phase::InitialSync && change.op == Op::Truncate {
                self.0.clear();
            } else if mode == WriteMode::History {
                self.history(&played.schema, change, played.time, position);
            } else if mode == WriteMode::SoftDelete {
                self.soft_delete(&played.schema, change, played.time);
            } else {
                self.soft_delete(&played.schema, change, played.time);
                self.0.retain(|row| row.to.is_none());
            }
        }
        self.0.iter_mut().for_each(|row| row.waits = false);
    }

    /// The rows as texts, to be compared with [`rows`].
    pub(super) fn rows(&self, mode: WriteMode) -> Vec<Vec<Option<String>>> {
        let row = |record: &Record| {
            let cell = |name: &str| record.values.get(name).cloned().flatten();
            let number = |text: String| text.parse::<f64>().unwrap().to_string();
            let mut row = match mode {
                WriteMode::History => vec![Some(record.position.clone()), Some(record.from.to_string())],
                _ => Vec::new(),
            };
            row.push(record.to.map(|to| to.to_string()));
            row.extend(["id", "part", "a", "b"].map(cell));
            row.push(cell("c").map(number));
            row
        };
        let mut rows = self.0.iter().map(row).collect::<Vec<_>>();
        rows.sort();
        rows
    }
}

/// The rows of table `s`: when each is valid, or was deleted, and columns that may be there or not.
pub(super) fn rows(database: &Database<'_>, mode: WriteMode) -> Vec<Vec<Option<String>>> {
    let micros = |column: &str| format!("(extract(epoch FROM {column})::numeric * 1000000)::bigint");
    let times = match mode {
        WriteMode::History => format!(
            "_tidemark_position, {}, {}",
            micros("_tidemark_valid_from"),
            micros("_tidemark_valid_to")
        ),
        WriteMode::SoftDelete => micros("_tidemark_deleted_at"),
        _ => "NULL".to_owned(),
    };
    let exists = |column: &str| {
        let sql = format!(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 's'::regclass AND attname = '{column}'"
        );
        value(database, &sql) == "1"
    };
    let column = |name: &str, shown: &str| if exists(name) { shown.to_owned() } else { "NULL".to_owned() };
    let columns =
        [column("part", "part"), "a".to_owned(), "b".to_owned(), column("c", "c::double precision")];
    let mut rows = database.query(&format!("SELECT {times}, id, {} FROM s", columns.join(", ")));
    rows.sort();
    rows
}

/// No two versions of a key are valid at one moment, save of the keys that the condition `except` tells.
pub(super) fn assert_no_overlap(database: &Database<'_>, key: &str, except: &str) {
    let sql = format!(
        "SELECT count(*) FROM s AS a JOIN s AS b USING ({key})
         WHERE a._tidemark_position < b._tidemark_position AND NOT ({except})
           AND tstzrange(a._tidemark_valid_from, a._tidemark_valid_to)
            && tstzrange(b._tidemark_valid_from, b._tidemark_valid_to)"
    );
    assert_eq!(value(database, &sql), "0", "versions overlap");
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    schema: usize,
    wishes: Vec<Wish>,
    /// How much later it was than the one before.
    later: i64,
    /// Whether a unit ends here, and whether the destination is opened anew then.
    ends: bool,
    reopen: bool,
    /// Changes in a batch.
    batch: usize,
}

fn steps() -> impl Strategy<Value = (bool, Vec<Vec<i64>>, Vec<Step>)> {
    let step =
        (0usize..4, prop::collection::vec(wish(), 0..30), 0i64..8, any::<bool>(), any::<bool>(), 1usize..40);
    let step = step.prop_map(|(schema, wishes, later, ends, reopen, batch)| Step {
        schema,
        wishes,
        later,
        ends,
        reopen: reopen && ends,
        batch,
    });
    let initial = prop::collection::vec(prop::collection::vec(0i64..8, 0..8), 0..4);
    (any::<bool>(), initial, prop::collection::vec(step, 1..7))
}

/// Commits of a stream: what is read of it, then changes, of which some are older than what was read.
fn commits(wide: bool, initial: &[Vec<i64>], steps: &[Step]) -> Vec<Played> {
    let schemas = schemas(wide);
    let mut model = Model::new();
    let mut commits = Vec::new();
    for (keys, number) in initial.iter().zip(0i64..) {
        let schema = schemas[0].clone();
        let row = |key: i64| vec![Some((number * 10 + key).to_string()), None, None];
        let changes = keys.iter().map(|&key| {
            model.insert(key, row(key));
            let mut values = key_of(&schema, key);
            values.extend([text(number * 10 + key), Said::Null]);
            Change::read(values)
        });
        let changes = changes.collect();
        commits.push(Played {
            schema: schema.clone(),
            phase: Phase::InitialSync,
            time: 1_000 + number,
            changes,
        });
    }
    let mut time = 990;
    for step in steps {
        let schema = &schemas[step.schema];
        let changes = step.wishes.iter().flat_map(|wish| happen(wish, schema, &mut model)).collect();
        time += step.later;
        commits.push(Played { schema: schema.clone(), phase: Phase::Changes, time, changes });
    }
    commits
}

/// The condition that a key is one of those that `initial` reads twice.
fn is_read_twice(wide: bool, initial: &[Vec<i64>]) -> String {
    let schema = &schemas(wide)[0];
    let mut read = initial.concat();
    read.sort_unstable();
    let twice = read.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| key_of(schema, pair[0]));
    let is_key = |key: Vec<Said>| {
        let parts = schema.key_names().iter().zip(&key);
        let parts = parts.map(|(name, part)| format!("{name} = '{}'", plain_text(part).unwrap()));
        parts.collect::<Vec<_>>().join(" AND ")
    };
    twice.map(is_key).chain(["false".to_owned()]).collect::<Vec<_>>().join(" OR ")
}

async fn play(mode: WriteMode, wide: bool, initial: Vec<Vec<i64>>, steps: Vec<Step>) {
    let database = database();
    let commits = commits(wide, &initial, &steps);
    let mut table = Table::default();
    let mut copy = open(&database, mode).await;
    let (mut begin, mut deliveries) = (0, Vec::new());
    for (played, sequence) in commits.iter().zip(1u64..) {
        let step = (sequence as usize).checked_sub(initial.len() + 1).map(|at| &steps[at]);
        deliveries.extend(played.deliveries(sequence, step.map_or(3, |step| step.batch)));
        table.play(mode, played, sequence);
        if step.is_some_and(|step| !step.ends) && sequence < commits.len() as u64 {
            continue;
        }
        let all = || deliveries.iter().map(|it| Ok(it.as_ref().unwrap().clone())).collect::<Vec<_>>();
        let unit = |deliveries| Unit::new(position(begin), position(sequence), stream::iter(deliveries));
        if step.is_none_or(|step| step.reopen) {
            // It breaks off once, after some of it.
            let mut broken = all();
            broken.truncate(broken.len().div_ceil(2));
            broken.push(Err(Error::unavailable("the staging store is gone")));
            copy.apply(&mut unit(broken)).await.unwrap_err();
            drop(copy);
            copy = open(&database, mode).await;
        }
        copy.apply(&mut unit(all())).await.unwrap();
        (begin, deliveries) = (sequence, Vec::new());
        if commits[..sequence as usize].iter().any(|played| !played.changes.is_empty()) {
            assert_eq!(rows(&database, mode), table.rows(mode), "after commit {sequence}");
        }
    }
    if mode == WriteMode::History && commits.iter().any(|played| !played.changes.is_empty()) {
        // No initial sync reads a record twice; if it did, what was read first would end later than changes that waited say.
        assert_no_overlap(&database, if wide { "id, part" } else { "id" }, &is_read_twice(wide, &initial));
        // What the table has seen is not written again.
        drop(copy);
        database.execute("DELETE FROM _tidemark.positions");
        let mut copy = open(&database, mode).await;
        for (played, sequence) in commits.iter().zip(1u64..) {
            let deliveries = stream::iter(played.deliveries(sequence, 5));
            copy.apply(&mut Unit::new(position(sequence - 1), position(sequence), deliveries)).await.unwrap();
        }
        assert_eq!(rows(&database, mode), table.rows(mode), "after a replay");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn soft_delete_keeps_what_was_deleted((wide, initial, steps) in steps()) {
        block_on(play(WriteMode::SoftDelete, wide, initial, steps));
    }

    #[test]
    fn history_keeps_every_version((wide, initial, steps) in steps()) {
        block_on(play(WriteMode::History, wide, initial, steps));
    }
}

#[tokio::test]
async fn every_mode_keeps_the_contract() {
    for mode in [WriteMode::SoftDelete, WriteMode::History] {
        let database = database();
        tidemark_engine::contract::write::all(|| super::destination(&database, super::writing(mode))).await;
    }
}

/// Two records change places, of which one was read later than that: what they leave behind does not outlast the change.
#[tokio::test]
async fn versions_of_changes_that_waited_do_not_overlap() {
    let kept = || Said::Unchanged;
    let created = || Change::create([text(2), text("created"), Said::Null]);
    let schema = plain("s");
    for ends in [Change::truncate(3), Change::delete([text(2), kept(), kept()])] {
        let read = vec![Change::read([text(1), text("read"), Said::Null])];
        let swap = [(2, 1), (1, 2)].map(|(from, to)| Change::moved(from, [text(to), kept(), kept()]));
        let [there, back] = swap;
        let waited = vec![created(), there, back, ends, created()];
        let commits = [(Phase::InitialSync, 1_000, read), (Phase::Changes, 990, waited)];
        let commits =
            commits.map(|(phase, time, changes)| Played { schema: schema.clone(), phase, time, changes });
        let database = database();
        let mut copy = open(&database, WriteMode::History).await;
        let mut table = Table::default();
        for (played, sequence) in commits.iter().zip(1..) {
            let deliveries = stream::iter(played.deliveries(sequence, 1));
            copy.apply(&mut Unit::new(position(sequence - 1), position(sequence), deliveries)).await.unwrap();
            table.play(WriteMode::History, played, sequence);
        }
        assert_eq!(rows(&database, WriteMode::History), table.rows(WriteMode::History));
        assert_no_overlap(&database, "id", "false");
    }
}

/// A deletion of a row that is not there does nothing, whether it knows the row or not, by itself and among many.
#[tokio::test]
async fn a_deletion_of_nothing_is_nothing() {
    for mode in [WriteMode::SoftDelete, WriteMode::History] {
        let database = database();
        let mut copy = open(&database, mode).await;
        for (fill, at) in [(0, 0), (20, 1)] {
            let mut changes = (100..100 + fill)
                .map(|id| Change::create([text(id), text("x"), Said::Null]))
                .collect::<Vec<_>>();
            changes.push(Change::delete([text(1), text("full"), text("full")]));
            changes.push(Change::delete([text(2), Said::Unchanged, Said::Unchanged]));
            apply(&mut copy, at, at + 1, vec![batch(&plain("s"), &changes, 0)]).await.unwrap();
            assert_eq!(value(&database, "SELECT count(*) FROM s"), fill.to_string());
        }
    }
}

/// A deleted row gives way to one that moves to its key, and is no longer in question when that leaves again.
#[tokio::test]
async fn a_deleted_row_gives_way() {
    let database = database();
    let mut copy = open(&database, WriteMode::SoftDelete).await;
    let kept = || Said::Unchanged;
    let changes = [
        Change::create([text(1), text("old"), Said::Null]),
        Change::create([text(2), text("new"), Said::Null]),
        Change::delete([text(1), kept(), kept()]),
        Change::moved(2, [text(1), kept(), kept()]),
        Change::moved(1, [text(3), kept(), kept()]),
    ];
    apply(&mut copy, 0, 1, vec![batch(&plain("s"), &changes, 0)]).await.unwrap();
    let all = "SELECT string_agg(id || a || (_tidemark_deleted_at IS NULL)::text, ' ' ORDER BY id) FROM s";
    assert_eq!(value(&database, all), "3newtrue");
}

#[tokio::test]
async fn a_table_of_one_mode_is_not_written_in_another() {
    let modes = [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History];
    for made in modes {
        let database = database();
        let rows = batch(&plain("s"), &[Change::create([text(1), Said::Null, Said::Null])], 0);
        apply(&mut open(&database, made).await, 0, 1, vec![rows.clone()]).await.unwrap();
        for asked in modes.into_iter().filter(|asked| *asked != made) {
            let mut copy = open(&database, asked).await;
            let error = apply(&mut copy, 1, 2, vec![rows.clone()]).await.unwrap_err();
            assert_eq!(
                error.message(),
                "table `public.s` was made for another write mode",
                "{made:?} {asked:?}"
            );
            let errors = super::Destination::check(&super::config(&database), &super::writing(asked)).await;
            assert_eq!(errors[0].message(), error.message());
        }
        rewind(&database, 1);
        let mut copy = open(&database, made).await;
        assert_eq!(copy.open(&log()).await.unwrap().unwrap().position.sequence, 1);
        apply(&mut copy, 1, 2, vec![rows]).await.unwrap();
    }
}
