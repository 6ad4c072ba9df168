//! Folders that values make.

use std::{path::Path, sync::Arc};

use tidemark_engine::{
    ErrorKind,
    arrow_array::{ArrayRef, Date32Array, Int64Array, StringArray, UInt64Array},
    change::{ChangeBatch, ExceptionsBuilder, Op},
    contract::write::{delivery, log, unit},
    schema::{Field, Kind, StreamName, StreamSchema},
    write::{WriteMode, WriteStrategy},
};

use super::{super::Destination, split};
use crate::{
    files::{
        DestinationFormat,
        destination::{
            layout::Location,
            tests::{batch, config, writing},
        },
    },
    object_stores::Environment,
};

fn texts(values: Vec<Option<&str>>) -> ChangeBatch {
    let schema = StreamSchema::new(StreamName::new("s"), vec![Field::new("c", Kind::Text)], vec![]).unwrap();
    let count = values.len() as u64;
    let values: ArrayRef = Arc::new(StringArray::from(values));
    let changes = ChangeBatch::uniform(schema, Op::Create, vec![values]).unwrap();
    changes.with_ordinals(UInt64Array::from_iter_values(0..count))
}

/// The folders that `template` makes of `changes`, each with the ordinals of its changes.
fn folders(template: &str, changes: ChangeBatch) -> Vec<(String, Vec<u64>)> {
    let layout = Location::parse(&format!("archive/{template}")).unwrap().layout;
    let parts = split(&layout, "s", &delivery(7, changes)).unwrap();
    let ordinals = |changes: &ChangeBatch| changes.ordinals().unwrap().values().to_vec();
    parts.into_iter().map(|part| (part.folder, ordinals(&part.changes))).collect()
}

#[test]
fn hostile_values_stay_inside_and_apart() {
    let values = ["..", "a/b", "a%2Fb", "", ".x", "A=B", "ü", "a\0b", "a b"].map(Some);
    let values = values.into_iter().chain([None]).collect();
    let found = folders("{stream}/c={value.c}", texts(values));
    let expected = [
        ("s/c=%2E.", vec![0]),
        ("s/c=a%2Fb", vec![1]),
        ("s/c=a%252Fb", vec![2]),
        ("s/c=__HIVE_DEFAULT_PARTITION__", vec![3, 9]),
        ("s/c=%2Ex", vec![4]),
        ("s/c=A%3DB", vec![5]),
        ("s/c=%C3%BC", vec![6]),
        ("s/c=a%00b", vec![7]),
        ("s/c=a%20b", vec![8]),
    ];
    assert_eq!(found, expected.map(|(folder, ordinals)| (folder.to_owned(), ordinals)));
}

#[test]
fn a_change_is_where_its_operation_its_commit_and_its_values_say() {
    let found = folders("{stream}/{date}/{hour}/{op}/d={value.d}", batch("s", 1));
    // 1,700,000,000 seconds and 7 microseconds after 1970 began.
    let expected = [
        ("s/2023-11-14/22/c/d=1970-01-01", vec![0]),
        ("s/2023-11-14/22/r/d=infinity", vec![1]),
        ("s/2023-11-14/22/u/d=1970-01-02", vec![2]),
    ];
    assert_eq!(found, expected.map(|(folder, ordinals)| (folder.to_owned(), ordinals)));
    // The last does not carry `t`, the one before has NULL there, the first an empty text.
    let found = folders("{value.t}", batch("s", 1));
    assert_eq!(found, [("__HIVE_DEFAULT_PARTITION__".to_owned(), vec![0, 1, 2])]);
}

#[test]
fn what_cannot_be_partitioned_is_refused_by_name() {
    let layout = |template: &str| Location::parse(&format!("archive/{template}")).unwrap().layout;
    let missing = split(&layout("{value.nothing}"), "s", &delivery(7, texts(vec![None]))).err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::Config);
    assert!(missing.to_string().contains("no column `nothing`"), "{missing}");
    let long = "secret".repeat(50);
    let error =
        split(&layout("{value.c}"), "s", &delivery(7, texts(vec![Some("a"), Some(&long)]))).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.hint_text().is_some() && !error.to_string().contains("secret"), "{error}");
    assert_eq!(error.change(), Some((7, 1)));
}

