//! The strategy for real: files in a folder, the engine's loop, a log in memory.

use std::{fs, io::Write, path::PathBuf, time::SystemTime};

use tempfile::TempDir;
use tidemark_engine::{
    Error, ErrorKind, change::Cell, contract::read::ReadBench, schema::Kind, write::Delivery,
};

use super::*;

/// A folder, the pipeline's part that reads it, and the log it is read into.
struct Fixture {
    folder: TempDir,
    streams: String,
    bench: ReadBench,
}

impl Fixture {
    async fn new(streams: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, streams: streams.to_owned(), bench: ReadBench::new().await }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn append(&self, name: &str, content: &str) {
        fs::OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
    }

    /// Makes a file look as if it had been written long ago.
    fn age(&self, name: &str) {
        fs::File::options()
            .write(true)
            .open(self.path(name))
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
    }

    fn source(&self) -> Source {
        let json = format!(r#"{{"path": ".", "streams": {}}}"#, self.streams);
        Source::new(serde_json::from_str(&json).unwrap(), self.folder.path()).unwrap()
    }

    /// What a run to the end adds.
    async fn try_read(&mut self) -> Result<Vec<String>, Error> {
        let deliveries = self.bench.catch_up(&mut self.source().strategy()).await?;
        Ok(lines(&deliveries))
    }

    /// What a run that goes on has added.
    async fn news(&mut self) -> Vec<String> {
        lines(&self.bench.news().await.unwrap())
    }

    async fn read(&mut self) -> Vec<String> {
        self.try_read().await.unwrap()
    }

    async fn fail(&mut self) -> (ErrorKind, String) {
        let error = self.try_read().await.unwrap_err();
        assert!(error.hint_text().is_some());
        (error.kind(), error.to_string())
    }
}

/// Each change as its operation and `column=value` for what it carries.
fn lines(deliveries: &[Delivery]) -> Vec<String> {
    let mut lines = Vec::new();
    for changes in deliveries.iter().map(|delivery| &delivery.changes) {
        for row in 0..changes.rows() {
            let mut line = changes.op(row).unwrap().as_str().to_owned();
            for (index, field) in changes.schema().fields().iter().enumerate() {
                let value = match changes.column(index).cell(row) {
                    Cell::Unchanged => continue,
                    Cell::Null => "NULL".to_owned(),
                    Cell::Value(value) => value.to_string(),
                    Cell::Exception(text) => format!("!{text}"),
                };
                line += &format!(" {}={value}", field.name);
            }
            lines.push(line);
        }
    }
    lines
}

#[tokio::test]
async fn what_was_there_is_read_and_what_comes_later_is_created() {
    let mut fixture = Fixture::new("null").await;
    fixture.write("a.csv", "id,name,at\n1,Ann,2013-01-01T05:00:00Z\n2,,2013-01-01 06:00:00+00\n");
    assert_eq!(
        fixture.read().await,
        ["r id=1 name=Ann at=2013-01-01T05:00:00Z", "r id=2 name=NULL at=2013-01-01T06:00:00Z"]
    );
    assert_eq!(fixture.read().await, [""; 0]);
    fixture.append("a.csv", "3,\"a \"\"quoted\"\"\nline\",2013-01-02T00:00:00Z\r\n");
    assert_eq!(fixture.read().await, ["c id=3 name=a \"quoted\"\nline at=2013-01-02T00:00:00Z"]);
    fixture.write("b.csv", "\u{feff}x\r\ntrue\r\n");
    assert_eq!(fixture.read().await, ["r x=true"]);
}

#[tokio::test]
async fn schemas_widen_and_columns_join() {
    let mut fixture = Fixture::new(r#"{"s": {"files": "*.csv"}}"#).await;
    fixture.write("1.csv", "a,b,c\n1,,2013-01-01\n2,,2013-01-02\n");
    assert_eq!(fixture.read().await, ["r a=1 c=2013-01-01 b=NULL", "r a=2 c=2013-01-02 b=NULL"]);
    fixture.write("2.csv", "b,d,a\nx,9007199254740993,1.5\n,,\n");
    assert_eq!(fixture.read().await, ["c a=1.5 b=x d=9007199254740993", "c a=NULL b=NULL d=NULL"]);
    fixture.write("3.csv", "a,d\n0.1234567890123456789,0.5\n");
    assert_eq!(fixture.read().await, ["c a=0.1234567890123456789 d=0.5"]);
    let schema = fixture.source().discover(1).await.unwrap().remove(0).schema;
    let kinds = schema.fields().iter().map(|field| field.kind.clone()).collect::<Vec<_>>();
    assert_eq!(kinds, [Kind::Number, Kind::Date, Kind::Text, Kind::Number]);
}

#[tokio::test]
async fn a_rotated_file_goes_on_under_its_new_name() {
    let mut fixture = Fixture::new("null").await;
    fixture.write("a.jsonl", "{\"n\":1}\n");
    assert_eq!(fixture.read().await, ["r n=1"]);
    fixture.append("a.jsonl", "{\"n\":2}\n");
    fs::rename(fixture.path("a.jsonl"), fixture.path("a.jsonl.1")).unwrap();
    fixture.write("a.jsonl", "{\"n\":3}\n");
    assert_eq!(fixture.read().await, ["c n=2", "c n=3"]);
    fs::rename(fixture.path("a.jsonl.1"), fixture.path("a.jsonl.2")).unwrap();
    assert_eq!(fixture.read().await, [""; 0]);
    fs::remove_file(fixture.path("a.jsonl.2")).unwrap();
    fixture.append("a.jsonl", "{\"n\":4}\n");
    assert_eq!(fixture.read().await, ["c n=4"]);
}

#[tokio::test]
async fn a_file_rotated_over_another_is_read_once() {
    let mut fixture = Fixture::new("null").await;
    fixture.write("a.jsonl.1", "{\"n\":1}\n");
    fixture.write("a.jsonl", "{\"n\":2}\n");
    assert_eq!(fixture.read().await, ["r n=1", "r n=2"]);
    for n in [3, 5, 7] {
        fixture.append("a.jsonl", &format!("{{\"n\":{n}}}\n"));
        fs::rename(fixture.path("a.jsonl"), fixture.path("a.jsonl.1")).unwrap();
        fixture.write("a.jsonl", format!("{{\"n\":{}}}\n", n + 1));
        assert_eq!(fixture.read().await, [format!("c n={n}"), format!("c n={}", n + 1)]);
        assert_eq!(fixture.read().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_rewritten_file_stops_the_run_or_is_read_again() {
    let mut fixture = Fixture::new(r#"{"a": {}}"#).await;
    fixture.write("a.csv", "n\n1\n2\n");
    assert_eq!(fixture.read().await.len(), 2);
    fixture.write("a.csv", "n\n1\n3\n");
    let (kind, message) = fixture.fail().await;
    assert_eq!(kind, ErrorKind::Conflict);
    assert_eq!(
        message,
        "`a.csv` of stream `a` no longer holds what was read from it, and no other file does"
    );
    fixture.write("a.csv", "");
    assert_eq!(fixture.fail().await.0, ErrorKind::Conflict);
    fixture.streams = r#"{"a": {"key": ["n"]}}"#.to_owned();
    assert_eq!(fixture.read().await, [""; 0]);
    fixture.write("a.csv", "n\n1\n3\n");
    assert_eq!(fixture.read().await, ["c n=1", "c n=3"]);
}

#[tokio::test]
async fn a_last_line_without_a_line_end_is_read_once_it_is_at_rest() {
    let mut fixture = Fixture::new(r#"["a", "b"]"#).await;
    fixture.write("a.csv", "n\n1\n2");
    fixture.write("b.csv", "n\n7");
    // Just written: the run waits.
    let mut rows = fixture.read().await;
    rows.sort();
    assert_eq!(rows, ["r n=1", "r n=2", "r n=7"]);
    fixture.append("a.csv", "\n3\n");
    assert_eq!(fixture.read().await, ["c n=3"]);
    fixture.append("b.csv", "8\n");
    let (kind, message) = fixture.fail().await;
    assert_eq!(kind, ErrorKind::Conflict);
    assert_eq!(message, "the last line of `b.csv` has grown after it was read as a whole record");
}

#[tokio::test]
async fn an_end_that_is_not_whole_is_no_record() {
    let mut fixture = Fixture::new("null").await;
    for (name, content) in
        [("a.csv", "n,m\n1,2\n\"3"), ("a.csv", "n,m\n1,2\n3"), ("a.jsonl", "{\"n\":1}\n{\"n\":")]
    {
        fixture.write(name, content);
        fixture.age(name);
        let (kind, message) = fixture.fail().await;
        assert_eq!(kind, ErrorKind::Data);
        assert_eq!(message, format!("`{name}` of stream `a` does not end with a whole record"));
        assert_eq!(fixture.bench.news().await.unwrap().len(), 1);
        fs::remove_file(fixture.path(name)).unwrap();
        fixture.bench = ReadBench::new().await;
    }
}

#[tokio::test]
async fn json_lines_keep_what_they_say() {
    let mut fixture = Fixture::new("null").await;
    fixture.write(
        "a.jsonl",
        concat!(
            "{\"id\":1,\"big\":12345678901234567890,\"f\":1.5,\"o\":{ \"b\" : 1.10 },\"s\":\"x\\u00e9\",\"m\":1}\n",
            "\n",
            "{\"s\":\"2013-01-01\",\"id\":2,\"o\":\"t\\n\",\"f\":null,\"m\":\"1\"}\n",
        ),
    );
    assert_eq!(
        fixture.read().await,
        [
            "r id=1 big=12345678901234567890 f=1.5 o={ \"b\" : 1.10 } s=xé m=1",
            "r id=2 f=NULL o=\"t\\n\" s=2013-01-01 m=1"
        ]
    );
    fixture.append("a.jsonl", "{\"id\":3,\"id\":4}\n");
    let (kind, message) = fixture.fail().await;
    assert_eq!(
        (kind, message.as_str()),
        (ErrorKind::Data, "the record on line 4 of `a.jsonl` has the key `id` twice")
    );
}

#[tokio::test]
async fn unsound_records_are_named_by_file_and_line_and_never_quoted() {
    let cases: [(&str, &[u8], &str); 9] = [
        ("a.csv", b"n,m\n1,2\n1,secret,3\n", "`a.csv` has 3 fields on line 3, but 2 columns"),
        ("a.csv", b"n,m\n1,\"2\n2\"\n1,\xff\n", "column `m` of `a.csv` is not UTF-8 on line 4"),
        ("a.csv", b"n,m\n\xc3,\xa9\n", "column `n` of `a.csv` is not UTF-8 on line 2"),
        ("a.csv", b"n,n\n1,2\n", "the header of `a.csv` names the column `n` twice"),
        ("a.csv", b"n,\n1,2\n", "column 2 of `a.csv` has no name"),
        ("a.csv", b"n,m\n1,2\n,3\n", "a record of `a.csv` on line 3 has no value in the key column `n`"),
        (
            "a.csv",
            b"n,d\n1,2\nsecret,3\n1,x\n",
            "column `d` of `a.csv` has a value on line 4 that is not of its kind `int64`",
        ),
        ("a.jsonl", b"{\"n\":1}\n\"secret\"\n", "line 2 of `a.jsonl` is not a JSON object (at character 8)"),
        (
            "a.jsonl",
            b"{\"n\":1}\n{\"n\":\"\\ud800\"}\n",
            "column `n` of `a.jsonl` is not valid text on line 2",
        ),
    ];
    for (name, content, expected) in cases {
        let mut fixture = Fixture::new(r#"{"a": {"key": ["n"], "types": {"d": "int64"}}}"#).await;
        fixture.write(name, content);
        let (kind, message) = fixture.fail().await;
        assert_eq!((kind, message.as_str()), (ErrorKind::Data, expected));
    }
}

#[tokio::test]
async fn what_was_declared_holds() {
    let mut fixture = Fixture::new(
        r#"{"a": {"types": {"p": "decimal(6,2)", "z": "text", "u": "uuid"}, "exclude": ["x"], "delimiter": ";"}}"#,
    )
    .await;
    fixture.write("a.csv", "p;z;x;u\n1.5;007;secret;11111111-1111-1111-1111-111111111111\n");
    assert_eq!(fixture.read().await, ["r p=1.50 z=007 u=11111111-1111-1111-1111-111111111111"]);
}

#[tokio::test]
async fn quoted_fields_are_texts_even_where_they_look_like_null() {
    let mut fixture = Fixture::new("null").await;
    fixture.write("a.csv", "a,b,c\n\"\",,x\"\"\n\"x\"y,\"\",\n");
    assert_eq!(fixture.read().await, ["r a= b=NULL c=x\"\"", "r a=xy b= c=NULL"]);
}

#[tokio::test]
async fn a_large_file_comes_whole_and_once() {
    let mut fixture = Fixture::new("null").await;
    let mut content = String::from("n,text\n");
    for n in 0..150_000 {
        content += &format!("{n},some text that is neither short nor long\n");
    }
    fixture.write("a.csv", &content);
    let rows = fixture.read().await;
    assert_eq!(rows.len(), 150_000);
    assert!(rows.iter().enumerate().all(|(n, row)| row.starts_with(&format!("r n={n} "))));
    assert!(fixture.bench.log().head().sequence > 2, "there are boundaries within the file");
}

#[tokio::test]
async fn a_missing_folder_is_a_wrong_path_until_something_was_read() {
    let mut fixture = Fixture::new("null").await;
    let folder = fixture.folder.path().to_owned();
    fs::remove_dir(&folder).unwrap();
    let missing = (ErrorKind::Config, format!("the folder `{}` does not exist", folder.join(".").display()));
    assert_eq!(fixture.fail().await, missing);
    let problem = fixture.source().check().await.remove(0);
    assert_eq!((problem.kind(), problem.to_string()), missing);
    assert_eq!(fixture.source().discover(0).await.unwrap_err().kind(), ErrorKind::Config);
    fs::write(&folder, "a file").unwrap();
    assert_eq!(fixture.fail().await.0, ErrorKind::Config);
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    fixture.write("a.csv", "n\n1\n");
    assert_eq!(fixture.read().await, ["r n=1"]);
    // Now the folder is rather away than wrongly named: the run waits for it.
    fs::rename(&folder, folder.with_extension("away")).unwrap();
    let world = tidemark_engine::world::World::real();
    tokio::select! {
        ended = fixture.try_read() => panic!("the run has ended: {ended:?}"),
        () = world.sleep(Duration::from_millis(500)) => {}
    }
    fs::rename(folder.with_extension("away"), &folder).unwrap();
    assert_eq!(fixture.read().await, [""; 0]);
}

#[tokio::test]
async fn everything_in_the_way_is_told_at_once() {
    let fixture =
        Fixture::new(r#"{"a": {"key": ["id"], "types": {"q": "text"}}, "b": {}, "c": {"files": "c*"}}"#)
            .await;
    fixture.write("a.csv", "n,m\n1,2\n");
    fixture.write("c.dat", "x");
    let problems = fixture.source().check().await;
    let texts = problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let folder = fixture.folder.path().join(".").display().to_string();
    assert_eq!(
        texts,
        [
            "key column `id` of stream `a` does not exist in `a.csv`".to_owned(),
            "column `q` under `types` of stream `a` is in none of its files".to_owned(),
            format!("no file in `{folder}` matches `b.*` of stream `b`"),
            "the format of `c.dat` is not known by its extension".to_owned(),
        ]
    );
    assert!(problems.iter().all(|problem| problem.hint_text().is_some()));
    let sound = Fixture { streams: r#"{"a": {"key": ["n"]}}"#.to_owned(), ..fixture };
    assert!(sound.source().check().await.is_empty());
    let discovered = sound.source().discover(5).await.unwrap();
    assert_eq!(discovered[0].sample.as_ref().unwrap().rows(), 1);
    assert_eq!(discovered[0].schema.key_names(), ["n"]);
}

/// A Parquet file whose columns are of awkward types, with `rows` rows from `first` on.
fn parquet_file(path: &Path, first: i64, rows: i64) {
    use std::sync::Arc;
    use tidemark_engine::{
        arrow_array::{
            ArrayRef, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, FixedSizeBinaryArray,
            Int64Array, LargeStringArray, ListArray, RecordBatch, Time32MillisecondArray,
            TimestampNanosecondArray, UInt64Array,
            types::{Int32Type, Int64Type},
        },
        arrow_buffer::i256,
    };
    let ids = first..first + rows;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("big", Arc::new(UInt64Array::from_iter_values(ids.clone().map(|_| u64::MAX)))),
        (
            "text",
            Arc::new(LargeStringArray::from_iter(ids.clone().map(|id| (id % 2 == 0).then_some("even")))),
        ),
        ("word", Arc::new(ids.clone().map(|_| "w").collect::<DictionaryArray<Int32Type>>())),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values(ids.clone().map(i128::from))
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        (
            "huge",
            Arc::new(
                Decimal256Array::from_iter_values(ids.clone().map(|id| i256::from_i128(id.into())))
                    .with_precision_and_scale(50, 3)
                    .unwrap(),
            ),
        ),
        ("day", Arc::new(Date32Array::from_iter_values(ids.clone().map(|_| 15_706)))),
        ("clock", Arc::new(Time32MillisecondArray::from_iter_values(ids.clone().map(|_| 1_500)))),
        (
            "at",
            Arc::new(
                TimestampNanosecondArray::from_iter_values(ids.clone().map(|id| id * 500))
                    .with_timezone("Europe/Berlin"),
            ),
        ),
        ("bytes", Arc::new(FixedSizeBinaryArray::try_from_iter(ids.clone().map(|_| [1, 255])).unwrap())),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
                ids.map(|id| Some(vec![Some(id), None])),
            )),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ::parquet::arrow::ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None)
            .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn parquet_files_come_with_their_types() {
    let mut fixture = Fixture::new(r#"{"p": {"key": ["id"]}}"#).await;
    parquet_file(&fixture.path("p.parquet"), 1, 2);
    assert_eq!(
        fixture.read().await,
        [
            "r id=1 big=18446744073709551615 text=NULL word=w price=0.01 huge=0.001 day=2013-01-01 \
             clock=00:00:01.500 at=!1970-01-01T00:00:00.000000500Z bytes=\\x01ff list=[1,null]",
            "r id=2 big=18446744073709551615 text=even word=w price=0.02 huge=0.002 day=2013-01-01 \
             clock=00:00:01.500 at=1970-01-01T00:00:00.000001Z bytes=\\x01ff list=[2,null]",
        ]
    );
    assert_eq!(fixture.read().await, [""; 0]);
    parquet_file(&fixture.path("p.2.parquet"), 3, 20_000);
    let rows = fixture.read().await;
    assert_eq!(rows.len(), 20_000);
    assert!(rows[19_999].starts_with("c id=20002 "));
    // The same name with other content.
    parquet_file(&fixture.path("p.parquet"), 50_000, 1);
    assert_eq!(fixture.read().await.len(), 1);
}

#[tokio::test]
async fn a_parquet_file_without_its_footer_is_not_read() {
    let mut fixture = Fixture::new("null").await;
    parquet_file(&fixture.path("whole"), 1, 2);
    let whole = fs::read(fixture.path("whole")).unwrap();
    fixture.write("p.parquet", &whole[..whole.len() / 2]);
    fixture.age("p.parquet");
    let (kind, message) = fixture.fail().await;
    assert_eq!(kind, ErrorKind::Data);
    assert_eq!(message, "`p.parquet` of stream `p` does not end with a whole record");
    fixture.write("p.parquet", &whole);
    assert_eq!(fixture.read().await.len(), 2);
}

#[tokio::test]
async fn an_interrupted_initial_sync_goes_on_where_it_stood() {
    let mut fixture = Fixture::new("null").await;
    let mut content = String::from("n\n");
    for n in 0..20_000 {
        content += &format!("{n}\n");
    }
    fixture.write("a.csv", format!("{content}x,y\n"));
    assert_eq!(
        fixture.fail().await,
        (ErrorKind::Data, "`a.csv` has 2 fields on line 20002, but 1 columns".to_owned())
    );
    let before =
        fixture.bench.news().await.unwrap().iter().map(|delivery| delivery.changes.rows()).sum::<usize>();
    assert_eq!(before, 16_384, "whole batches before the error are kept");
    fixture.write("a.csv", format!("{content}20000\n"));
    let rows = fixture.read().await;
    assert_eq!((rows.len(), rows[0].as_str()), (20_001 - before, "r n=16384"));
    fixture.append("a.csv", "20001\n");
    assert_eq!(fixture.read().await, ["c n=20001"]);
}

/// A run that goes on, whose source looks every `poll`.
struct Going {
    stop: tidemark_engine::Stop,
    running: tokio::task::JoinHandle<Result<tidemark_engine::read::End>>,
}

impl Going {
    fn start(fixture: &Fixture, poll: &str) -> Self {
        use tidemark_engine::{
            Stop,
            codec::Format,
            read::{ReadLoop, ReadSettings},
        };
        let json = format!(r#"{{"path": ".", "poll": "{poll}", "streams": {}}}"#, fixture.streams);
        let source = Source::new(serde_json::from_str(&json).unwrap(), fixture.folder.path()).unwrap();
        let settings = ReadSettings {
            format: Format::Parquet,
            max_delay: Duration::ZERO,
            memory: 16 << 20,
            until_caught_up: false,
        };
        let (log, stop) = (fixture.bench.log().clone(), Stop::new());
        let mut read = ReadLoop::new(log, settings, stop.clone());
        let running = tokio::spawn(async move { read.run(&mut source.strategy()).await });
        Self { stop, running }
    }

    async fn end(self) {
        self.stop.stop();
        assert_eq!(self.running.await.unwrap().unwrap(), tidemark_engine::read::End::Stopped);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_during_a_look_is_no_rewrite() {
    const LINES: u32 = 3_000;
    let mut fixture = Fixture::new(r#"{"a": {"files": "a.jsonl*", "format": "jsonl"}}"#).await;
    let folder = fixture.folder.path().to_owned();
    let going = Going::start(&fixture, "1ms");
    let writer = std::thread::spawn(move || {
        let path = |name: &str| folder.join(name);
        for n in 0..LINES {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(path("a.jsonl")).unwrap();
            writeln!(file, "{{\"n\":{n}}}").unwrap();
            std::thread::park_timeout(Duration::from_micros(200));
            if n % 8 == 7 {
                // Nothing is ever deleted, so nothing may be missed.
                fs::rename(path("a.jsonl.1"), path(&format!("a.jsonl.{}", 2 * LINES - n))).ok();
                fs::rename(path("a.jsonl"), path("a.jsonl.1")).unwrap();
            }
        }
    });
    tokio::task::spawn_blocking(move || writer.join().unwrap()).await.unwrap();
    assert!(!going.running.is_finished(), "the run has failed: {:?}", going.running.await);
    going.end().await;
    let mut rows = fixture.news().await;
    rows.extend(fixture.read().await);
    let mut numbers = rows.iter().map(|row| row[4..].parse::<u32>().unwrap()).collect::<Vec<_>>();
    numbers.sort_unstable();
    let doubled = numbers.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    assert_eq!(doubled.collect::<Vec<_>>(), [0; 0]);
    let missing = (0..LINES).filter(|n| numbers.binary_search(n).is_err());
    assert_eq!(missing.collect::<Vec<_>>(), [0; 0]);
}

#[tokio::test]
async fn a_column_excluded_before_it_had_a_value_stays_out() {
    let mut fixture = Fixture::new(r#"{"a": {}}"#).await;
    let content = format!("n,x\n{}", "1,\n".repeat(9_000));
    fixture.write("a.csv", format!("{content}1,2,3\n"));
    assert_eq!(fixture.fail().await.0, ErrorKind::Data);
    fixture.bench.news().await.unwrap();
    fixture.streams = r#"{"a": {"exclude": ["x"]}}"#.to_owned();
    fixture.write("a.csv", content);
    assert_eq!(fixture.read().await.pop().unwrap(), "r n=1");
    assert_eq!(fixture.bench.news().await.unwrap().len(), 0);
    fixture.append("a.csv", "2,\n");
    assert_eq!(fixture.read().await, ["c n=2"]);
}

#[tokio::test]
async fn a_run_that_goes_on_sees_lines_and_files_as_they_come() {
    let mut fixture = Fixture::new("null").await;
    fixture.write("a.csv", "n\n1\n");
    let going = Going::start(&fixture, "20ms");
    let world = tidemark_engine::world::World::real();
    let mut seen = Vec::new();
    for step in 0..3 {
        match step {
            0 => {}
            1 => fixture.append("a.csv", "2\n3"),
            _ => fixture.write("b.jsonl", "{\"m\":true}\n"),
        }
        for _ in 0..200 {
            world.sleep(Duration::from_millis(20)).await;
            let news = fixture.bench.news().await.unwrap();
            seen.extend(news.iter().flat_map(|delivery| {
                (0..delivery.changes.rows()).map(|row| delivery.changes.op(row).unwrap().as_str())
            }));
            if seen.len() > step {
                break;
            }
        }
    }
    going.end().await;
    assert_eq!(seen, ["r", "c", "r"], "the line without a line end is not read while it may grow");
}
