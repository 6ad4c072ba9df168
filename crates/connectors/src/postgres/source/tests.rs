//! Real servers: what is found missing, what is made, and what is left behind.

use std::collections::BTreeSet;

use tidemark_engine::Error;
use tidemark_test_servers::{Database, Postgres};
use tokio_postgres::Client;

use super::{
    HeldBack, Made, Source,
    catalog::{self, ReplicaIdentity, Sort, Table},
    publication::Publication,
    replication::Replication,
    selection::Selection,
    slot::Slot,
};
use crate::{config::Findings, postgres::connection::Session};

fn source(database: &Database<'_>, more: &str) -> Source {
    source_as(&database.url(), database.name(), more)
}

fn source_as(url: &str, pipeline: &str, more: &str) -> Source {
    let config = format!(r#"{{"url": "{url}"{more}}}"#);
    Source::new(serde_json::from_str(&config).unwrap(), pipeline).unwrap()
}

async fn session(database: &Database<'_>) -> Session {
    source(database, "").server.connect("test").await.unwrap()
}

async fn selection(source: &Source, session: &Client) -> Selection {
    let selection = Selection::of(source.config.streams.as_ref(), &catalog::tables(session).await.unwrap());
    assert!(selection.problems.is_empty(), "{:?}", selection.problems);
    selection
}

fn told(errors: &[Error]) -> Vec<String> {
    errors.iter().map(|error| format!("{error}: {}", error.hint_text().unwrap_or_default())).collect()
}

/// The statements that the hints ask to run.
fn remedies(errors: &[Error]) -> Vec<String> {
    let between = |text: String| Some(text.split_once("run `")?.1.split_once(";`")?.0.to_owned());
    told(errors).into_iter().filter_map(between).collect()
}

fn assert_no_problem(findings: &Findings) {
    assert!(findings.problems.is_empty(), "{:#?}", told(&findings.problems));
}

#[tokio::test]
async fn the_catalog_describes_tables() {
    let database = Postgres::shared().database();
    database.execute(
        r#"CREATE SCHEMA "odd ""one"; CREATE SCHEMA _tidemark; CREATE TABLE _tidemark.hidden (a int);
           CREATE TABLE "odd ""one"."T" (b numeric(12,2), "A" int, s int GENERATED ALWAYS AS ("A" + 1) STORED,
                                         gone int, c text NOT NULL, PRIMARY KEY (c, "A"));
           ALTER TABLE "odd ""one"."T" DROP COLUMN gone;
           CREATE TABLE parts (a int NOT NULL, b int) PARTITION BY RANGE (a);
           CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (2);
           CREATE UNLOGGED TABLE quick (a int); CREATE VIEW v AS SELECT 1 AS a;
           CREATE UNIQUE INDEX i ON parts (a); ALTER TABLE parts REPLICA IDENTITY USING INDEX i"#,
    );
    let session = session(&database).await;
    let tables = catalog::tables(&session).await.unwrap();
    let sorts: Vec<(String, &Sort)> =
        tables.iter().map(|table| (table.id.to_string(), &table.sort)).collect();
    let root = Sort::Partition { root: tables[2].id.clone() };
    assert_eq!(
        sorts,
        [
            ("odd \"one.T".to_owned(), &Sort::Table),
            ("public.part".to_owned(), &root),
            ("public.parts".to_owned(), &Sort::Partitioned),
            ("public.quick".to_owned(), &Sort::Unlogged),
            ("public.v".to_owned(), &Sort::View),
        ]
    );
    let Table { columns, primary_key, .. } = &tables[0];
    let columns: Vec<_> = columns
        .iter()
        .map(|c| (c.name.as_str(), c.attnum, c.declared.as_str(), c.not_null, c.generated))
        .collect();
    assert_eq!(
        columns,
        [
            ("b", 1, "numeric(12,2)", false, false),
            ("A", 2, "integer", true, false),
            ("s", 3, "integer", false, true),
            ("c", 5, "text", true, false)
        ]
    );
    assert_eq!(primary_key, &["c", "A"]);
    assert_eq!(tables[2].identity, ReplicaIdentity::Index(vec!["a".to_owned()]));
}

#[tokio::test]
async fn our_publication_is_made_and_grows() {
    let database = Postgres::shared().database();
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY) PARTITION BY LIST (id)",
    );
    let source = source(&database, r#", "streams": {"public.a": {"where": "id > 1"}, "*": {}}"#);
    let session = session(&database).await;
    let tables = selection(&source, &session).await.tables;
    Publication::ensure(&session, source.publication(), &tables[..1], &BTreeSet::new()).await.unwrap();
    let publication =
        || async { Publication::inspect(&session, source.publication()).await.unwrap().unwrap() };
    let lacking = told(&publication().await.problems(&tables));
    assert!(lacking[0].contains("does not have `public.b`: run `ALTER PUBLICATION"), "{lacking:?}");
    for _ in 0..2 {
        Publication::ensure(&session, source.publication(), &tables, &BTreeSet::new()).await.unwrap();
        assert!(publication().await.problems(&tables).is_empty());
    }
}

