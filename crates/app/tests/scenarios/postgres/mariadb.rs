//! PostgreSQL to MariaDB, while the database is written to, the process is killed, and the server dies and comes back.

use std::{thread, time::Duration};

use tidemark_test_servers::{Database, Mariadb, MariadbDatabase, Postgres};

use super::{load, load::Load, pipeline};
use crate::{growth::Chance, process::pause, workbench::Workbench};

const KILLS: usize = 15;

fn destination(name: &str, database: &MariadbDatabase<'_>, write: &str) -> String {
    format!("  {name}: {{type: mariadb, url: \"{}\", write: {write}}}\n", database.url())
}

/// A table, and its rows as text on either side.
struct Compared {
    table: &'static str,
    postgres: &'static str,
    mariadb: &'static str,
}

const TABLES: [Compared; 7] = [
    Compared { table: "accounts", postgres: "id, balance::text", mariadb: "id, balance" },
    Compared { table: "savings", postgres: "id, balance::text", mariadb: "id, balance" },
    Compared {
        table: "items",
        postgres:
            "id, name, document::text, md5(large), to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
                   replace(array_to_json(tags)::text, ' ', ''), amount::text",
        mariadb: "id, name, document, MD5(large), DATE_FORMAT(at, '%Y-%m-%d %H:%i:%s.%f'), tags, amount",
    },
    Compared {
        table: "wide",
        postgres: "id::text, c1, c2, c17, c30, c44, c59, c60",
        mariadb: "id, c1, c2, c17, c30, c44, c59, c60",
    },
    Compared {
        table: "codes",
        postgres: "encode(convert_to(code, 'UTF8'), 'hex'), encode(convert_to(meaning, 'UTF8'), 'hex')",
        mariadb: "LOWER(HEX(code)), LOWER(HEX(meaning))",
    },
    Compared { table: "orders", postgres: "id, day::text, total::text", mariadb: "id, day, total" },
    Compared { table: "changing", postgres: "id, a", mariadb: "id, a" },
];

impl Compared {
    /// Fails unless every row of the source is in the copy, and no other. Of a history the versions that are valid count.
    fn assert_equal(&self, source: &Database<'_>, copy: &MariadbDatabase<'_>, condition: &str) {
        let Self { table, postgres, mariadb } = self;
        let row = |cells: &[Option<String>]| {
            let cells = cells.iter().map(|cell| cell.clone().unwrap_or_else(|| "NULL".to_owned()));
            cells.collect::<Vec<_>>().join("\t")
        };
        let mut expected: Vec<String> =
            source.query(&format!("SELECT {postgres} FROM {table}")).iter().map(|cells| row(cells)).collect();
        let mut found = copy.rows(&format!("SELECT {mariadb} FROM `public.{table}` {condition}"));
        expected.sort();
        found.sort();
        let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
        assert!(
            expected == found,
            "table `{table}` {condition} differs: {} rows instead of {}; first: {differs:#?}",
            found.len(),
            expected.len()
        );
    }
}

#[test]
fn a_mixed_load_converges_through_kills_on_either_side() {
    let (postgres, mariadb) = (Postgres::shared(), Mariadb::start());
    let (source, mirror, history) = (postgres.database(), mariadb.database(), mariadb.database());
    let mut chance = Chance::from_the_environment();
    load::prepare(&source);
    let destinations =
        destination("mirror", &mirror, "mirror") + &destination("history", &history, "history");
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    let mut transactions = 0;
    thread::scope(|scope| {
        let load = Load::start(scope, &source, chance.below(u64::MAX));
        for _ in 0..KILLS {
            let running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(50 + chance.below(1_500)));
            running.kill().was_killed();
        }
        let mut running = bench.start("run pipeline.yaml");
        pause(Duration::from_millis(500 + chance.below(1_000)));
        mariadb.kill();
        pause(Duration::from_millis(500));
        mariadb.start_again();
        running.until("the initial sync has arrived", || {
            let there = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'public.changing'";
            mirror.rows(there) == ["1"] && mirror.rows("SELECT COUNT(*) FROM `public.accounts`") == ["200"]
        });
        pause(Duration::from_secs(1));
        running.terminate().succeeds();
        transactions = load.stop();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for compared in TABLES {
        compared.assert_equal(&source, &mirror, "");
        compared.assert_equal(&source, &history, "WHERE _tidemark_valid_to IS NULL");
    }
    let overlapping = "SELECT COUNT(*) FROM `public.items` AS a JOIN `public.items` AS b USING (id)
        WHERE a._tidemark_position < b._tidemark_position AND COALESCE(a._tidemark_valid_to > b._tidemark_valid_from, TRUE)
          AND COALESCE(b._tidemark_valid_to > a._tidemark_valid_from, TRUE) AND a._tidemark_valid_from <> b._tidemark_valid_from";
    assert_eq!(history.rows(overlapping), ["0"], "versions overlap");
    let versions = history.rows("SELECT COUNT(*) FROM `public.items`");
    eprintln!(
        "{KILLS} kills and one of the server, {transactions} transactions, {} versions of items",
        versions[0]
    );
}

#[test]
fn the_example_runs() {
    let (source, copy) = (Postgres::shared().database(), Mariadb::shared().database());
    source.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a'), (2, 'b');
         CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ada')",
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mariadb/pipeline.yaml");
    let bench = Workbench::with_pipeline(&std::fs::read_to_string(example).unwrap())
        .in_environment(&[("SHOP_URL", source.url()), ("COPY_URL", copy.url())]);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute("UPDATE orders SET note = 'c' WHERE id = 1; DELETE FROM orders WHERE id = 2");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copy.rows("SELECT id, note FROM `public.orders`"), ["1\tc"]);
    let deleted = "SELECT id, note, _tidemark_valid_to IS NULL FROM `past_public.orders` ORDER BY id, 3";
    assert_eq!(copy.rows(deleted), ["1\ta\t0", "1\tc\t1", "2\tb\t0"]);
}
