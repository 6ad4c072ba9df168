//! PostgreSQL to Redis as a mirror, while the database is written to, the process is killed, and the server dies and comes back.

use std::{cell::RefCell, thread, time::Duration};

use tidemark_test_servers::{Database, Postgres, Redis};

use super::{load, load::Load, pipeline};
use crate::{growth::Chance, process::pause, workbench::Workbench};

const KILLS: usize = 12;
const OUTAGES: usize = 3;

/// The records under keys that a pattern fits, each as some of its values; of the large ones the length and how they begin.
const HASHES: &str = "
    local rows = {}
    for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
        local row = {}
        for i = 2, #ARGV do
            local value = redis.call('HGET', key, ARGV[i])
            if value and ARGV[i] == 'large' then value = #value .. value:sub(1, 40) end
            row[#row + 1] = value or 'NULL'
        end
        rows[#rows + 1] = row
    end
    return rows";

const OBJECTS: &str = "
    local rows = {}
    for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
        local row, record = {}, cjson.decode(redis.call('GET', key))
        for i = 2, #ARGV do
            local value = record[ARGV[i]]
            if type(value) == 'number' then value = string.format('%.0f', value) end
            if value == cjson.null then value = 'NULL' end
            if ARGV[i] == 'large' then value = #value .. value:sub(1, 40) end
            row[#row + 1] = value
        end
        rows[#rows + 1] = row
    end
    return rows";

/// A table, and its rows on either side. Lists and documents are compared in hashes alone: Lua reads those of JSON in its own way.
struct Compared {
    table: &'static str,
    columns: &'static [&'static str],
    postgres: &'static str,
}

const AT: &str = r#"regexp_replace(regexp_replace(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\.000000$', ''),
    '(\.\d{3})000$', '\1') || 'Z'"#;

const TABLES: [Compared; 8] = [
    Compared { table: "accounts", columns: &["id", "balance"], postgres: "id, balance::text" },
    Compared { table: "savings", columns: &["id", "balance"], postgres: "id, balance::text" },
    Compared {
        table: "items",
        columns: &["id", "name", "large", "at", "amount", "document", "tags"],
        postgres: "id, name, length(large) || left(large, 40), {at}, amount::text, document::text,
            replace(array_to_json(tags)::text, ' ', '')",
    },
    Compared {
        table: "wide",
        columns: &["id", "c1", "c2", "c17", "c30", "c44", "c59", "c60"],
        postgres: "id::text, c1, c2, c17, c30, c44, c59, c60",
    },
    Compared { table: "codes", columns: &["code", "meaning"], postgres: "code, meaning" },
    Compared { table: "orders", columns: &["id", "day", "total"], postgres: "id, day::text, total::text" },
    Compared { table: "scratch", columns: &["id", "note"], postgres: "id, note" },
    Compared { table: "changing", columns: &["id", "a"], postgres: "id, a" },
];

impl Compared {
    /// Fails unless every row of the source is a record under `prefix`, and no other.
    fn assert_equal(
        &self,
        source: &Database<'_>,
        server: &Redis,
        (prefix, script, width): (&str, &str, usize),
    ) {
        let Self { table, columns, postgres } = self;
        let sql = format!("SELECT {} FROM {table}", postgres.replace("{at}", AT));
        let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
        let row = |cells: &Vec<Option<String>>| cells.iter().take(width).map(cell).collect::<Vec<_>>();
        let mut expected = source.query(&sql).iter().map(row).collect::<Vec<_>>();
        let pattern = format!("{prefix}public.{table}:*");
        let asked = [&["EVAL", script, "0", &pattern], &columns[..columns.len().min(width)]].concat();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let found = server.ask(&asked);
        let row = |cells: &serde_json::Value| cells.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let mut found = found.as_array().unwrap().iter().map(row).collect::<Vec<_>>();
        expected.sort();
        found.sort();
        let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
        assert!(
            expected == found,
            "table `{table}` under `{prefix}` differs: {} records instead of {}; first: {differs:#?}",
            found.len(),
            expected.len()
        );
    }
}

fn assert_equal(source: &Database<'_>, server: &Redis) {
    for compared in TABLES {
        compared.assert_equal(source, server, ("", HASHES, usize::MAX));
        compared.assert_equal(source, server, ("object/", OBJECTS, 5));
    }
}

#[test]
fn a_mixed_load_converges_through_kills_on_either_side() {
    let (source, server) = (Postgres::shared().database(), RefCell::new(Redis::start()));
    let mut chance = Chance::from_the_environment();
    load::prepare(&source);
    let url = server.borrow().url();
    let destinations = format!(
        "  hashes: {{type: redis, url: \"{url}\", write: mirror}}\n  \
           objects: {{type: redis, url: \"{url}\", as: json, key: \"object/{{stream}}:{{key}}\", write: mirror}}\n"
    );
    let bench = pipeline(&source, "[\"public.*\"]", &destinations);
    let mut transactions = 0;
    thread::scope(|scope| {
        let load = Load::start(scope, &source, chance.below(u64::MAX));
        for round in 0..KILLS {
            let running = bench.start("run pipeline.yaml");
            pause(Duration::from_millis(50 + chance.below(1_500)));
            if round % (KILLS / OUTAGES) == 1 {
                server.borrow_mut().kill();
                pause(Duration::from_millis(chance.below(500)));
                server.borrow_mut().start_again();
                pause(Duration::from_millis(chance.below(1_000)));
            }
            running.kill().was_killed();
        }
        let mut running = bench.start("run pipeline.yaml");
        running.until("the initial sync has arrived", || {
            server.borrow().ask(&["SCARD", "_tidemark:objects:keys:public.accounts"]) == 200
        });
        pause(Duration::from_secs(1));
        running.terminate().succeeds();
        transactions = load.stop();
    });
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &server.borrow());

    // Read anew, while something is there that is not at the source.
    source.execute("ALTER TABLE accounts DISABLE TRIGGER ALL; DELETE FROM accounts WHERE id > 150");
    for round in ["accounts", "items"] {
        bench.tidemark(&format!("resync pipeline.yaml --stream public.{round}")).succeeds();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&source, &server.borrow());
    let left = server.borrow().ask(&["KEYS", "_tidemark:*:anew:*"]);
    assert_eq!(left.as_array().map(Vec::len), Some(0), "{left}");
    eprintln!("{KILLS} kills and {OUTAGES} of the server, {transactions} transactions");
}

#[test]
fn the_example_of_a_mirror_runs() {
    let (source, server) = (Postgres::shared().database(), Redis::start());
    source.execute(
        "CREATE TABLE customers (id int PRIMARY KEY, name text, note text); INSERT INTO customers VALUES (1, 'Ada', NULL), (2, 'Bob', 'x')",
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/redis/mirror.yaml");
    let pipeline = std::fs::read_to_string(example).unwrap();
    assert!(pipeline.lines().count() <= 15);
    let pipeline = pipeline
        .replace("postgres://me@localhost/shop", &source.url())
        .replace("redis://localhost:6379", &server.url())
        .replace("name: shop", &format!("name: {}", source.name()));
    let bench = Workbench::with_pipeline(&pipeline);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute(
        "UPDATE customers SET id = 3, name = 'Eve' WHERE id = 1; DELETE FROM customers WHERE id = 2",
    );
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(server.ask(&["GET", "customer:3"]), "{\"id\":3,\"name\":\"Eve\",\"note\":null}");
    assert_eq!(server.ask(&["KEYS", "customer:*"]).as_array().map(Vec::len), Some(1));
}
