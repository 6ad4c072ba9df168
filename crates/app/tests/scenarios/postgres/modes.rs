//! A PostgreSQL database kept in SQLite with everything that was: soft-delete and history, against a model in memory.

use std::collections::BTreeMap;

use tidemark_test_servers::{Database, Postgres};

use super::{pipeline, value};
use crate::{growth::Chance, modes::rows, process::pause, workbench::Workbench};

/// `swapped` checks its key at the end of a transaction; of `large` an update says only what it changed.
const TABLES: &str = "
    CREATE TABLE swapped (id int, v int, PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED);
    ALTER TABLE swapped REPLICA IDENTITY FULL;
    CREATE TABLE large (id int PRIMARY KEY, v int, body text);
    ALTER TABLE large ALTER body SET STORAGE EXTERNAL;
    INSERT INTO swapped SELECT i, i FROM generate_series(1, 6) i;
    INSERT INTO large SELECT i, i, repeat(i::text, 9000) FROM generate_series(1, 6) i;";

/// What a table and its history must be: a record is its `v` and the first letter of its `body`.
#[derive(Default)]
struct Model {
    /// Records by key, and whether they are there.
    records: BTreeMap<i64, (String, bool)>,
    /// Every version, and whether it is valid, in the order they came in.
    versions: Vec<(i64, String, bool)>,
    valid: BTreeMap<i64, usize>,
}

impl Model {
    fn ends(&mut self, id: i64) {
        if let Some(version) = self.valid.remove(&id) {
            self.versions[version].2 = false;
        }
    }

    fn becomes(&mut self, id: i64, record: String) {
        self.ends(id);
        self.valid.insert(id, self.versions.len());
        self.versions.push((id, record.clone(), true));
        self.records.insert(id, (record, true));
    }

    fn is_there(&self, id: i64) -> bool {
        self.valid.contains_key(&id)
    }

    fn delete(&mut self, id: i64) {
        self.ends(id);
        self.records.entry(id).and_modify(|record| record.1 = false);
    }

    fn moves(&mut self, from: i64, to: i64, record: String) {
        self.ends(from);
        self.records.remove(&from);
        self.becomes(to, record);
    }

    fn truncate(&mut self) {
        (0..20).for_each(|id| self.delete(id));
    }

    fn of(&self, id: i64) -> (i64, String) {
        let (v, body) = self.records[&id].0.split_once(' ').unwrap();
        (v.parse().unwrap(), body.to_owned())
    }
}

struct Story {
    swapped: Model,
    large: Model,
    chance: Chance,
    next: i64,
}

impl Story {
    /// After the initial sync of [`TABLES`].
    fn new(chance: Chance) -> Self {
        let (mut swapped, mut large) = (Model::default(), Model::default());
        for id in 1..=6 {
            swapped.becomes(id, format!("{id} "));
            large.becomes(id, format!("{id} {id}"));
        }
        Self { swapped, large, chance, next: 100 }
    }

    /// Something happens to one of the tables.
    fn goes_on(&mut self, source: &Database<'_>) {
        self.next += 1;
        let (v, id, other) = (self.next, self.below(9), self.below(9));
        let is_large = self.chance.below(2) == 0;
        let what = self.chance.below(24);
        let (table, model) =
            if is_large { ("large", &mut self.large) } else { ("swapped", &mut self.swapped) };
        let body = |body: &str| if is_large { body.to_owned() } else { String::new() };
        match what {
            0 => {
                model.truncate();
                source.execute(&format!("TRUNCATE {table}"));
            }
            1..=4 if model.is_there(id) => {
                model.delete(id);
                source.execute(&format!("DELETE FROM {table} WHERE id = {id}"));
            }
            5..=9 if model.is_there(id) => {
                let (_, had) = model.of(id);
                model.becomes(id, format!("{v} {had}"));
                source.execute(&format!("UPDATE {table} SET v = {v} WHERE id = {id}"));
            }
            // Deleted and made again in one transaction.
            10 | 11 if model.is_there(id) => {
                model.delete(id);
                model.becomes(id, format!("{v} {}", body("x")));
                source.execute(&format!("DELETE FROM {table} WHERE id = {id}; {}", insert(table, id, v)));
            }
            12..=15 if model.is_there(id) && !model.is_there(other) => {
                let (had, text) = model.of(id);
                model.moves(id, other, format!("{had} {text}"));
                source.execute(&format!("UPDATE {table} SET id = {other} WHERE id = {id}"));
            }
            12..=15 if model.is_there(id) && id != other && !is_large => {
                let (one, two) = (model.of(id).0, model.of(other).0);
                // In one transaction, one after the other, so that the order of changes is known.
                source.execute(&format!(
                    "UPDATE swapped SET id = {other} WHERE id = {id} AND v = {one};
                     UPDATE swapped SET id = {id} WHERE id = {other} AND v = {two}"
                ));
                model.ends(id);
                model.becomes(other, format!("{one} "));
                model.becomes(id, format!("{two} "));
            }
            16.. if !model.is_there(id) => {
                model.becomes(id, format!("{v} {}", body("x")));
                source.execute(&insert(table, id, v));
            }
            _ => {}
        }
    }

