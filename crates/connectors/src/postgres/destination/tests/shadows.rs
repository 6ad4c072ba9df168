//! Streams that are filled anew out of sight, against a model in memory.

use std::collections::BTreeMap;

use futures::stream;
use proptest::prelude::*;
use tidemark_engine::{
    Error, Time,
    contract::write::{log, position},
    read::Phase,
    schema::{Kind, StreamName},
    write::{Anew, Delivery, Standing, Unit, WriteMode, WriteStrategy},
};
use tidemark_test_servers::Database;

use super::{
    Destination, apply,
    changes::{Change, Said, batch, plain, schema, text},
    database,
    model::{Model, Wish, block_on, happen, key_of, schemas, wish},
    modes::{Played, Table, assert_no_overlap, rows},
    open, open_as, value, writing,
};

/// Where the destination stands after commit `sequence`, while `anew` is being filled.
fn standing(sequence: u64, anew: Option<Anew>) -> Standing {
    let anew = anew.map(|anew| (StreamName::new("s"), anew)).into_iter().collect();
    Standing { anew, ..position(sequence).into() }
}

fn beginning(from: u64, time: i64) -> Anew {
    let time = Time::from_micros(time);
    Anew { from, after: from, until: None, waits: false, schema: None, time }
}

/// A group of transactions, and whether the destination is opened anew after it.
#[derive(Debug, Clone)]
struct Group(Vec<Vec<Wish>>, bool);

/// What happens to the stream around one new generation.
#[derive(Debug, Clone)]
struct Cycle {
    /// Changes that the log lacks, where it has a gap.
    lost: Group,
    /// While the generation is read, and when it is complete.
    waited: Group,
    after: Group,
    /// When it has taken its place.
    beyond: Group,
}

fn cycles() -> impl Strategy<Value = (bool, bool, Group, Vec<Cycle>)> {
    let group = || {
        let transactions = prop::collection::vec(prop::collection::vec(wish(), 0..16), 1..3);
        (transactions, any::<bool>()).prop_map(|(transactions, reopen)| Group(transactions, reopen))
    };
    let cycle = (group(), group(), group(), group());
    let cycle = cycle.prop_map(|(lost, waited, after, beyond)| Cycle { lost, waited, after, beyond });
    (any::<bool>(), any::<bool>(), group(), prop::collection::vec(cycle, 1..3))
}

/// A destination, what it should hold, and the log so far.
struct Copy<'a> {
    database: Database<'a>,
    mode: WriteMode,
    wide: bool,
    destination: Destination,
    source: Model,
    table: Table,
    sequence: u64,
    time: i64,
}

