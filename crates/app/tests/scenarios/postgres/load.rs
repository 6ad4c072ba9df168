//! A mixed load on a database: what applications do to tables, from a seed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tidemark_test_servers::Database;

use crate::growth::Chance;

/// Tables that the load writes to.
pub(super) const TABLES: [&str; 8] = [
    "public.accounts",
    "public.savings",
    "public.items",
    "public.wide",
    "public.codes",
    "public.orders",
    "public.scratch",
    "public.changing",
];

/// Money is moved between these two, and none is made.
pub(super) const TOTAL: &str = "SELECT round((SELECT coalesce(sum(balance), 0) FROM accounts) + (SELECT coalesce(sum(balance), 0) FROM savings), 2)";

/// A client pauses for less than so many milliseconds after each transaction. A program that is built for tests, beside other tests, has
/// to come after two clients, or a test waits for what grows.
const PAUSE: u64 = 24;

/// Makes the tables and fills them.
pub(super) fn prepare(database: &Database<'_>) {
    database.execute(&format!(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance numeric(12,2) NOT NULL);
         CREATE TABLE savings (id int PRIMARY KEY, balance numeric NOT NULL);
         INSERT INTO accounts SELECT i, 1000 FROM generate_series(1, 200) i;
         INSERT INTO savings SELECT i, 1000 FROM generate_series(1, 200) i;
         CREATE TABLE items (
             id bigint PRIMARY KEY, name text, document jsonb, large text, at timestamptz, tags text[], amount numeric
         );
         ALTER TABLE items ALTER large SET STORAGE EXTERNAL;
         INSERT INTO items SELECT i, 'item ' || i, jsonb_build_object('i', i), repeat(md5(i::text), 150),
                '2020-01-01'::timestamptz + i * interval '1 second', array['a', NULL, i::text], i / 7.0
         FROM generate_series(1, 20000) i;
         CREATE TABLE wide (id uuid PRIMARY KEY, {wide});
         INSERT INTO wide (id, c1) SELECT md5(i::text)::uuid, i::text FROM generate_series(1, 2000) i;
         CREATE TABLE codes (code text PRIMARY KEY, meaning text);
         INSERT INTO codes SELECT 'code-' || i, 'm' FROM generate_series(1, 500) i;
         CREATE TABLE orders (id bigint, day date, total numeric, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
         CREATE TABLE orders_old PARTITION OF orders FOR VALUES FROM (MINVALUE) TO ('2021-01-01');
         CREATE TABLE orders_new PARTITION OF orders FOR VALUES FROM ('2021-01-01') TO (MAXVALUE);
         INSERT INTO orders SELECT i, '2020-06-01'::date + i % 400, i FROM generate_series(1, 3000) i;
         CREATE TABLE scratch (id int PRIMARY KEY, note text);
         CREATE TABLE changing (id int PRIMARY KEY, a int);
         INSERT INTO changing SELECT i, i FROM generate_series(1, 100) i;",
        wide = (1..=60).map(|i| format!("c{i} text")).collect::<Vec<_>>().join(", "),
    ));
}

/// A load that runs until it is stopped.
pub(super) struct Load<'scope> {
    stop: Arc<AtomicBool>,
    transactions: Arc<AtomicU64>,
    threads: Vec<thread::ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> Load<'scope> {
    /// Starts clients on `database`.
    pub(super) fn start<'env>(
        scope: &'scope thread::Scope<'scope, 'env>,
        database: &'env Database<'env>,
        seed: u64,
    ) -> Self {
        let (stop, transactions) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..2).map(|client| {
            let (stop, transactions) = (stop.clone(), transactions.clone());
            scope.spawn(move || {
                let mut chance = Chance::new(seed.wrapping_add(client));
                let mut next_column = 0;
                while !stop.load(Ordering::Relaxed) {
                    database.execute(&transaction(&mut chance, client, &mut next_column));
                    transactions.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(chance.below(PAUSE)));
                }
            })
        });
        let threads = clients.collect();
        Self { stop, transactions, threads }
    }

    /// Ends it and tells how many transactions there were.
    pub(super) fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.threads.drain(..) {
            client.join().unwrap();
        }
        self.transactions.load(Ordering::Relaxed)
    }
}

impl Drop for Load<'_> {
    /// A test that fails must not wait for a load without an end.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One transaction. Each client has rows of its own, so that clients do not wait for each other for long.
