//! However large a table or a transaction is, memory stays bounded: what is on its way goes to disk.

use tidemark_test_servers::Postgres;

use super::{comparison::assert_equal_in_sum, destination, pipeline};

/// Of the tests' binary; the one that is shipped takes less.
const MOST: u64 = 128 << 20;

const TABLE: &str = "
    CREATE TABLE parcels (
        id bigint PRIMARY KEY, reference uuid, price numeric(12,2), sent timestamptz, weight double precision, fragile bool,
        receiver text, contents jsonb, label bytea, note text)";

const ROWS: &str = "
    SELECT i, md5(i::text)::uuid, i / 100.0, '2026-01-01Z'::timestamptz + i * interval '1 s', i * 0.3, i % 5 = 0,
           'Receiver ' || md5((i + 1)::text), jsonb_build_object('kind', i % 9, 'text', md5((i + 2)::text)),
           decode(repeat(md5((i + 3)::text), 4), 'hex'), CASE WHEN i % 2 = 0 THEN repeat('note ', 12) END";

#[test]
fn neither_a_large_table_nor_a_large_transaction_takes_much() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    source.execute(TABLE);
    source.execute(&format!("INSERT INTO parcels {ROWS} FROM generate_series(1, 200000) i"));
    source.execute("ANALYZE parcels");
    let bench = pipeline(&source, "[public.parcels]", &destination("mirror", &mirror, "mirror"));

    bench.tidemark("run pipeline.yaml --once").succeeds().stays_within(MOST);
    assert_equal_in_sum(&source, &mirror, "parcels");

    source.execute(&format!(
        "UPDATE parcels SET price = price + 1, note = 'changed';
         INSERT INTO parcels {ROWS} FROM generate_series(200001, 290000) i;
         DELETE FROM parcels WHERE id <= 10000"
    ));
    bench.tidemark("run pipeline.yaml --once").succeeds().stays_within(MOST);
    assert_equal_in_sum(&source, &mirror, "parcels");
}
