//! What is kept in one system is equal to the same in the other, whatever its kind; and what is not equal is found.

use std::{path::Path, sync::Arc};

use tidemark_engine::{
    arrow_array::{ArrayRef, StringArray},
    change::ChangeBatch,
    contract::write::{log, unit},
    schema::{Kind, StreamName},
    write::{WriteMode, WriteStrategy},
};
use tidemark_test_servers::Database;

use super::{
    apply, config, database,
    kinds::{self, batch},
    open, writing,
};
use crate::{
    comparing::{Key, Limits, Narrowing, Part, Replica, Table, agree, ended_by},
    postgres,
    sqlite::{self, DestinationConfig},
};

/// The same changes in a database of each system, mirrored.
struct Pair {
    database: Database<'static>,
    folder: tempfile::TempDir,
}

impl Pair {
    async fn of(batch: ChangeBatch) -> Self {
        let (database, folder) = (database(), tempfile::tempdir().unwrap());
        let mut copy = open(&database, WriteMode::Mirror).await;
        apply(&mut copy, 0, 1, vec![batch.clone()]).await.unwrap();
        let mut copy = sqlite::Destination::new(&file(), folder.path(), writing(WriteMode::Mirror));
        copy.open(&log()).await.unwrap();
        copy.apply(&mut unit(0, 1, vec![batch])).await.unwrap();
        copy.close().await.unwrap();
        Self { database, folder }
    }

    fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("copy.db")).unwrap()
    }

    /// The keys of the rows that differ, and the columns, when both are compared as if written in `mode`.
    async fn differing(&self, mode: WriteMode) -> Vec<(Key, Vec<String>)> {
        let postgres = postgres::Destination::compared(&config(&self.database), writing(mode)).unwrap();
        let sqlite = sqlite::Destination::compared(&file(), self.folder.path(), writing(mode));
        assert_eq!(sqlite.standing().await.unwrap(), postgres.hold_still().await.unwrap());
        differing(table(&sqlite).await, table(&postgres).await).await
    }
}

/// Every kind. Whoever reads an interval gives it in its one canonical form.
fn columns() -> Vec<(Kind, ArrayRef, [&'static str; 2])> {
    let mut columns = kinds::columns();
    for (_, array, _) in columns.iter_mut().filter(|(kind, ..)| *kind == Kind::Interval) {
        *array = Arc::new(StringArray::from(vec!["P14M3DT-0.5S", "PT3600S"]));
    }
    columns
}

fn file() -> DestinationConfig {
    DestinationConfig { path: Path::new("copy.db").to_owned() }
}

async fn table(replica: &dyn Replica) -> Box<dyn Table> {
    replica.table(&StreamName::new("s")).await.unwrap().unwrap()
}

async fn differing(original: Box<dyn Table>, replica: Box<dyn Table>) -> Vec<(Key, Vec<String>)> {
    let agreed = agree(original.as_ref(), replica.as_ref()).await.unwrap();
    assert_eq!(agreed.left_out, []);
    let terms = Arc::new(agreed.terms);
    let (mut a, mut b) = (original.side(terms.clone()).unwrap(), replica.side(terms.clone()).unwrap());
    let mut narrowing =
        Narrowing::new(Part::ranges(vec!["3".to_owned(), "20".to_owned()]), Limits::default());
    let mut found = Vec::new();
    while !narrowing.is_done() {
        let keys = narrowing.next(a.as_mut(), b.as_mut()).await.unwrap();
        let (first, second) = (a.look(&keys, true).await.unwrap(), b.look(&keys, true).await.unwrap());
        for (key, (first, second)) in keys.into_iter().zip(first.into_iter().zip(second)) {
            let columns = terms.columns.iter().zip(first.columns.iter().zip(&second.columns));
            let columns = columns.filter(|(_, (first, second))| first != second);
            found.push((key, columns.map(|(column, _)| column.name.clone()).collect()));
        }
    }
    found.sort_unstable();
    found
}

fn key(number: u64) -> Key {
    vec![Some(number.to_string())]
}

#[tokio::test]
async fn every_kind_is_equal_in_both_systems_and_each_difference_is_found() {
    let columns = columns();
    let pair = Pair::of(batch(&columns, 40)).await;
    assert_eq!(pair.differing(WriteMode::Mirror).await, []);

    // Every column gets the value of another row, one at a time.
    let mut expected = Vec::new();
    for (index, _) in columns.iter().enumerate() {
        let (row, other) = (index, index + 1);
        pair.database.execute(&format!(
            "UPDATE s SET c{index} = (SELECT c{index} FROM s WHERE key = {other}) WHERE key = {row}"
        ));
        expected.push((key(row as u64), vec![format!("c{index}")]));
    }
    pair.database.execute("DELETE FROM s WHERE key = 39; INSERT INTO s (key) VALUES (1000)");
    expected.extend([(key(39), vec![]), (key(1000), vec![])]);
    expected.sort_unstable();
    assert_eq!(pair.differing(WriteMode::Mirror).await, expected);
}

#[tokio::test]
async fn null_is_told_from_every_value() {
    let columns = columns();
    let pair = Pair::of(batch(&columns, 40)).await;
    let nulls = |row: usize| {
        let nulls: Vec<_> = (0..columns.len()).map(|index| format!("c{index} = NULL")).collect();
        format!("UPDATE s SET {} WHERE key = {row}", nulls.join(", "))
    };
    pair.database.execute(&nulls(7));
    let all: Vec<_> = (0..columns.len()).map(|index| format!("c{index}")).collect();
    assert_eq!(pair.differing(WriteMode::Mirror).await, [(key(7), all)]);
    pair.sqlite().execute_batch(&nulls(7)).unwrap();
    assert_eq!(pair.differing(WriteMode::Mirror).await, []);
}

/// Rows that are deleted, and versions that are over, are not among what the source has.
#[tokio::test]
async fn only_what_is_there_now_is_compared() {
    for mode in [WriteMode::SoftDelete, WriteMode::History] {
        let column = ended_by(mode).unwrap();
        let pair = Pair::of(batch(&columns()[..3], 10)).await;
        pair.database.execute(&format!("ALTER TABLE s ADD {column} timestamptz"));
        pair.sqlite().execute_batch(&format!("ALTER TABLE s ADD {column} TEXT")).unwrap();
        assert_eq!(pair.differing(mode).await, []);
        pair.database.execute(&format!("UPDATE s SET {column} = now(), c1 = NULL WHERE key IN (2, 5)"));
        assert_eq!(pair.differing(mode).await, [(key(2), vec![]), (key(5), vec![])]);
        let same = format!("UPDATE s SET {column} = '2020-01-01T00:00:00Z', c2 = 9 WHERE key IN (2, 5)");
        pair.sqlite().execute_batch(&same).unwrap();
        assert_eq!(pair.differing(mode).await, []);
    }
}