impl Copy<'_> {
    /// What the transactions of `group` bring, commit by commit.
    fn happen(&mut self, group: &Group) -> Vec<(u64, Played)> {
        let schemas = schemas(self.wide);
        let mut commits = Vec::new();
        for (wishes, at) in group.0.iter().zip(0usize..) {
            // Not the one with whole numbers in `c`: what a column that has been of several types holds depends on the way there.
            let schema = &schemas[[0, 2, 3][(at + group.0.len()) % 3]];
            let changes = wishes.iter().flat_map(|wish| happen(wish, schema, &mut self.source)).collect();
            (self.sequence, self.time) = (self.sequence + 1, self.time + 3);
            let played = Played { schema: schema.clone(), phase: Phase::Changes, time: self.time, changes };
            commits.push((self.sequence, played));
        }
        commits
    }

    /// The source as it is, read.
    fn read(&mut self) -> Vec<(u64, Played)> {
        let schema = &schemas(self.wide)[2];
        let said = |text: &Option<String>| text.clone().map_or(Said::Null, Said::Text);
        let row = |(key, row): (&i64, &Vec<Option<String>>)| {
            let mut values = key_of(schema, *key);
            values.extend(row.iter().map(said));
            Change::read(values)
        };
        let rows = self.source.iter().map(row).collect::<Vec<_>>();
        let begins = vec![Change::truncate(schema.fields().len())];
        let mut commits = Vec::new();
        for changes in [begins, rows] {
            (self.sequence, self.time) = (self.sequence + 1, self.time + 3);
            let (phase, time) = (Phase::InitialSync, self.time);
            commits.push((self.sequence, Played { schema: schema.clone(), phase, time, changes }));
        }
        commits
    }

    async fn apply(
        &mut self,
        from: Standing,
        to: Standing,
        commits: &[(u64, Played)],
        played: Option<u64>,
        shadow: bool,
        breaks: bool,
    ) {
        let all = || {
            let deliveries = commits.iter().flat_map(|(sequence, played)| played.deliveries(*sequence, 7));
            let deliveries = deliveries.map(|it| {
                it.map(|it| Delivery { played: played.unwrap_or(it.played).max(it.sequence), ..it })
            });
            deliveries.collect::<Vec<_>>()
        };
        let unit = |deliveries: Vec<Result<Delivery, Error>>| {
            let unit = Unit::new(from.clone(), to.clone(), stream::iter(deliveries));
            if shadow { unit.into_shadows() } else { unit }
        };
        if breaks {
            let mut broken = all();
            broken.truncate(broken.len().div_ceil(2));
            broken.push(Err(Error::unavailable("the staging store is gone")));
            self.destination.apply(&mut unit(broken)).await.unwrap_err();
            self.destination = open(&self.database, self.mode).await;
        }
        self.destination.apply(&mut unit(all())).await.unwrap();
    }

    /// Plays changes in place.
    async fn play(
        &mut self,
        begin: u64,
        commits: &[(u64, Played)],
        anew: (Option<Anew>, Option<Anew>),
        breaks: bool,
    ) {
        let end = commits.last().map_or(self.sequence, |(sequence, _)| *sequence);
        self.apply(standing(begin, anew.0), standing(end, anew.1), commits, None, false, breaks).await;
        for (sequence, played) in commits {
            self.table.play(self.mode, played, *sequence);
        }
        self.check();
    }

    fn check(&self) {
        // Nothing has been written to it as long as it is not there.
        let exists = value(&self.database, "SELECT to_regclass('s')") != "NULL";
        let rows = if exists { rows(&self.database, self.mode) } else { Vec::new() };
        assert_eq!(rows, self.table.rows(self.mode), "{:?} at {}", self.mode, self.sequence);
        if exists && self.mode == WriteMode::History {
            assert_no_overlap(&self.database, if self.wide { "id, part" } else { "id" }, "false");
        }
    }

    async fn go_through(&mut self, cycle: &Cycle, goes_on: bool) {
        let in_place = goes_on && self.mode != WriteMode::Replace;
        let begin = self.sequence;
        let lost = self.happen(&cycle.lost);
        let lost = if in_place { lost } else { Vec::new() };
        self.play(begin, &lost, (None, None), false).await;
        let from = self.sequence;
        let read = self.read();
        let waited = self.happen(&cycle.waited);
        // The last of them completes the generation.
        let mut anew = beginning(from, self.time);
        let in_time = if in_place { waited.clone() } else { Vec::new() };
        self.play(from, &in_time, (None, Some(anew.clone())), cycle.lost.1).await;

        let mut shadow = Table::default();
        let complete = self.sequence;
        for (commits, played, breaks) in
            [(read, None, cycle.waited.1), (waited, Some(complete), cycle.after.1)]
        {
            let mut next = anew.clone();
            next.after += commits.len() as u64;
            let (from, to) = (standing(complete, Some(anew)), standing(complete, Some(next.clone())));
            self.apply(from, to, &commits, played, true, breaks).await;
            commits.iter().for_each(|(sequence, played)| shadow.play(self.mode, played, *sequence));
            anew = next;
            self.check();
        }
        let after = self.happen(&cycle.after);
        let in_time = if in_place { after.clone() } else { Vec::new() };
        self.play(complete, &in_time, (Some(anew.clone()), Some(anew.clone())), false).await;
        let after = if self.mode == WriteMode::Replace { Vec::new() } else { after };
        let (from, to) = (standing(self.sequence, Some(anew.clone())), standing(self.sequence, None));
        self.apply(from, to, &after, None, true, cycle.beyond.1).await;
        after.iter().for_each(|(sequence, played)| shadow.play(self.mode, played, *sequence));
        self.table.take(self.mode, shadow, anew.time.as_micros());
        self.check();
        assert_eq!(shadows_left(&self.database), "0");

        let begin = self.sequence;
        let beyond = self.happen(&cycle.beyond);
        let in_time = if self.mode == WriteMode::Replace { Vec::new() } else { beyond };
        self.play(begin, &in_time, (None, None), cycle.beyond.1).await;
    }
}

