//! The table: twelve typed columns, about 233 bytes a row.

use tidemark_test_servers::{Database, Postgres};

use crate::Result;

const TABLE: &str = "
    CREATE TABLE orders (
        id bigint PRIMARY KEY, reference uuid NOT NULL, total numeric(12,2) NOT NULL, created timestamptz NOT NULL,
        due date NOT NULL, paid bool NOT NULL, quantity int NOT NULL, weight double precision NOT NULL,
        customer text NOT NULL, details jsonb NOT NULL, signature bytea NOT NULL, note text)";

/// Rows that depend on nothing but their numbers, so that every run has the same.
const ROWS: &str = "
    CREATE FUNCTION orders_of(first bigint, last bigint) RETURNS SETOF orders LANGUAGE sql STABLE AS $$
        SELECT id, md5(id::text)::uuid, (id * 7919 % 1000000) / 100.0, timestamptz '2026-01-01 00:00Z' + id * interval '1.25 s',
            date '2026-01-01' + (id % 365)::int, id % 3 = 0, (id % 100)::int, id * 0.37,
            'Customer ' || md5((id % 10000)::text),
            jsonb_build_object('channel', (ARRAY['web', 'shop', 'phone'])[1 + id % 3], 'items', id % 9, 'priority', id % 7 = 0),
            decode(md5(id::text) || md5((id + 1)::text), 'hex'),
            CASE WHEN id % 2 = 0 THEN 'Please ring twice, then leave it at number ' || id % 1000 END
        FROM generate_series(first, last) id $$";

/// Of ten changes six insert, three update one of the `early` rows and one deletes a row inserted a thousand changes ago. The
/// rows up to `first` are there.
const CHANGES: &str = "
    CREATE PROCEDURE change_orders(early bigint, first bigint, changes bigint, per_transaction bigint) LANGUAGE plpgsql AS $$
        BEGIN
            SET LOCAL synchronous_commit = off;
            FOR i IN 0 .. changes - 1 LOOP
                CASE
                    WHEN i % 10 < 6 THEN INSERT INTO orders SELECT * FROM orders_of(first + i, first + i);
                    WHEN i % 10 < 9 THEN
                        UPDATE orders SET total = i / 100.0, paid = NOT paid, quantity = quantity + 1, note = 'changed ' || i
                        WHERE id = 1 + i::bigint * 7919 % early;
                    ELSE DELETE FROM orders WHERE id = first + i - 1009;
                END CASE;
                IF i % per_transaction = per_transaction - 1 THEN
                    COMMIT;
                    SET LOCAL synchronous_commit = off;
                END IF;
            END LOOP;
        END $$";

/// A database of `server` with the table, and in it `rows` rows.
pub(super) fn filled(server: &Postgres, rows: u64) -> Database<'_> {
    let database = server.database();
    make(&database);
    fill(&database, 1, rows);
    database
}

/// Makes the table, empty, and what fills and changes it.
pub(super) fn make(database: &Database<'_>) {
    for sql in [TABLE, ROWS, CHANGES] {
        database.execute(sql);
    }
}

/// Inserts the rows with these numbers.
fn fill(database: &Database<'_>, first: u64, last: u64) {
    database.execute(&format!("INSERT INTO orders SELECT * FROM orders_of({first}, {last})"));
    database.execute("VACUUM ANALYZE orders");
}

/// Gives the disk back what the tables take.
pub(super) fn empty(databases: &[&Database<'_>]) {
    databases.iter().for_each(|database| database.execute("TRUNCATE orders"));
}

/// Fails unless each of `copies` holds the same rows as `source`.
pub(super) fn compare(source: &Database<'_>, copies: &[&Database<'_>]) -> Result {
    let expected = checksum(source);
    for copy in copies {
        let found = checksum(copy);
        if found != expected {
            return Err(format!(
                "the tables differ (rows, sum of hashes): {found:?} instead of {expected:?}"
            )
            .into());
        }
    }
    Ok(())
}

fn checksum(database: &Database<'_>) -> Vec<Vec<Option<String>>> {
    database.query(
        "SELECT count(*), sum(hashtextextended(
            ROW(id, reference, total, created, due, paid, quantity, weight, customer, details, signature, note)::text, 0))
         FROM orders",
    )
}
