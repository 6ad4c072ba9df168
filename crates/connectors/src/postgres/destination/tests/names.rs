//! Names are names, whatever they are made of.

use proptest::prelude::*;
use tidemark_engine::{ErrorKind, schema::Kind, write::WriteMode};
use tidemark_test_servers::Database;

use super::{
    apply,
    changes::{Change, Said, batch, schema, text},
    database, open, refused,
};

const HOSTILE: [&str; 12] =
    ["\"; DROP TABLE s; --", "select", "a b", "'", "\\", "$1", "$$", "名", "%s", "Upper", " ", "c0"];

/// Changes of every kind over stream `stream` with columns `key` and `other`, few and then many.
async fn play(database: &Database<'_>, stream: &str, key: &str, other: &str) {
    for mode in [WriteMode::Mirror, WriteMode::Append] {
        let stream = format!("{mode:?}.{stream}");
        let schema = schema(&stream, &[(key, Kind::Int64), (other, Kind::Text)], &[key]);
        database.execute("DROP SCHEMA IF EXISTS _tidemark CASCADE");
        let mut copy = open(database, mode).await;
        for (rows, at) in [(2, 0), (20, 1)] {
            let first = i64::from(at as i32) * 100;
            let mut changes =
                (first..first + rows).map(|id| Change::create([text(id), text("one")])).collect::<Vec<_>>();
            changes.push(Change::moved(first, [text(first + 50), Said::Unchanged]));
            changes.push(Change::update([text(first + 1), Said::Unchanged]));
            changes.push(Change::delete([text(first + 50), Said::Unchanged]));
            apply(&mut copy, at, at + 1, vec![batch(&schema, &changes, 0)]).await.unwrap();
        }
        let table = stream.split_once('.').unwrap().1.replace('"', "\"\"");
        let rows = database.query(&format!("SELECT * FROM \"{mode:?}\".\"{table}\""));
        assert_eq!(rows.len(), if mode == WriteMode::Mirror { 20 } else { 28 });
    }
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let database = database();
    for (name, other) in HOSTILE.iter().zip(HOSTILE.iter().cycle().skip(1)) {
        play(&database, name, name, other).await;
    }
    let longest = "n".repeat(63);
    play(&database, &longest, &longest, "é").await;
}

#[tokio::test]
async fn names_that_would_be_cut_off_are_refused() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    let long = "é".repeat(32);
    let nul = "a\0b";
    for name in [long.as_str(), nul] {
        let of = |stream: &str, column: &str| {
            let schema = schema(stream, &[("id", Kind::Int64), (column, Kind::Text)], &["id"]);
            batch(&schema, &[Change::create([text(1), Said::Null])], 0)
        };
        for batch in [of(name, "a"), of("s", name), of(&format!("{name}.s"), "a")] {
            let stream = batch.schema().stream().clone();
            let error = refused(&mut copy, 0, vec![batch]).await;
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.stream(), Some(&stream));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_name_is_only_a_name(
        stream in "[^\0.]{1,15}",
        key in "[^\0]{1,15}",
        other in "[^\0]{1,15}",
    ) {
        prop_assume!(key != other);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(&database(), &stream, &key, &other));
    }
}
