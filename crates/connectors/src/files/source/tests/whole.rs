//! Files that together are all there is.

use super::*;

/// Streams of which `stock*.csv` is compared as a whole, with more `options`.
fn compared(options: &str) -> String {
    format!(
        r#"{{"stock": {{"files": "stock*", "key": ["id"], "changes": "full-refresh", "at_rest": "0s"{options}}}}}"#
    )
}

async fn stock(options: &str) -> Fixture {
    Fixture::new(&compared(options)).await
}

/// A table of as many records, whose amounts begin with `from`.
fn records(count: usize, from: usize) -> String {
    let records = (0..count).map(|id| format!("{id},{}\n", from + id));
    ["id,amount\n".to_owned()].into_iter().chain(records).collect()
}

#[tokio::test]
async fn an_export_that_is_replaced_is_compared() {
    let mut fixture = stock("").await;
    fixture.write("stock.csv", "id,name\n1,one\n2,two\n3,three\n");
    assert_eq!(fixture.read().await, ["r id=1 name=one", "r id=2 name=two", "r id=3 name=three"]);
    assert_eq!(fixture.read().await, [""; 0], "nothing has changed");
    fixture.write("stock.csv", "id,name\n4,four\n3,THREE\n1,one");
    assert_eq!(fixture.read().await, ["c id=4 name=four", "u id=3 name=THREE", "d id=2"]);
    fixture.write("stock.csv.new", "id,name\n3,THREE\n");
    fs::rename(fixture.path("stock.csv.new"), fixture.path("stock.csv")).unwrap();
    assert_eq!(fixture.read().await, ["d id=1", "d id=4"]);
    fixture.write("stock.csv", "id,name\n");
    assert_eq!(fixture.read().await, ["d id=3"], "an export without a record has none");
}

#[tokio::test]
async fn files_are_one_whatever_record_stands_in_which() {
    let mut fixture = stock(r#", "ignore": ["at"]"#).await;
    fixture.write("stock-1.csv", "id,name,at\n1,one,10:00\n2,two,10:00\n");
    fixture.write("stock-2.csv", "name,id\nthree,3\n");
    let read = ["r id=1 name=one at=10:00", "r id=2 name=two at=10:00", "r id=3 name=three"];
    assert_eq!(fixture.read().await, read);
    fs::remove_file(fixture.path("stock-1.csv")).unwrap();
    fixture.write("stock-2.csv", "at,name,id\n11:00,two,2\n11:00,one,1\n");
    assert_eq!(fixture.read().await, ["d id=3"]);
}

#[tokio::test]
async fn parquet_is_compared_by_its_own_types() {
    let mut fixture = stock("").await;
    let write = |fixture: &Fixture, ids: &[i64]| parquet::write_ids(&fixture.path("stock.parquet"), ids);
    write(&fixture, &[1, 2, 3]);
    assert_eq!(fixture.read().await, ["r id=1", "r id=2", "r id=3"]);
    write(&fixture, &[3, 4, 2]);
    assert_eq!(fixture.read().await, ["c id=4", "d id=1"]);
    fixture.write("stock-2.csv", "id\n7\n");
    let (kind, message) = fixture.fail().await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("Parquet files and others"), "{message}");
}

#[tokio::test]
async fn half_an_export_deletes_nothing() {
    let mut fixture = stock("").await;
    fixture.write("stock.csv", records(20, 0));
    fixture.read().await;
    fixture.write("stock.csv", "id,amount\n0,0\n1,1\n2");
    let (kind, message) = fixture.fail().await;
    assert_eq!(
        (kind, message.contains("has 1 fields") || message.contains("whole record")),
        (ErrorKind::Data, true)
    );
    fixture.write("stock.csv", "");
    assert_eq!(fixture.fail().await.0, ErrorKind::Data, "not even its header is there");
    fixture.write("stock.csv", "id,amount\n0,0\n1,1\n");
    let (kind, message) = fixture.fail().await;
    assert_eq!(kind, ErrorKind::Conflict);
    assert!(message.starts_with("18 of 20 records"), "{message}");
    fs::remove_file(fixture.path("stock.csv")).unwrap();
    let (kind, message) = fixture.fail().await;
    assert_eq!((kind, message.contains("nothing is deleted")), (ErrorKind::Data, true), "{message}");
    fixture.write("stock.csv", records(19, 0));
    assert_eq!(fixture.read().await, ["d id=19"]);
    fixture.streams = compared(r#", "max_deletes": 100"#);
    fixture.write("stock.csv", "id,amount\n7,7\n");
    assert_eq!(fixture.read().await.len(), 18);
}

#[tokio::test]
async fn who_grew_may_be_compared_and_the_other_way_round() {
    let growing = r#"{"stock": {"files": "stock*", "key": ["id"]}}"#;
    let mut fixture = Fixture::new(growing).await;
    fixture.write("stock.csv", "id\n1\n2\n");
    assert_eq!(fixture.read().await, ["r id=1", "r id=2"]);
    fixture.streams = compared("");
    fixture.write("stock.csv", "id\n2\n3\n");
    assert_eq!(fixture.read().await, ["r id=2", "r id=3"], "as another generation, from the beginning");
    fixture.streams = growing.to_owned();
    assert_eq!(fixture.read().await, ["r id=2", "r id=3"]);
    fixture.append("stock.csv", "4\n");
    assert_eq!(fixture.read().await, ["c id=4"]);
}

#[tokio::test]
async fn a_run_that_goes_on_looks_when_nobody_has_written_for_a_while() {
    let mut fixture = Fixture::new(&compared("").replace("0s", "300ms")).await;
    fixture.write("stock.csv", records(3, 0));
    let going = Going::start(&fixture, "10ms");
    let world = tidemark_engine::world::World::real();
    let (mut seen, mut is_written) = (Vec::new(), false);
    for _ in 0..500 {
        seen.extend(fixture.news().await);
        if seen.len() == 3 && !std::mem::replace(&mut is_written, true) {
            // As long as it is written to it is not complete.
            for part in ["id,amount\n", "0,0\n", "1,1\n", "2,2\n", "3,3\n"] {
                match part {
                    "id,amount\n" => fixture.write("stock.csv", part),
                    part => fixture.append("stock.csv", part),
                }
                world.sleep(Duration::from_millis(30)).await;
            }
        }
        if seen.len() >= 4 {
            break;
        }
        world.sleep(Duration::from_millis(20)).await;
    }
    going.end().await;
    assert_eq!(seen, ["r id=0 amount=0", "r id=1 amount=1", "r id=2 amount=2", "c id=3 amount=3"]);
}