#[tokio::test]
async fn a_dbas_publication_is_verified_and_its_remedies_work() {
    let database = Postgres::shared().database();
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY) PARTITION BY LIST (id);
         CREATE PUBLICATION p FOR TABLE a (id) WITH (publish = 'insert')",
    );
    let source = source(&database, r#", "publication": "p""#);
    let findings = source.check().await;
    let problems = told(&findings.problems);
    assert!(problems[0].starts_with("publication `p` does not publish every kind of change"), "{problems:?}");
    assert!(
        problems[1].starts_with("publication `p` publishes the partitions of `public.b`"),
        "{problems:?}"
    );
    remedies(&findings.problems).iter().for_each(|sql| database.execute(sql));

    let findings = source.check().await;
    let problems = told(&findings.problems);
    assert!(problems[0].starts_with("publication `p` does not have `public.b`"), "{problems:?}");
    assert!(problems[1].starts_with("publication `p` leaves out column `n` of `public.a`"), "{problems:?}");
    remedies(&findings.problems).iter().for_each(|sql| database.execute(sql));

    database.execute("ALTER PUBLICATION p DROP TABLE a");
    database.execute("ALTER PUBLICATION p ADD TABLE a WHERE (id > 1)");
    let problems = told(&source.check().await.problems);
    assert!(problems[0].starts_with("publication `p` leaves out rows of `public.a`"), "{problems:?}");
    let filtered = source_as(
        &database.url(),
        "x",
        r#", "publication": "p", "streams": {"public.a": {"where": "id > 1"}, "public.b": {}}"#,
    );
    assert_no_problem(&filtered.check().await);
    let absent = source_as(&database.url(), "x", r#", "publication": "absent", "slot": "absent""#);
    let findings = absent.check().await;
    assert_eq!(remedies(&findings.problems).len(), 2, "{:?}", told(&findings.problems));
}

#[tokio::test]
async fn a_user_without_rights_is_told_every_grant_at_once() {
    let database = Postgres::shared().database();
    let user = format!("reader_{}", database.name());
    database.execute(&format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'x'; CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY);
         CREATE TABLE b (id int PRIMARY KEY); ALTER TABLE b ENABLE ROW LEVEL SECURITY;
         CREATE TABLE c (n int); CREATE TABLE d (id int PRIMARY KEY); ALTER TABLE d REPLICA IDENTITY NOTHING"
    ));
    let source = source_as(&database.url_as(&user, "x"), database.name(), "");
    let findings = source.check().await;
    let sql = remedies(&findings.problems);
    assert_eq!(
        sql,
        [
            format!("ALTER ROLE \"{user}\" REPLICATION"),
            format!(
                "GRANT USAGE ON SCHEMA \"s\" TO \"{user}\"; GRANT SELECT ON \"public\".\"b\", \"public\".\"c\", \
                 \"public\".\"d\", \"s\".\"a\" TO \"{user}\""
            ),
            format!("ALTER ROLE \"{user}\" BYPASSRLS"),
            format!(
                "CREATE PUBLICATION \"tidemark_{}\" FOR TABLE ONLY \"public\".\"b\", ONLY \"public\".\"c\", \
                 ONLY \"public\".\"d\", ONLY \"s\".\"a\" WITH (publish_via_partition_root = true)",
                database.name()
            ),
        ]
    );
    let owner = findings.problems.last().unwrap();
    assert!(owner.to_string().contains("does not own table `public.b`"), "{owner}");
    assert_eq!(
        remedies(&findings.warnings),
        [
            "ALTER TABLE \"public\".\"c\" REPLICA IDENTITY FULL",
            "ALTER TABLE \"public\".\"d\" REPLICA IDENTITY DEFAULT"
        ]
    );
    assert_eq!(findings.warnings.len(), 4, "{:?}", told(&findings.warnings));

    sql.iter().for_each(|sql| database.execute(sql));
    let publication = format!(r#", "publication": "{}""#, source.publication());
    let granted = source_as(&database.url_as(&user, "x"), database.name(), &publication);
    assert_no_problem(&granted.check().await);
}

