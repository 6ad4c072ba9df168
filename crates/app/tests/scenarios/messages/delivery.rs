//! A table that is written to while whoever delivers its changes is killed, and what a consumer has in the end.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value as Json;
use tidemark_test_servers::Database;

use crate::{process::pause, workbench::Workbench};

/// How often the process is killed.
const KILLS: u64 = 8;
/// In which of the rounds the server is.
const OUTAGE: u64 = 3;

/// Makes the table `orders`, with so many of them; five to six times as many changes are made later.
pub(super) fn prepare(database: &Database<'_>, orders: u64) {
    database.execute(&format!(
        "CREATE TABLE orders (id int PRIMARY KEY, region text NOT NULL, amount numeric(12,2), note text);
         INSERT INTO orders SELECT i, 'eu', i, 'order ' || i FROM generate_series(1, {orders}) i"
    ));
}

/// The pipeline `example` under a name of its own: the server's replication slots are called after it.
pub(super) fn named(example: &str, database: &Database<'_>) -> String {
    example.replace("name: orders", &format!("name: {}", database.name()))
}

/// Reads the table, and then runs `pipeline.yaml` while it changes, the process is killed again and again, and once the server too: by `outage`,
/// which has it back when it returns.
pub(super) fn goes_on(bench: &Workbench, database: &Database<'_>, mut outage: impl FnMut()) {
    // What changes while the table is read is staged, and not delivered where a later reading of the record has it already.
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for round in 0..KILLS {
        let running = bench.start("run pipeline.yaml");
        for step in 0..5 {
            write(database, round * 5 + step);
            if round == OUTAGE && step == 2 {
                outage();
            }
            pause(Duration::from_millis(60 * round));
        }
        running.kill().was_killed();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
}

/// What an application does: a new order, many that change, some that change often, one that is cancelled.
fn write(database: &Database<'_>, number: u64) {
    database.execute(&format!(
        "INSERT INTO orders VALUES (10000 + {number}, 'us', 1, 'new');
         UPDATE orders SET amount = amount + 1 WHERE id % 10 = {number} % 10;
         UPDATE orders SET note = 'again {number}' WHERE id <= 20;
         UPDATE orders SET note = 'and again {number}' WHERE id <= 20;
         DELETE FROM orders WHERE id = 100 + {number}"
    ));
}

/// `received` are messages in the plain envelope, in the order in which a consumer had them: of the last of each identity it has every
/// change that was staged, as it was staged, each key's in their order.
pub(super) fn assert_delivered(bench: &Workbench, received: &[Json]) {
    let staged = staged(bench);
    assert!(staged.len() > 2_000, "the table was read, and changed");
    assert_has_all(&staged, received);
}

/// Every change that is staged, in order.
pub(crate) fn staged(bench: &Workbench) -> Vec<Json> {
    let staged = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    staged.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same as [`assert_delivered`], of these changes.
pub(crate) fn assert_has_all(staged: &[Json], received: &[Json]) {
    let last: BTreeMap<&str, usize> =
        received.iter().enumerate().map(|(at, message)| (message["id"].as_str().unwrap(), at)).collect();
    assert_eq!(last.len(), staged.len(), "as many as were staged");
    let mut lives: BTreeMap<String, usize> = BTreeMap::new();
    for change in staged {
        let id = change["position"].as_str().unwrap();
        let at = *last.get(id).unwrap_or_else(|| panic!("{change} has not arrived"));
        let message = &received[at];
        for part in ["op", "stream", "values", "before", "source_time", "source_position", "transaction"] {
            assert_eq!(message[part], change[part], "{part} of {message}");
        }
        let before = lives.insert(message["key"].to_string(), at);
        assert!(before.is_none_or(|before| before < at), "{message} came before what it follows");
    }
}