fn transaction(chance: &mut Chance, client: u64, next_column: &mut u64) -> String {
    let id = |chance: &mut Chance, below: u64| 2 * chance.below(below) + client;
    match chance.below(100) {
        // Money moves, within a table or between two.
        0..30 => {
            let (from, to, amount) = (id(chance, 100) + 1, id(chance, 100) + 1, chance.below(10_000));
            let [a, b] = if chance.below(2) == 0 { ["accounts", "savings"] } else { ["savings", "accounts"] };
            format!(
                "BEGIN;
                 UPDATE {a} SET balance = balance - {amount} / 100.0 WHERE id = {from};
                 UPDATE {b} SET balance = balance + {amount} / 100.0
                 WHERE id = {to};
                 COMMIT;"
            )
        }
        // Rows come, change without their large value, move, go.
        30..40 => {
            let id = 1_000_000 + id(chance, 4_000);
            format!(
                "INSERT INTO items VALUES ({id}, 'new', '{{\"n\": 123456789012345678901234567890.5}}', repeat('x', {}), now(), '{{}}', 'NaN')
                 ON CONFLICT (id) DO UPDATE SET name = 'again', amount = items.amount + 1;",
                chance.below(9_000)
            )
        }
        40..50 => format!("UPDATE items SET name = 'changed {}', amount = -amount WHERE id = {};", chance.below(1_000), id(chance, 10_000)),
        50..55 => format!("DELETE FROM items WHERE id = {};", id(chance, 10_000)),
        55..62 => {
            let (from, to) = (id(chance, 10_000), 2_000_000 + id(chance, 2_000));
            format!(
                "UPDATE items SET id = {to}, name = 'moved' WHERE id = {from} AND NOT EXISTS (SELECT 1 FROM items WHERE id = {to});"
            )
        }
        // Out and back again in one transaction.
        62..65 => {
            let id = id(chance, 10_000);
            format!(
                "BEGIN; UPDATE items SET id = -1 - {client} WHERE id = {id}; UPDATE items SET name = 'on the way' WHERE id = -1 - {client};
                 UPDATE items SET id = {id} WHERE id = -1 - {client}; COMMIT;"
            )
        }
        65..70 => format!("UPDATE wide SET c{} = md5(random()::text), c60 = NULL WHERE id = md5({}::text)::uuid;", 1 + chance.below(59), id(chance, 1_000)),
        70..75 => {
            let code = id(chance, 250);
            format!(
                "UPDATE codes SET meaning = meaning || 'x' WHERE code = 'code-{code}';
                 INSERT INTO codes VALUES ('c''o\\d\"e {code}', E'tab\\there') ON CONFLICT DO NOTHING;
                 DELETE FROM codes WHERE code = 'c''o\\d\"e {}';",
                id(chance, 250)
            )
        }
        // Into another partition.
        75..82 => format!(
            "UPDATE orders SET day = '2020-06-01'::date + {}, total = total + 1 WHERE id = {};",
            chance.below(400),
            id(chance, 1_500)
        ),
        82..86 => {
            let id = id(chance, 500);
            format!("INSERT INTO scratch VALUES ({id}, 'a') ON CONFLICT (id) DO UPDATE SET note = scratch.note || 'b';")
        }
        86..88 => "TRUNCATE scratch;".to_owned(),
        // Some that never happened.
        88..92 => format!(
            "BEGIN; DELETE FROM items WHERE id < 5000 AND id % 2 = {client}; SAVEPOINT s;
             UPDATE accounts SET balance = 0 WHERE id % 2 = 1 - {client};
             INSERT INTO scratch VALUES ({}, 'never'); ROLLBACK TO s; ROLLBACK;",
            5_000 + client
        ),
        92..95 => format!(
            "BEGIN; UPDATE changing SET a = a + 1 WHERE id % 2 = {client}; SAVEPOINT s;
             UPDATE changing SET a = -1 WHERE id % 2 = {client}; ROLLBACK TO s; COMMIT;"
        ),
        95..96 if client == 0 && *next_column < 12 => {
            *next_column += 1;
            let column = *next_column;
            format!(
                "BEGIN; ALTER TABLE changing ADD COLUMN IF NOT EXISTS b{column} text; UPDATE changing SET b{column} = 'x' || id WHERE id % 3 = 0; COMMIT;"
            )
        }
        // A large one.
        96..97 => format!(
            "BEGIN; UPDATE items SET amount = amount + 1 WHERE id % 2 = {client} AND id <= 8000;
             INSERT INTO items SELECT 3000000 + 2 * i + {client}, 'bulk', NULL, NULL, NULL, NULL, 1 FROM generate_series(1, 2000) i
             ON CONFLICT (id) DO NOTHING;
             DELETE FROM items WHERE id >= 3000000 AND id % 2 = {client}; COMMIT;"
        ),
        _ => format!("UPDATE accounts SET balance = balance WHERE id = {};", id(chance, 100)),
    }
}
