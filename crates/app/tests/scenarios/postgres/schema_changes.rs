//! A table that changes while it is read, at destinations that follow, that leave new columns out, and that stop.

use serde_json::Value as Json;
use tidemark_test_servers::{Database, Postgres};

use super::{comparison::assert_equal, pipeline, value};
use crate::workbench::Workbench;

/// A table and one destination for each policy, all of which have its first two records.
struct Policies<'s> {
    bench: Workbench,
    source: Database<'s>,
    evolve: Database<'s>,
    ignore: Database<'s>,
    fail: Database<'s>,
}

const FAIL: &str = "schema_change: fail";

impl<'s> Policies<'s> {
    fn new(server: &'s Postgres) -> Self {
        let (source, evolve) = (server.database(), server.database());
        let (ignore, fail) = (server.database(), server.database());
        source.execute(
            "CREATE TABLE orders (id int PRIMARY KEY, n int);
             CREATE TABLE other (id int PRIMARY KEY);
             INSERT INTO orders VALUES (1, 1), (2, 2); INSERT INTO other VALUES (1)",
        );
        let to = |name: &str, database: &Database<'_>| {
            let url = database.url();
            format!("  {name}: {{type: postgres, url: \"{url}\", write: mirror, schema_change: {name}}}\n")
        };
        let destinations = to("evolve", &evolve) + &to("ignore", &ignore) + &to("fail", &fail);
        let bench = pipeline(&source, "[\"public.*\"]", &destinations);
        bench.tidemark("run pipeline.yaml --once").succeeds();
        Self { bench, source, evolve, ignore, fail }
    }

    fn orders(database: &Database<'_>) -> String {
        value(database, "SELECT string_agg(o::text, ' ' ORDER BY id) FROM orders AS o")
    }

    /// What `status` says of destination `name`.
    fn status(&self, name: &str) -> Json {
        let status = self.bench.tidemark("status pipeline.yaml --json").succeeds().stdout;
        let status: Json = serde_json::from_str(&status).unwrap();
        let all = status["destinations"].as_array().unwrap().iter();
        all.into_iter().find(|destination| destination["name"] == name).unwrap().clone()
    }
}

#[test]
fn a_new_column_is_followed_left_out_or_stops_its_stream() {
    let case = Policies::new(Postgres::shared());
    case.source.execute(
        "ALTER TABLE orders ADD note text; INSERT INTO orders VALUES (3, 3, 'new');
         UPDATE orders SET note = 'later' WHERE id = 1; DELETE FROM orders WHERE id = 2; INSERT INTO other VALUES (2)",
    );
    // One stream of one destination has stopped, which a script must hear of.
    let ended = case.bench.tidemark("run pipeline.yaml --once").exits_with(3);
    assert!(ended.stderr.contains("column `note` (text) was added"), "{}", ended.stderr);
    assert_eq!(Policies::orders(&case.evolve), "(1,1,later) (3,3,new)");
    assert_eq!(Policies::orders(&case.ignore), "(1,1) (3,3)");
    assert_eq!(Policies::orders(&case.fail), "(1,1) (2,2)");
    assert_eq!(value(&case.fail, "SELECT count(*) FROM other"), "2", "other streams go on");
    assert_eq!(case.status("fail")["held"][0]["stream"], "public.orders");

    // The log has it, for everybody to see.
    let status = case.bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(status.contains("schema of stream `public.orders` at commit"), "{status}");
    assert!(status.contains("column `note` (text) was added"), "{status}");

    // What was decided once holds: not even a restart forgets it. Told to, the stream catches up.
    case.bench.tidemark("run pipeline.yaml --once").exits_with(3);
    let file = std::fs::read_to_string(case.bench.path("pipeline.yaml")).unwrap();
    case.bench.write("pipeline.yaml", &file.replace(FAIL, "schema_change: evolve"));
    case.bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_equal(&case.source, &case.fail, "public.orders");
    assert_equal(&case.source, &case.evolve, "public.orders");
    assert_eq!(case.status("fail")["held"], Json::Array(Vec::new()));
}

#[test]
fn a_column_that_widens_is_followed_or_stops_its_stream() {
    let case = Policies::new(Postgres::shared());
    case.source.execute("ALTER TABLE orders ALTER n TYPE bigint; INSERT INTO orders VALUES (3, 5000000000)");
    let ended = case.bench.tidemark("run pipeline.yaml --once").exits_with(3);
    assert!(ended.stderr.contains("column `n` changed from int32 to int64"), "{}", ended.stderr);
    assert_equal(&case.source, &case.evolve, "public.orders");
    for stopped in [&case.ignore, &case.fail] {
        assert_eq!(Policies::orders(stopped), "(1,1) (2,2)");
    }
    for name in ["ignore", "fail"] {
        assert_eq!(case.status(name)["held"][0]["stream"], "public.orders", "{name}");
    }
}

#[test]
fn a_column_that_is_gone_stays_where_it_was() {
    let case = Policies::new(Postgres::shared());
    case.source.execute("ALTER TABLE orders DROP n; INSERT INTO orders VALUES (3)");
    case.bench.tidemark("run pipeline.yaml --once").exits_with(3);
    for followed in [&case.evolve, &case.ignore] {
        assert_eq!(Policies::orders(followed), "(1,1) (2,2) (3,)");
    }
    assert_eq!(Policies::orders(&case.fail), "(1,1) (2,2)");
    assert_eq!(case.status("fail")["held"][0]["stream"], "public.orders");
}
