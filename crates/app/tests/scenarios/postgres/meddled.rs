//! Tables at a destination that somebody drops or alters by hand while the pipeline runs.

use std::fs;

use tidemark_test_servers::Postgres;

use super::kept::Kept;

const TABLES: &str =
    "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a');
    CREATE TABLE quiet (id int PRIMARY KEY, note text); INSERT INTO quiet VALUES (1, 'a')";

/// A running pipeline whose mirror of `orders` has been treated so. It holds the stream, alone, and says so.
fn meddled_with(by_hand: &str) -> Kept<'static> {
    let kept = Kept::of(Postgres::shared(), TABLES);
    kept.catch_up();
    let mut running = kept.bench.start("run pipeline.yaml");
    kept.source.execute("INSERT INTO orders VALUES (2, 'b'); INSERT INTO quiet VALUES (2, 'b')");
    running.until("changes arrive", || {
        kept.of_mirror("SELECT count(*) FROM orders") == "2"
            && kept.of_mirror("SELECT count(*) FROM quiet") == "2"
    });
    kept.mirror.execute(by_hand);
    kept.source.execute(
        "INSERT INTO orders VALUES (3, 'c'); INSERT INTO quiet VALUES (3, 'c'); UPDATE orders SET note = 'z' WHERE id = 1",
    );
    running.until("the other stream goes on", || kept.of_mirror("SELECT count(*) FROM quiet") == "3");
    running.until("the status says so", || {
        let status = kept.bench.tidemark("status pipeline.yaml").succeeds().stdout;
        status.contains("stream `public.orders` held")
    });
    let ended = running.terminate();
    assert!(ended.code() != 0 && ended.stderr.contains("orders"), "{}", ended.stderr);
    assert_eq!(kept.of_history("SELECT count(*) FROM orders"), "4", "the other destination has it");
    kept
}

#[test]
fn a_table_that_is_dropped_by_hand_holds_its_stream_and_is_filled_anew_elsewhere() {
    let kept = meddled_with("DROP TABLE orders");
    let said = kept.bench.tidemark("run pipeline.yaml --once").exits_with(3).stderr;
    assert!(said.contains("table `public.orders` has been removed"), "{said}");
    assert!(said.contains("give the destination a new name and `table`"), "{said}");
    let file = fs::read_to_string(kept.bench.path("pipeline.yaml")).unwrap();
    let anew = file.replace("  mirror: {", "  anew: {table: \"anew_{stream}\", ");
    kept.bench.write("pipeline.yaml", &anew);
    kept.catch_up();
    let rows = "SELECT string_agg(id || note, ' ' ORDER BY id) FROM";
    assert_eq!(kept.of_mirror(&format!("{rows} anew_orders")), kept.of_source(&format!("{rows} orders")));
}

/// The next start makes the column again, for what comes; what stood in it is not there, which is what `verify` is for.
#[test]
fn a_column_that_is_dropped_by_hand_holds_its_stream_until_the_next_start() {
    let kept = meddled_with("ALTER TABLE orders DROP COLUMN note");
    kept.catch_up();
    assert_eq!(
        kept.of_mirror("SELECT string_agg(id || coalesce(note, '-'), ' ' ORDER BY id) FROM orders"),
        "1z 2- 3c"
    );
    let told = kept.bench.tidemark("verify pipeline.yaml --stream public.orders").exits_with(1);
    assert!(told.stdout.contains("note"), "{}", told.stdout);
    kept.bench.tidemark("replay pipeline.yaml --to mirror --stream public.orders").succeeds();
    kept.assert_mirrored(&["orders", "quiet"]);
}