    fn below(&mut self, limit: u64) -> i64 {
        i64::try_from(self.chance.below(limit)).unwrap()
    }

    fn assert_kept(&self, bench: &Workbench) {
        for (table, model) in [("swapped", &self.swapped), ("large", &self.large)] {
            let body = if table == "large" { "substr(body, 1, 1)" } else { "''" };
            let columns = format!("id, v || ' ' || {body}");
            let soft =
                format!("SELECT {columns}, _tidemark_deleted_at IS NULL FROM \"public.{table}\" ORDER BY id");
            let text = |id: i64, record: &str, flag: bool| {
                [id.to_string(), record.to_owned(), u8::from(flag).to_string()].map(Some).to_vec()
            };
            let records = model.records.iter().map(|(id, (record, there))| text(*id, record, *there));
            assert_eq!(rows(&bench.path("soft.db"), &soft), records.collect::<Vec<_>>(), "{table}");
            // Those that were read came in any order.
            let past = format!(
                "SELECT {columns}, _tidemark_valid_to IS NULL FROM \"public.{table}\"
                 ORDER BY iif(_tidemark_position < (SELECT _tidemark_position FROM \"public.{table}\" ORDER BY 1 LIMIT 1 OFFSET 6),
                              printf('%03d', id), _tidemark_position)"
            );
            let versions = model.versions.iter().map(|(id, record, valid)| text(*id, record, *valid));
            let (mut found, mut expected) =
                (rows(&bench.path("past.db"), &past), versions.collect::<Vec<_>>());
            found[..6].sort();
            expected[..6].sort();
            assert_eq!(found, expected, "{table}");
            let odd = format!(
                "SELECT a.id FROM \"public.{table}\" a JOIN \"public.{table}\" b ON a.id = b.id
                 WHERE a._tidemark_position < b._tidemark_position
                   AND (a._tidemark_valid_to IS NULL OR a._tidemark_valid_to > b._tidemark_valid_from)"
            );
            assert_eq!(rows(&bench.path("past.db"), &odd), Vec::<Vec<_>>::new(), "versions overlap");
        }
    }
}

fn insert(table: &str, id: i64, v: i64) -> String {
    match table {
        "large" => format!("INSERT INTO large VALUES ({id}, {v}, repeat('x', 9000))"),
        _ => format!("INSERT INTO swapped VALUES ({id}, {v})"),
    }
}

#[test]
fn what_was_is_kept_through_kills_and_said_again_by_a_replay() {
    let source = Postgres::shared().database();
    source.execute(TABLES);
    let bench = pipeline(
        &source,
        "{public.swapped: {key: [id]}, public.large: {}}",
        "  soft: {type: sqlite, path: soft.db, write: soft-delete}
  past: {type: sqlite, path: past.db, write: history}
  again: {type: sqlite, path: again.db, write: history, live: false}
",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let mut story = Story::new(Chance::from_the_environment());
    for round in 0..8 {
        let running = (round % 2 == 1).then(|| bench.start("run pipeline.yaml"));
        (0..30).for_each(|_| story.goes_on(&source));
        if let Some(running) = running {
            pause(std::time::Duration::from_millis(story.chance.below(400)));
            running.kill().was_killed();
        }
        bench.tidemark("run pipeline.yaml --once").succeeds();
        story.assert_kept(&bench);
    }
    assert_eq!(value(&source, "SELECT count(*) FROM swapped"), story.swapped.valid.len().to_string());

    bench.tidemark("replay pipeline.yaml --to again --from beginning").succeeds();
    for table in ["swapped", "large"] {
        let all = format!("SELECT * FROM \"public.{table}\" ORDER BY 1");
        assert_eq!(rows(&bench.path("again.db"), &all), rows(&bench.path("past.db"), &all));
    }
}