fn shadows_left(database: &Database<'_>) -> String {
    value(database, "SELECT count(*) FROM pg_class WHERE relname LIKE 'shadow%' AND relkind = 'r'")
}

async fn play(mode: WriteMode, wide: bool, goes_on: bool, first: Group, cycles: Vec<Cycle>) {
    let database = database();
    let destination = open(&database, mode).await;
    let (source, table) = (Model::new(), Table::default());
    let mut copy = Copy { database, mode, wide, destination, source, table, sequence: 0, time: 1_000 };
    let first = copy.happen(&first);
    let in_place = if mode == WriteMode::Replace { Vec::new() } else { first };
    copy.play(0, &in_place, (None, None), false).await;
    for cycle in &cycles {
        copy.go_through(cycle, goes_on).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_new_generation_takes_its_place((wide, goes_on, first, cycles) in cycles()) {
        for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace] {
            block_on(play(mode, wide, goes_on, first.clone(), cycles.clone()));
        }
    }
}

fn unit(begin: Standing, end: Standing, changes: Vec<Result<Delivery, Error>>) -> Unit {
    Unit::new(begin, end, stream::iter(changes)).into_shadows()
}

fn read(sequence: u64, changes: tidemark_engine::change::ChangeBatch) -> Result<Delivery, Error> {
    let delivery = tidemark_engine::contract::write::delivery(sequence, changes);
    Ok(Delivery { phase: Phase::InitialSync, ..delivery })
}

/// Fills stream `s` anew with `changes`, which are read in commit 2, after commit 1.
async fn refill(copy: &mut Destination, changes: tidemark_engine::change::ChangeBatch) -> Result<(), Error> {
    let anew = beginning(1, 5_000);
    copy.apply(&mut Unit::new(standing(1, None), standing(2, Some(anew.clone())), stream::iter([]))).await?;
    copy.apply(&mut unit(standing(2, Some(anew)), standing(2, None), vec![read(2, changes)])).await
}

fn rows_of(ids: impl IntoIterator<Item = i64>, a: &str) -> tidemark_engine::change::ChangeBatch {
    let rows = ids.into_iter().map(|id| Change::read([text(id), text(a), Said::Null]));
    batch(&plain("s"), &rows.collect::<Vec<_>>(), 0)
}

#[tokio::test]
async fn what_is_equal_is_not_written_and_what_depends_on_the_table_stays() {
    for adopted in [false, true] {
        let database = database();
        let mut adopting = writing(WriteMode::Mirror);
        adopting.adopt = adopted;
        if adopted {
            database.execute(
                "CREATE TABLE s (id bigint PRIMARY KEY, a text COLLATE \"C\", b text, mine text DEFAULT 'kept')",
            );
        }
        let mut copy = open_as(&database, adopting).await;
        apply(&mut copy, 0, 1, vec![rows_of(0..100, "same")]).await.unwrap();
        database.execute("CREATE VIEW seen AS SELECT * FROM s; CREATE INDEX ON s (a)");
        let written = "SELECT count(DISTINCT xmin::text) FROM s WHERE a = 'same'";
        assert_eq!(value(&database, written), "1");
        database.execute("UPDATE s SET a = 'drifted' WHERE id < 10; DELETE FROM s WHERE id = 50; INSERT INTO s VALUES (1000, 'more', NULL)");
        refill(&mut copy, rows_of(0..100, "same")).await.unwrap();
        assert_eq!(
            value(&database, "SELECT count(*) || ' ' || min(a) || ' ' || max(a) FROM seen"),
            "100 same same"
        );
        let rewritten = "SELECT count(*) FROM s WHERE xmin = (SELECT xmin FROM s WHERE id = 0)";
        assert_eq!(value(&database, rewritten), "11");
        if adopted {
            assert_eq!(value(&database, "SELECT count(*) FROM s WHERE mine = 'kept'"), "100");
        }
        assert_eq!(shadows_left(&database), "0");
    }
}

