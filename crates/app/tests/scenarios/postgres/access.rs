//! Who we are to the server, and how we get there.

use tidemark_test_servers::Postgres;

use super::{destination, value};
use crate::workbench::Workbench;

/// What a user without any rights is told to have run is enough, and no more than that is used: once a table is complete, its
/// stream goes on without the right to read it.
#[test]
fn the_rights_that_check_asks_for_are_enough() {
    let server = Postgres::shared();
    let (source, mirror) = (server.database(), server.database());
    let user = format!("reader_{}", source.name());
    source.execute(&format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'x'; CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY, n int);
         CREATE TYPE s.mood AS ENUM ('well', 'ill'); CREATE TABLE b (id int PRIMARY KEY, m s.mood);
         INSERT INTO s.a SELECT i, i FROM generate_series(1, 100) i; INSERT INTO b VALUES (1, 'well')"
    ));
    let pipeline = |more: &str| {
        format!(
            "name: rights
source: {{type: postgres, url: \"{}\"{more}}}
destinations:
{}",
            source.url_as(&user, "x"),
            destination("mirror", &mirror, "mirror")
        )
    };
    let bench = Workbench::with_pipeline(&pipeline(""));
    let told = bench.tidemark("check pipeline.yaml --json");
    assert_ne!(told.code(), 0);
    let remedies = remedies(&(told.stdout + &told.stderr));
    assert!(remedies.len() >= 3, "{remedies:#?}");
    remedies.iter().for_each(|sql| source.execute(sql));

    bench.write("pipeline.yaml", &pipeline(", publication: tidemark_rights"));
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    source.execute(&format!("REVOKE SELECT ON s.a, b FROM {user}"));
    source.execute("UPDATE s.a SET n = -n; INSERT INTO b VALUES (2, 'ill')");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(value(&mirror, "SELECT sum(n) FROM s.a"), "-5050");
    assert_eq!(value(&mirror, "SELECT string_agg(m::text, ' ' ORDER BY id) FROM b"), "well ill");
}

/// The statements that the hints ask to run.
fn remedies(told: &str) -> Vec<String> {
    let told = told.replace("\\\"", "\"");
    let statements = told.split("run `").skip(1).filter_map(|rest| Some(rest.split_once(";`")?.0.to_owned()));
    statements.filter(|sql| !sql.contains("max_slot_wal_keep_size")).collect()
}

/// The certificate is verified, for the initial sync and for the stream.
#[test]
fn a_server_with_tls_is_read_over_tls_alone() {
    let server = Postgres::with_tls(&["localhost", "127.0.0.1"]);
    let (source, mirror) = (server.database(), Postgres::shared().database());
    source.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)");
    let bench = Workbench::new();
    std::fs::copy(server.ca_certificate(), bench.path("ca.crt")).unwrap();
    let pipeline = |url: &str| {
        bench.write(
            "pipeline.yaml",
            &format!(
                "name: tls
source: {{type: postgres, url: \"{url}\"}}
destinations:
{}",
                destination("mirror", &mirror, "mirror")
            ),
        );
    };
    pipeline(&format!("{}?sslmode=verify-full&sslrootcert={}", source.url(), bench.path("ca.crt").display()));
    let mut running = bench.start("run pipeline.yaml");
    let count = || value(&mirror, "SELECT count(*) FROM a");
    running
        .until("the table is there", || value(&mirror, "SELECT to_regclass('a')") == "a" && count() == "1");
    let sessions =
        "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'tidemark%'";
    assert_eq!(value(&source, &format!("SELECT bool_and(ssl) {sessions}")), "t");
    source.execute("INSERT INTO a VALUES (2)");
    running.until("the stream goes on", || count() == "2");
    running.terminate().succeeds();

    // An authority that did not sign it.
    let other = Postgres::with_tls(&["localhost"]);
    std::fs::copy(other.ca_certificate(), bench.path("ca.crt")).unwrap();
    let said = bench.tidemark("check pipeline.yaml");
    assert_ne!(said.code(), 0);
    let said = said.stdout + &said.stderr;
    assert!(said.contains("certificate"), "{said}");
}
