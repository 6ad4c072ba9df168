//! Many entities with a property of every type, exactly as they are, whoever is killed meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tidemark_test_servers::{Front, Operation, Postgres, Response, Tables, Treatment};

use super::{assert_equal, in_postgres, in_sqlite, insert, pipeline};
use crate::{growth::Chance, rows::count_in_sqlite, workbench::Workbench};

const ENTITIES: i64 = 25_000;
const KILLS: usize = 12;

/// Every process but the last is killed after some pages; now and then the service is busy.
#[test]
fn every_entity_arrives_as_it_is_whoever_is_killed() {
    let mut chance = Chance::from_the_environment();
    let (tables, server) = (Tables::start(), Postgres::shared());
    let database = server.database();
    tables.make_named("Orders");
    let expected = insert(&tables, "Orders", 0..ENTITIES);

    let (front, pages) = (Front::before(tables.port()), Arc::new(AtomicU64::new(0)));
    let counted = pages.clone();
    front.treat(move |_| match counted.fetch_add(1, Ordering::SeqCst) % 9 {
        4 => Treatment::Answer(Response::new(503, &[("retry-after", "0")], b"")),
        7 => Treatment::LoseAnswer,
        _ => Treatment::Pass,
    });
    let destinations = format!(
        "  lite: {{type: sqlite, path: ./lite.db, write: mirror}}
  all: {{type: sqlite, path: ./all.db, write: append}}
  postgres: {{type: postgres, url: \"{}\", write: mirror}}",
        database.url()
    );
    let bench = Workbench::with_pipeline(&pipeline(front.port(), "Orders: {}", &destinations));
    for _ in 0..KILLS {
        let enough = pages.load(Ordering::SeqCst) + 1 + chance.below(8);
        let mut running = bench.start("run pipeline.yaml");
        running.until("some pages were read", || pages.load(Ordering::SeqCst) >= enough);
        running.kill().was_killed();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();

    assert_equal(&in_sqlite(&bench.path("lite.db"), "Orders"), &expected);
    assert_equal(&in_postgres(&database, "Orders"), &expected);
    assert_eq!(count_in_sqlite(&bench.path("all.db"), "Orders"), expected.len(), "each is staged once");
    let kinds = database.query(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'Orders' ORDER BY 1",
    );
    let kinds: Vec<_> =
        kinds.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        kinds,
        [
            "Flag boolean",
            "Float double precision",
            "Id uuid",
            "Long bigint",
            "PaidAt timestamp with time zone",
            "PartitionKey text",
            "Photo bytea",
            "Precise text",
            "RowKey text",
            "Timestamp text",
            "Whole bigint",
            "Word text",
        ]
    );
}

/// Entities of one table need not have the same properties, nor properties the same types.
#[test]
fn properties_that_differ_are_widened_or_declared() {
    let tables = Tables::shared();
    let table = tables.make();
    let entities = [
        r#"{"A": 1, "B@odata.type": "Edm.Double", "B": "NaN"}"#,
        r#"{"A": 2.5, "B@odata.type": "Edm.Double", "B": 5.0, "At@odata.type": "Edm.DateTime", "At": "2024-05-01T10:00:00.1234567Z"}"#,
        r#"{"A": 3, "C": "x", "Id@odata.type": "Edm.Guid", "Id": "c9da6455-213d-42c9-9a79-3e9149a57833"}"#,
        r#"{"C": 7, "B@odata.type": "Edm.Double", "B": "-Infinity"}"#,
    ];
    let operation = |(number, json): (usize, &&str)| Operation {
        method: "POST",
        key: ("p".to_owned(), number.to_string()),
        json: (*json).to_owned(),
    };
    tables.change(&table, &entities.iter().enumerate().map(operation).collect::<Vec<_>>());
    let streams = format!(
        "odd: {{table: {table}, exclude: [Timestamp], types: {{At: timestamptz}}, filter: \"RowKey ne '9'\"}}"
    );
    let bench = Workbench::with_pipeline(&pipeline(
        tables.port(),
        &streams,
        "  lite: {type: sqlite, path: ./lite.db, write: mirror}",
    ));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let query = "SELECT \"A\", \"B\", \"C\", \"At\", \"Id\" FROM odd ORDER BY \"RowKey\"";
    assert_eq!(
        crate::webhook::rows(&bench.path("lite.db"), query),
        [
            "Real(1.0) Text(\"NaN\") Null Null Null",
            "Real(2.5) Real(5.0) Null Text(\"2024-05-01T10:00:00.123456Z\") Null",
            "Real(3.0) Null Text(\"x\") Null Text(\"c9da6455-213d-42c9-9a79-3e9149a57833\")",
            "Null Real(-inf) Text(\"7\") Null Null",
        ]
    );
}
