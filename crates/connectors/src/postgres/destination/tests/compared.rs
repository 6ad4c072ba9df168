//! What is kept in one system is equal to the same in the other, whatever its kind; and what is not equal is found.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use tidemark_engine::{
    Result,
    arrow_array::{ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int64Array, StringArray},
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
    comparing::{
        Described, Key, Limits, Narrowing, Order, Part, Replica, Side, Table, Terms, agree, ended_by,
    },
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
        Self::adopting("", batch).await
    }

    /// The same with tables in SQLite that `sql` makes before.
    async fn adopting(sql: &str, batch: ChangeBatch) -> Self {
        let (database, folder) = (database(), tempfile::tempdir().unwrap());
        rusqlite::Connection::open(folder.path().join("copy.db")).unwrap().execute_batch(sql).unwrap();
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

    /// As [`Self::differing`], PostgreSQL being what SQLite was filled from.
    async fn differing_in_sqlite(&self) -> Vec<(Key, Vec<String>)> {
        let mode = WriteMode::Mirror;
        let postgres = postgres::Destination::compared(&config(&self.database), writing(mode)).unwrap();
        let sqlite = sqlite::Destination::compared(&file(), self.folder.path(), writing(mode));
        postgres.hold_still().await.unwrap();
        differing(Box::new(Keyed(table(&postgres).await)), table(&sqlite).await).await
    }

    /// The keys of the rows that differ, and the columns, when both are compared as if written in `mode`.
    async fn differing(&self, mode: WriteMode) -> Vec<(Key, Vec<String>)> {
        let postgres = postgres::Destination::compared(&config(&self.database), writing(mode)).unwrap();
        let sqlite = sqlite::Destination::compared(&file(), self.folder.path(), writing(mode));
        assert_eq!(sqlite.standing().await.unwrap(), postgres.hold_still().await.unwrap());
        differing(table(&sqlite).await, table(&postgres).await).await
    }
}

/// A table as its source knows it, with its key.
struct Keyed(Box<dyn Table>);

#[async_trait]
impl Table for Keyed {
    fn columns(&self) -> &[Described] {
        self.0.columns()
    }

    fn key(&self) -> &[String] {
        static KEY: LazyLock<[String; 1]> = LazyLock::new(|| ["key".to_owned()]);
        KEY.as_slice()
    }

    async fn order(&self, column: &str) -> Result<Option<Order>> {
        self.0.order(column).await
    }

    async fn bounds(&self, column: &str) -> Result<Vec<String>> {
        self.0.bounds(column).await
    }

    fn side(self: Box<Self>, terms: Arc<Terms>) -> Result<Box<dyn Side>> {
        self.0.side(terms)
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

async fn differing(original: Box<dyn Table>, mut replica: Box<dyn Table>) -> Vec<(Key, Vec<String>)> {
    let agreed = agree(original.as_ref(), replica.as_mut()).await.unwrap();
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

/// A column of somebody else's declaration is read as it was written.
#[tokio::test]
async fn adopted_tables_are_read_as_they_were_written() {
    let floats = |values: [f64; 2]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let bools: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let narrow: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 3.0]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "1.0"]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 19_000]));
    let columns = vec![
        (Kind::Bool, bools.clone(), [""; 2]),
        (Kind::Bool, bools, [""; 2]),
        (Kind::Float32, narrow.clone(), [""; 2]),
        (Kind::Float32, narrow, [""; 2]),
        (Kind::Float64, floats([1.0, 0.5]), [""; 2]),
        (Kind::Float64, floats([f64::NAN, -0.0]), [""; 2]),
        (Kind::Float64, floats([1e300, 9_007_199_254_740_994.0]), [""; 2]),
        (Kind::Text, texts, [""; 2]),
        (Kind::Date, days, [""; 2]),
    ];
    let sql = "CREATE TABLE s (key INT PRIMARY KEY, c0 INT, c1 TEXT, c2 REAL, c3 DECIMAL(9, 2), c4 NUMERIC, c5 NUMERIC,
                   c6 NUMERIC, c7 VARCHAR(9), c8 CHAR(10))";
    let pair = Pair::adopting(sql, batch(&columns, 10)).await;
    assert_eq!(pair.differing_in_sqlite().await, []);
    for (index, _) in columns.iter().enumerate() {
        let other = format!("(SELECT c{index} FROM s WHERE key = {})", index + 1);
        pair.database.execute(&format!("UPDATE s SET c{index} = {other} WHERE key = {index}"));
        assert_eq!(pair.differing_in_sqlite().await, [(key(index as u64), vec![format!("c{index}")])]);
        pair.sqlite().execute(&format!("UPDATE s SET c{index} = {other} WHERE key = {index}"), []).unwrap();
    }
}

/// What was an integer and is a float now, or the other way round, stays what it was in the rows of before.
#[tokio::test]
async fn integers_and_floats_side_by_side() {
    let wide: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 9_007_199_254_740_992.0]));
    let narrow: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 3.0]));
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![-5, 7]));
    let columns =
        [(Kind::Float64, wide, [""; 2]), (Kind::Float32, narrow, [""; 2]), (Kind::Int64, whole, [""; 2])];
    let pair = Pair::of(batch(&columns, 10)).await;
    let half = |index: usize, kind: &str| {
        let cast = format!("CAST(c{index} AS {kind})");
        format!("CASE WHEN key < 5 AND c{index} = {cast} THEN {cast} ELSE c{index} END")
    };
    let (a, b, c) = (half(0, "INTEGER"), half(1, "INTEGER"), half(2, "REAL"));
    let sql = format!(
        "CREATE TABLE t (key INTEGER PRIMARY KEY, c0, c1, c2); INSERT INTO t SELECT key, {a}, {b}, {c} FROM s;
         DROP TABLE s; ALTER TABLE t RENAME TO s"
    );
    pair.sqlite().execute_batch(&sql).unwrap();
    assert_eq!(pair.differing_in_sqlite().await, []);
    assert_eq!(pair.differing(WriteMode::Mirror).await, []);
    pair.sqlite().execute_batch("UPDATE s SET c0 = 2, c1 = 1, c2 = -5.5 WHERE key = 4").unwrap();
    let found = [(key(4), vec!["c0".to_owned(), "c1".to_owned(), "c2".to_owned()])];
    assert_eq!(pair.differing_in_sqlite().await, found);
}