#[tokio::test]
async fn values_that_compare_as_equal_and_are_not_are_written() {
    let database = database();
    let schema = schema("s", &[("id", Kind::Number), ("a", Kind::Number), ("b", Kind::Json)], &["id"]);
    let row = |id: &str, a: &str, b: &str| Change::read([text(id), text(a), text(b)]);
    let mut copy = open(&database, WriteMode::Mirror).await;
    let before = [row("1.0", "1.0", "{\"a\":1}"), row("2", "2", "{}")];
    apply(&mut copy, 0, 1, vec![batch(&schema, &before, 0)]).await.unwrap();
    let after = [row("1.00", "1.00", "{\"a\": 1}"), row("2", "2", "{}")];
    refill(&mut copy, batch(&schema, &after, 0)).await.unwrap();
    let all = "SELECT string_agg(id || ' ' || a || ' ' || b, ', ' ORDER BY id) FROM s";
    assert_eq!(value(&database, all), "1.00 1.00 {\"a\": 1}, 2 2 {}");
}

#[tokio::test]
async fn unique_values_are_handed_on_by_a_new_generation() {
    let database = database();
    database.execute("CREATE TABLE s (id bigint PRIMARY KEY, a text UNIQUE, b text, mine text)");
    let mut copy = open(&database, WriteMode::Mirror).await;
    let rows = |shift: i64| {
        let rows = (0..20).map(|id| Change::read([text(id), text((id + shift) % 20), Said::Null]));
        batch(&plain("s"), &rows.collect::<Vec<_>>(), 0)
    };
    apply(&mut copy, 0, 1, vec![rows(0)]).await.unwrap();
    database.execute("UPDATE s SET mine = 'row ' || id");
    refill(&mut copy, rows(1)).await.unwrap();
    let right = "SELECT count(*) FROM s WHERE a::int = (id + 1) % 20 AND mine = 'row ' || id";
    assert_eq!(value(&database, right), "20");
}

/// A stream may be read anew by another key.
#[tokio::test]
async fn a_new_generation_may_have_another_key() {
    for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History] {
        let database = database();
        let mut copy = open(&database, mode).await;
        apply(&mut copy, 0, 1, vec![rows_of(0..20, "old")]).await.unwrap();
        let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Text), ("b", Kind::Text)], &["a"]);
        let rows = (0..20).map(|id| Change::read([Said::Null, text(format!("key {id}")), Said::Null]));
        refill(&mut copy, batch(&schema, &rows.collect::<Vec<_>>(), 0)).await.unwrap();
        assert_eq!(
            value(&database, "SELECT count(*) FROM s WHERE a LIKE 'key %' AND id IS NULL"),
            "20",
            "{mode:?}"
        );
        let update = (0..20).map(|id| Change::update([Said::Null, text(format!("key {id}")), text("new")]));
        apply(&mut copy, 2, 3, vec![batch(&schema, &update.collect::<Vec<_>>(), 0)]).await.unwrap();
        assert_eq!(value(&database, "SELECT count(*) FROM s WHERE b = 'new'"), "20", "{mode:?}");
    }
}

/// A generation without rows leaves no shadow, and empties the table as its mode has it.
#[tokio::test]
async fn a_generation_may_be_empty() {
    let left: BTreeMap<&str, _> =
        [("mirror", "0"), ("soft-delete", "20"), ("history", "20"), ("replace", "0")].into();
    for mode in [WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History] {
        let database = database();
        let mut copy = open(&database, mode).await;
        apply(&mut copy, 0, 1, vec![rows_of(0..20, "old")]).await.unwrap();
        let anew = beginning(1, 1_800_000_000_000_000);
        copy.apply(&mut Unit::new(standing(1, None), standing(2, Some(anew.clone())), stream::iter([])))
            .await
            .unwrap();
        copy.apply(&mut unit(standing(2, Some(anew)), standing(2, None), Vec::new())).await.unwrap();
        let gone = match mode {
            WriteMode::SoftDelete => {
                "SELECT count(*) FROM s WHERE _tidemark_deleted_at = '2027-01-15 08:00:00Z'"
            }
            WriteMode::History => "SELECT count(*) FROM s WHERE _tidemark_valid_to = '2027-01-15 08:00:00Z'",
            _ => "SELECT count(*) FROM s",
        };
        assert_eq!(value(&database, gone), left[mode.as_str()], "{mode:?}");
    }
}