#[tokio::test]
async fn conditions_that_would_harm_are_refused() {
    let database = Postgres::shared().database();
    database.execute("CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY)");
    let conditioned = |condition: &str| {
        source(&database, &format!(r#", "streams": {{"public.a": {{"where": "{condition}"}}}}"#))
    };
    let problems = told(&conditioned("n > 1").check().await.problems);
    assert!(problems[0].contains("asks for column `n`") && problems[0].contains("FULL"), "{problems:?}");
    let problems = told(&conditioned("m > 1").check().await.problems);
    assert!(problems[0].contains("`where` of `public.a` cannot be used"), "{problems:?}");
    assert_no_problem(&conditioned("id > 1").check().await);
}

#[tokio::test]
async fn a_server_that_is_not_set_up_is_told_how() {
    let settings = [("wal_level", "replica"), ("max_replication_slots", "1"), ("max_wal_senders", "1")];
    let server = Postgres::with_settings(&settings);
    let database = server.database();
    database.execute("CREATE TABLE a (id int PRIMARY KEY)");
    let findings = source(&database, "").check().await;
    let sql = remedies(&findings.problems);
    assert_eq!(
        sql,
        [
            "ALTER SYSTEM SET wal_level = logical",
            "ALTER SYSTEM SET max_replication_slots = 2",
            "ALTER SYSTEM SET max_wal_senders = 2"
        ]
    );
    assert!(told(&findings.warnings)[0].contains("max_slot_wal_keep_size"));
    database.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'");
    sql.iter().for_each(|sql| database.execute(sql));
    server.restart();
    let findings = source(&database, "").check().await;
    assert_no_problem(&findings);
    assert!(findings.warnings.is_empty());
}

#[tokio::test]
async fn what_we_made_is_listed_and_removed() {
    let database = Postgres::shared().database();
    database.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE PUBLICATION theirs FOR TABLE a");
    let source = source(&database, "");
    let session = session(&database).await;
    assert_eq!((source.made().await.unwrap(), source.held_back().await.unwrap()), (vec![], None));

    let tables = selection(&source, &session).await.tables;
    Publication::ensure(&session, source.publication(), &tables, &BTreeSet::new()).await.unwrap();
    let mut replication = Replication::connect(&source.server, "test").await.unwrap();
    let begins = replication.create_slot(source.slot()).await.unwrap();
    let slot = Slot::inspect(&session, source.slot()).await.unwrap().unwrap();
    slot.usable().unwrap();
    assert_eq!(slot.confirmed, Some(begins));
    assert!(slot.restart <= slot.confirmed && slot.active_pid.is_none());
    let name = || format!("tidemark_{}", database.name());
    assert_eq!(source.made().await.unwrap(), [Made::Slot(name()), Made::Publication(name())]);
    let held = source.held_back().await.unwrap().unwrap();
    assert!(matches!(&held, HeldBack { bytes: Some(_), status } if status == "reserved"), "{held:?}");

    let feed = replication.start(source.slot(), begins, source.publication(), true).await.unwrap();
    assert!(source.tear_down().await.unwrap_err().to_string().contains("is in use"));
    feed.close().await;
    source.tear_down().await.unwrap();
    assert_eq!(source.made().await.unwrap(), []);
    source.tear_down().await.unwrap();
    assert!(Publication::inspect(&session, "theirs").await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_offered_has_kinds_and_keys() {
    let database = Postgres::shared().database();
    database.execute(
        "CREATE TABLE a (id int PRIMARY KEY, n numeric(12,2) NOT NULL, secret text, twice int GENERATED ALWAYS AS (id * 2) STORED);
         CREATE TABLE b (x text)",
    );
    let source = source(&database, r#", "streams": {"public.a": {"exclude": ["secret"]}, "public.b": {}}"#);
    let streams = source.discover(0).await.unwrap();
    let [a, b] = streams.as_slice() else { panic!("{streams:?}") };
    let (a, b) = (&a.schema, &b.schema);
    assert_eq!((a.stream().as_str(), a.key_names()), ("public.a", &["id".to_owned()][..]));
    let fields: Vec<_> =
        a.fields().iter().map(|f| (f.name.as_str(), f.nullable, f.source_type.as_deref().unwrap())).collect();
    assert_eq!(fields, [("id", false, "integer"), ("n", false, "numeric(12,2)")]);
    assert_eq!((b.key_names(), b.fields()[0].nullable), (&[][..], true));
    let absent =
        source_as(&database.url(), "x", r#", "streams": ["public.c"]"#).discover(0).await.unwrap_err();
    assert!(absent.to_string().contains("no table is called `public.c`"), "{absent}");
}
