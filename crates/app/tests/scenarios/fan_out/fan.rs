//! A pipeline with eight destinations, and what each of them has.

use std::fs;

use rusqlite::Connection;
use serde_json::Value as Json;
use tidemark_test_servers::{Database, MariadbDatabase, Postgres};

use super::{
    POISONED,
    lives::{GONE, Lives, Stream, assert_same, rows},
    systems::{Received, Systems},
};
use crate::{
    messages::delivery::{assert_has_all, staged},
    process::{Outcome, Running},
    rows::files_below,
    workbench::Workbench,
};

/// One source to eight destinations.
pub(super) struct Fan {
    stream: Stream,
    bench: Workbench,
    mirror: Database<'static>,
    warehouse: MariadbDatabase<'static>,
}

impl Fan {
    /// The pipeline from `source`, whose one stream this is, to all of `systems`.
    pub(super) fn of(systems: &Systems, stream: Stream, source: &str) -> Self {
        let (mirror, warehouse) = (Postgres::shared().database(), systems.mariadb.database());
        let urls = [
            ("MIRROR_URL", mirror.url()),
            ("WAREHOUSE_URL", warehouse.url()),
            ("NATS_URL", systems.nats.url()),
            ("RABBIT_URL", systems.rabbit.url()),
            ("REDIS_URL", systems.redis.url()),
            ("HOOKS_URL", systems.hooks.url()),
            ("SAMPLE", format!("{} % 10 == 0", stream.sampled_by)),
        ];
        let destinations = r#"
staging: ./staging
destinations:
  mirror: {type: postgres, url: "${MIRROR_URL}", write: mirror}
  history: {type: sqlite, path: ./history.db, write: history}
  warehouse: {type: mariadb, url: "${WAREHOUSE_URL}", write: mirror}
  archive: {type: files, path: ./archive, format: jsonl, write: append, linger: 1s}
  feed: {type: nats, url: "${NATS_URL}", subject: "changes.{stream}", write: append}
  bus:
    type: rabbitmq
    url: "${RABBIT_URL}"
    exchange: changes
    routing_key: "{stream}"
    transforms: [{filter: "${SAMPLE}"}]
    write: append
  entries: {type: redis, url: "${REDIS_URL}", write: append}
  hooks:
    type: webhook
    url: "${HOOKS_URL}/{stream}"
    batch: 200
    allow_hosts: [127.0.0.1]
    write: append
    on_error: dead-letter
"#;
        let bench = Workbench::with_pipeline(&format!("{source}{destinations}")).in_environment(&urls);
        Self { stream, bench, mirror, warehouse }
    }

    pub(super) fn tidemark(&self, arguments: &str) -> Outcome {
        self.bench.tidemark(arguments)
    }

    pub(super) fn start(&self) -> Running {
        self.bench.start("run pipeline.yaml")
    }

    /// What `status` tells of a destination.
    pub(super) fn standing(&self, destination: &str) -> Json {
        let standings = self.standings();
        standings.into_iter().find(|standing| standing["name"] == destination).unwrap()
    }

    /// Whether these destinations have everything that is staged, as of one moment.
    pub(super) fn lacks_nothing(&self, destinations: &[&str]) -> bool {
        let standings = self.standings();
        let is_level = |name: &&str| {
            standings.iter().any(|standing| standing["name"] == *name && standing["behind"] == 0)
        };
        destinations.iter().all(is_level)
    }

    pub(super) fn dead_letters(&self) -> u64 {
        self.standing(POISONED)["dead_letters"].as_u64().unwrap()
    }

    fn standings(&self) -> Vec<Json> {
        let status = self.tidemark("status pipeline.yaml --json").succeeds().stdout;
        let status: Json = serde_json::from_str(&status).unwrap();
        status["destinations"].as_array().unwrap().clone()
    }

    /// Whether the mirror has the records that there are.
    pub(super) fn has_mirrored(&self, lives: &Lives) -> bool {
        let table = self.stream.name;
        let is_there = self.mirror.query(&format!("SELECT to_regclass('{table}') IS NOT NULL"));
        is_there[0][0].as_deref() == Some("t") && self.mirror() == rows(lives)
    }

    fn mirror(&self) -> Vec<String> {
        let found =
            self.mirror.query(&format!("SELECT {} FROM {}", self.stream.columns('"'), self.stream.name));
        let row = |cells: Vec<Option<String>>| cells.into_iter().flatten().collect::<Vec<_>>().join("\t");
        sorted(found.into_iter().map(row).collect())
    }

    /// The rows of the warehouse.
    pub(super) fn warehouse(&self) -> Vec<String> {
        let sql = format!("SELECT {} FROM `{}`", self.stream.columns('`'), self.stream.name);
        sorted(self.warehouse.rows(&sql))
    }

    /// Each destination has what became of the records, row by row and change by change.
    pub(super) fn assert_equal_to(&self, lives: &Lives, received: &mut Received) {
        let name = self.stream.name;
        let staged = staged(&self.bench);
        let told = self.stream.lives(staged.iter().map(|change| (&change["op"], &change["values"])));
        assert_same(&told, lives, &format!("the log of {name}"));
        let rows = rows(lives);
        assert!(self.mirror() == rows, "the mirror of {name} differs");
        assert!(self.warehouse() == rows, "the warehouse of {name} differs");
        self.assert_history(lives);
        assert_same(&self.archive(), lives, &format!("the archive of {name}"));
        for destination in ["feed", "entries", "hooks"] {
            assert_has_all(&staged, &received.remove(&(name, destination)).unwrap());
        }
        assert_has_all(&self.stream.sample(&staged), &received.remove(&(name, "bus")).unwrap());
    }

    /// The history has every state that a record had, and says which are valid.
    fn assert_history(&self, lives: &Lives) {
        let history = Connection::open(self.bench.path("history.db")).unwrap();
        let columns = self.stream.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>();
        let sql = format!(
            "SELECT CAST(\"{}\" AS TEXT), {}, _tidemark_valid_to IS NULL FROM \"{}\" ORDER BY _tidemark_position",
            self.stream.key,
            columns.join(" || char(9) || "),
            self.stream.name
        );
        let mut statement = history.prepare(&sql).unwrap();
        let version =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?));
        let (mut found, mut valid) = (Lives::new(), Vec::new());
        for version in statement.query_map([], version).unwrap() {
            let (key, state, is_valid) = version.unwrap();
            if is_valid {
                valid.push(format!("{key}\t{state}"));
            }
            found.entry(key).or_default().push(state);
        }
        let mut lived = lives.clone();
        lived.values_mut().for_each(|states| states.retain(|state| state != GONE));
        assert_same(&found, &lived, &format!("the history of {}", self.stream.name));
        assert!(sorted(valid) == rows(lives), "what the history of {} calls valid differs", self.stream.name);
    }

    /// What the files tell.
    fn archive(&self) -> Lives {
        let files = files_below(&self.bench.path("archive"), "jsonl");
        let texts = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect::<String>();
        let mut changes: Vec<Json> = texts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let position = |change: &Json| change["_tidemark_position"].as_str().unwrap().to_owned();
        changes.sort_by_cached_key(position);
        self.stream.lives(changes.iter().map(|change| (&change["_tidemark_op"], change)))
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}