/// Records that nothing tells apart are exchanged as a whole.
#[tokio::test]
async fn a_stream_without_a_key_is_replaced() {
    let database = database();
    let schema = schema("s", &[("a", Kind::Text)], &[]);
    let rows = |rows: usize| batch(&schema, &vec![Change::read([text("twin")]); rows], 0);
    let mut copy = open(&database, WriteMode::Replace).await;
    copy.apply(&mut Unit::new(position(0), position(1), stream::iter([]))).await.unwrap();
    refill(&mut copy, rows(30)).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s WHERE a = 'twin'"), "30");
    let anew = beginning(2, 9_000);
    copy.apply(&mut Unit::new(standing(2, None), standing(3, Some(anew.clone())), stream::iter([])))
        .await
        .unwrap();
    // It breaks off, and what was loaded is not loaded again.
    let (from, to) = (standing(3, Some(anew.clone())), standing(3, None));
    let broken = vec![read(3, rows(7)), Err(Error::unavailable("the staging store is gone"))];
    copy.apply(&mut unit(from.clone(), to.clone(), broken)).await.unwrap_err();
    assert_eq!(copy.open(&log()).await.unwrap(), Some(from.clone()));
    assert_eq!(value(&database, "SELECT count(*) FROM s"), "30", "nothing shows");
    copy.apply(&mut unit(from, to, vec![read(3, rows(7))])).await.unwrap();
    assert_eq!(value(&database, "SELECT count(*) FROM s"), "7");
    assert_eq!(shadows_left(&database), "0");
}

/// A shadow that is begun anew from another commit has nothing of the former one; what is left of one goes with `teardown`.
#[tokio::test]
async fn a_shadow_is_begun_anew_or_torn_down() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    apply(&mut copy, 0, 1, vec![rows_of(0..5, "old")]).await.unwrap();
    let (one, two) = (beginning(1, 5_000), beginning(2, 6_000));
    let begin = |from: Standing, to: Standing| Unit::new(from, to, stream::iter([]));
    copy.apply(&mut begin(standing(1, None), standing(2, Some(one.clone())))).await.unwrap();
    let half = Anew { after: 2, ..one.clone() };
    let first =
        unit(standing(2, Some(one)), standing(2, Some(half.clone())), vec![read(2, rows_of(0..9, "void"))]);
    copy.apply(&mut { first }).await.unwrap();
    assert_eq!(shadows_left(&database), "1");
    copy.apply(&mut begin(standing(2, Some(half)), standing(3, Some(two.clone())))).await.unwrap();
    assert_eq!(shadows_left(&database), "0");
    let half = Anew { after: 3, ..two.clone() };
    let second = unit(standing(3, Some(two)), standing(3, Some(half)), vec![read(3, rows_of(0..3, "new"))]);
    copy.apply(&mut { second }).await.unwrap();
    assert_eq!(value(&database, "SELECT string_agg(DISTINCT a, ' ') FROM s"), "old");
    copy.close().await.unwrap();
    let (config, mirror) = (super::config(&database), writing(WriteMode::Mirror));
    let left = Destination::leftovers(&config, &mirror).await.unwrap();
    assert!(
        left.contains(&"1 table in schema `_tidemark` for what is being filled anew".to_owned()),
        "{left:?}"
    );
    Destination::teardown(&config, &mirror).await.unwrap();
    assert_eq!(value(&database, "SELECT to_regnamespace('_tidemark')"), "NULL");
    assert_eq!(value(&database, "SELECT count(*) FROM s"), "5");
}