/// Exceptions of a column are text as well.
#[test]
fn dates_beyond_what_arrow_holds_have_folders() {
    let schema = StreamSchema::new(StreamName::new("s"), vec![Field::new("d", Kind::Date)], vec![]).unwrap();
    let mut exceptions = ExceptionsBuilder::new();
    exceptions.add(0, "4713-01-01 BC");
    exceptions.end_row();
    let values: ArrayRef = Arc::new(Date32Array::from(vec![None]));
    let mut columns = tidemark_engine::change::Columns::new(vec![b'c'].into(), vec![values]);
    columns.exceptions = exceptions.finish();
    let changes = ChangeBatch::new(schema, columns).unwrap().with_ordinals(UInt64Array::from(vec![0]));
    assert_eq!(folders("d={value.d}", changes)[0].0, "d=4713-01-01%20BC");
}

fn numbers(values: std::ops::Range<i64>) -> ChangeBatch {
    let schema = StreamSchema::new(StreamName::new("s"), vec![Field::new("n", Kind::Int64)], vec![]).unwrap();
    let count = (values.end - values.start) as u64;
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    let changes = ChangeBatch::uniform(schema, Op::Create, vec![values]).unwrap();
    changes.with_ordinals(UInt64Array::from_iter_values(0..count))
}

fn partitioned(folder: &Path, path: &str, most: usize) -> Destination {
    let mut config = config(DestinationFormat::Parquet);
    (config.path, config.max_partitions) = (path.to_owned(), most);
    Destination::new(&config, folder, writing(WriteMode::Append), &Environment::default()).unwrap()
}

/// The files below `folder`, from there.
fn files(folder: &Path) -> Vec<String> {
    let names = super::super::disk::names(folder).unwrap().into_iter().filter(|name| !name.starts_with('.'));
    let below = |name: String| match folder.join(&name) {
        path if path.is_dir() => files(&path).into_iter().map(|file| format!("{name}/{file}")).collect(),
        _ => vec![name],
    };
    names.flat_map(below).collect()
}

#[tokio::test]
async fn too_many_partitions_hold_the_stream_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = partitioned(folder.path(), "archive/{stream}/n={value.n}", 10);
    archive.open(&log()).await.unwrap();
    let error = archive.apply(&mut unit(0, 1, vec![numbers(0..11)])).await.unwrap_err();
    assert_eq!((error.kind(), error.stream()), (ErrorKind::Config, Some(&StreamName::new("s"))));
    assert!(error.hint_text().unwrap().contains("max_partitions"), "{error}");
    assert!(files(folder.path().join("archive").as_path()).is_empty());
    archive.open(&log()).await.unwrap();
    archive.apply(&mut unit(0, 1, vec![numbers(0..10), numbers(0..10)])).await.unwrap();
    let expected = (0..10).map(|n| format!("s/n={n}/000000000001-000000000001-archive-0000.parquet"));
    assert_eq!(files(&folder.path().join("archive")), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn more_partitions_than_files_may_be_open_are_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = partitioned(folder.path(), "archive/{value.n}", 1_000);
    archive.open(&log()).await.unwrap();
    archive.apply(&mut unit(0, 1, vec![numbers(0..300), numbers(100..200)])).await.unwrap();
    assert_eq!(files(&folder.path().join("archive")).len(), 400);
}

#[tokio::test]
async fn two_streams_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = partitioned(folder.path(), "archive/{op}", 10);
    archive.open(&log()).await.unwrap();
    let error = archive.apply(&mut unit(0, 1, vec![numbers(0..1), batch("other", 1)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("share the folder `c`"), "{error}");
}
