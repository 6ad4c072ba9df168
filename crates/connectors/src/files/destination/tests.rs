//! What readers of the folder find, whatever happens in between.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use futures::stream;
use proptest::prelude::*;
use tidemark_engine::{
    Error, ErrorKind, LogId, Position,
    arrow_array::*,
    change::{BitmapBuilder, ChangeBatch, Columns, ExceptionsBuilder, Op},
    contract::write::{delivery, log, position, standing, unit},
    schema::{Field, Kind, StreamName, StreamSchema},
    write::{Hold, Standing, Unit, WriteMode, WriteStrategy},
};

use super::Destination;
use crate::{
    config::{ByteSize, Interval, TableName, Writing},
    files::{DestinationConfig, DestinationFormat},
    object_stores::Environment,
};

pub(super) fn config(format: DestinationFormat) -> DestinationConfig {
    let linger = Interval(Duration::ZERO);
    DestinationConfig {
        path: "archive".into(),
        format,
        linger,
        file_size: ByteSize(64 << 20),
        max_partitions: 100,
    }
}

pub(super) fn writing(mode: WriteMode) -> Writing {
    Writing { destination: "archive".into(), mode, table: TableName::default(), adopt: false, shadow: false }
}

fn made(config: &DestinationConfig, folder: &Path, writing: Writing) -> Destination {
    Destination::new(config, folder, writing, &Environment::default()).unwrap()
}

fn destination(folder: &Path, format: DestinationFormat) -> Destination {
    made(&config(format), folder, writing(WriteMode::Append))
}

pub(super) async fn open(folder: &Path, format: DestinationFormat) -> Destination {
    let mut destination = destination(folder, format);
    destination.open(&log()).await.unwrap();
    destination
}

/// Three changes: a whole one, one with NULL and an exception, one that leaves `t` as it is.
pub(super) fn batch(stream: &str, first: i64) -> ChangeBatch {
    let fields = vec![
        Field::new("id", Kind::Int64),
        Field::new("t", Kind::Text),
        Field::new("j", Kind::Json),
        Field::new("d", Kind::Date),
        Field::new("u", Kind::Uuid),
        Field::new("n", Kind::Decimal { precision: 12, scale: 2 }),
    ];
    let schema = StreamSchema::new(StreamName::new(stream), fields, vec![]).unwrap();
    let mut unchanged = BitmapBuilder::new(6);
    let mut exceptions = ExceptionsBuilder::new();
    for row in 0..3 {
        if row == 1 {
            exceptions.add(3, "infinity");
        }
        if row == 2 {
            unchanged.set(1);
        }
        exceptions.end_row();
        unchanged.end_row();
    }
    let uuids = vec![Some([0x11u8; 16]), None, None];
    let values: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![first, first + 1, i64::MAX])),
        Arc::new(StringArray::from(vec![Some(""), None, None])),
        Arc::new(StringArray::from(vec![Some("{\"a\":\n1.10}"), Some("null"), None])),
        Arc::new(Date32Array::from(vec![Some(0), None, Some(1)])),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16).unwrap()),
        Arc::new(Decimal128Array::from(vec![110, -5, 0]).with_precision_and_scale(12, 2).unwrap()),
    ];
    let columns = Columns {
        ops: UInt8Array::from(vec![b'c', b'r', b'u']),
        source_positions: None,
        source_times: Some(TimestampMicrosecondArray::from(vec![Some(1_500_000), None, None])),
        transactions: None,
        unchanged: unchanged.finish(),
        exceptions: exceptions.finish(),
        values,
        before: None,
    };
    ChangeBatch::new(schema, columns).unwrap().with_ordinals(UInt64Array::from(vec![0, 1, 2]))
}

/// The visible files below the folder, by name.
pub(super) fn visible(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let root = folder.join("archive");
    for name in super::disk::names(&root).unwrap().into_iter().filter(|name| !name.starts_with('.')) {
        for file in super::disk::names(&root.join(&name)).unwrap() {
            files.insert(format!("{name}/{file}"), fs::read(root.join(&name).join(&file)).unwrap());
        }
    }
    files
}

/// The positions of all changes in visible JSON Lines files, in the order of the files' names.
fn positions(folder: &Path) -> Vec<String> {
    let lines = visible(folder).into_values().map(|bytes| String::from_utf8(bytes).unwrap());
    let lines = lines.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let value = |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap();
    lines.map(|line| value(line)["_tidemark_position"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_predecessor_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open(folder.path(), DestinationFormat::Jsonl).await;
    first.apply(&mut unit(0, 1, vec![batch("s", 1)])).await.unwrap();
    let mut second = destination(folder.path(), DestinationFormat::Jsonl);
    assert_eq!(second.open(&log()).await.unwrap(), Some(standing(1)));
    let before = visible(folder.path());
    let error = first.apply(&mut unit(1, 2, vec![batch("s", 9)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(visible(folder.path()), before);
    second.apply(&mut unit(1, 3, vec![batch("s", 9)])).await.unwrap();
    let error = second.apply(&mut unit(1, 2, vec![])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(positions(folder.path()).len(), 6);
}

#[tokio::test]
async fn a_crash_after_the_commit_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Jsonl).await;
    archive.apply(&mut unit(0, 1, vec![batch("a", 1), batch("b", 1)])).await.unwrap();
    let expected = visible(folder.path());
    let working = folder.path().join("archive/.tidemark/archive/tmp");
    // As it was between the manifest entry and the renames.
    for (name, temporary) in [("a", "1-2-0"), ("b", "1-2-1")] {
        let from = folder.path().join(format!("archive/{name}/000000000001-000000000001-archive-0000.jsonl"));
        fs::rename(from, working.join(temporary)).unwrap();
    }
    fs::write(working.join("1-3-0"), "half a fi").unwrap();
    let mut archive = destination(folder.path(), DestinationFormat::Jsonl);
    // A crash of the successor after it took over must not hide them either.
    let manifest = working.with_file_name("manifest");
    super::manifest::Manifest::open(manifest, working.clone()).unwrap().take_over().unwrap();
    assert_eq!(archive.open(&log()).await.unwrap(), Some(standing(1)));
    assert_eq!(visible(folder.path()), expected);
    assert!(super::disk::names(&working).unwrap().is_empty());
    // A reader that has taken a file away does not get it again.
    fs::remove_file(folder.path().join("archive/a/000000000001-000000000001-archive-0000.jsonl")).unwrap();
    archive.open(&log()).await.unwrap();
    assert_eq!(visible(folder.path()).len(), 1);
}

#[tokio::test]
async fn two_pipelines_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    // Both write a file of the same stream, the same commits and the same length.
    for (name, log) in [("one", "testlog00001"), ("two", "testlog00002")] {
        let writing = Writing { destination: name.into(), ..writing(WriteMode::Append) };
        let mut archive = made(&config(DestinationFormat::Jsonl), folder.path(), writing);
        let log = LogId::new(log);
        archive.open(&log).await.unwrap();
        let [begin, end] = [0, 1].map(|sequence| Position { log: log.clone(), ..position(sequence) });
        let deliveries = stream::iter([Ok(delivery(1, batch("s", 1)))]);
        archive.apply(&mut Unit::new(begin, end, deliveries)).await.unwrap();
        expected.extend((0..3).map(|ordinal| format!("{log}-000000000001-{ordinal:09}")));
    }
    assert_eq!(positions(folder.path()), expected);
}

#[tokio::test]
async fn files_of_a_stream_that_was_held_are_named_by_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Jsonl).await;
    archive.apply(&mut unit(0, 1, vec![batch("a", 1), batch("b", 1)])).await.unwrap();
    let hold = Hold::new(1, &Error::data("a value does not fit"));
    let held = Standing { held: [(StreamName::new("b"), hold)].into(), ..standing(3) };
    let others = stream::iter([Ok(delivery(3, batch("a", 4)))]);
    archive.apply(&mut Unit::new(standing(1), held.clone(), others)).await.unwrap();
    let missed = stream::iter([Ok(delivery(2, batch("b", 4)))]);
    archive.apply(&mut Unit::new(held, standing(3), missed)).await.unwrap();
    let names: Vec<_> = visible(folder.path()).into_keys().collect();
    let expected = ["a", "b"].map(|stream| {
        ["000000000001-000000000001", "000000000002-000000000003"]
            .map(|commits| format!("{stream}/{commits}-archive-0000.jsonl"))
    });
    assert_eq!(names, expected.concat());
}

#[tokio::test]
async fn letters_that_are_tried_again_at_one_place_have_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Jsonl).await;
    archive.apply(&mut unit(0, 1, vec![batch("a", 1)])).await.unwrap();
    for _ in 0..2 {
        archive.apply(&mut unit(1, 1, vec![batch("a", 1)]).as_retry()).await.unwrap();
    }
    assert_eq!(visible(folder.path()).len(), 3);
}

#[tokio::test]
async fn a_file_that_is_in_the_way_is_never_taken_for_ours() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Jsonl).await;
    archive.apply(&mut unit(0, 1, vec![batch("s", 1)])).await.unwrap();
    let (name, ours) = visible(folder.path()).pop_first().unwrap();
    let path = folder.path().join("archive").join(&name);
    let foreign = ours.to_ascii_uppercase();
    assert_eq!(foreign.len(), ours.len());

    // It was there before the commit: nothing moves.
    let taken = path.with_file_name(name[2..].replace("0001-", "0002-"));
    fs::write(&taken, &foreign).unwrap();
    let error = archive.apply(&mut unit(1, 2, vec![batch("s", 1)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&*taken.to_string_lossy()), "{error}");
    assert!(error.hint_text().unwrap().contains("another `path` or `table`"));
    assert_eq!(archive.open(&log()).await.unwrap(), Some(standing(1)));
    assert_eq!(fs::read(&taken).unwrap(), foreign);

    // It came between a commit and a crash: the committed file stays in the working folder.
    let working = folder.path().join("archive/.tidemark/archive/tmp");
    fs::write(working.join("1-2-0"), &ours).unwrap();
    fs::write(&path, &foreign).unwrap();
    let working_manifest = working.with_file_name("manifest");
    let entry = super::manifest::Manifest::open(working_manifest, working.clone()).unwrap().read(2).unwrap();
    let error = super::visible::reveal(&folder.path().join("archive"), &working, &entry.files).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(fs::read(working.join("1-2-0")).unwrap(), ours);
    fs::write(&path, &ours).unwrap();
    super::visible::reveal(&folder.path().join("archive"), &working, &entry.files).unwrap();
    assert!(!working.join("1-2-0").exists());
}

#[tokio::test]
async fn a_predecessor_that_cleans_up_late_removes_nothing_of_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let working = root.join(".tidemark/archive/tmp");
    let mut first =
        super::manifest::Manifest::open(working.with_file_name("manifest"), working.clone()).unwrap();
    first.take_over().unwrap();
    fs::write(working.join("1-1-0"), "").unwrap();
    let mut second = open(folder.path(), DestinationFormat::Jsonl).await;
    fs::write(working.join("2-2-0"), "").unwrap();
    super::folder::complete(&root, &working, &first).unwrap();
    assert_eq!(super::disk::names(&working).unwrap(), ["2-2-0"]);
    second.apply(&mut unit(0, 1, vec![batch("s", 1)])).await.unwrap();
}

#[test]
fn an_entry_that_a_successor_cleans_up_is_one_that_lost() {
    let folder = tempfile::tempdir().unwrap();
    let working = folder.path().join("tmp");
    let mut manifest =
        super::manifest::Manifest::open(folder.path().join("manifest"), working.clone()).unwrap();
    let remover = std::thread::spawn(move || {
        let mut removed = 0;
        while removed < 50 {
            for name in super::disk::names(&working).unwrap() {
                removed += usize::from(fs::remove_file(working.join(name)).is_ok());
            }
        }
    });
    while !remover.is_finished() {
        manifest.take_over().unwrap();
    }
    manifest.commit(standing(1), vec![]).unwrap();
}

#[tokio::test]
async fn a_damaged_manifest_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Jsonl).await;
    archive.apply(&mut unit(0, 1, vec![batch("a", 1)])).await.unwrap();
    let entry = folder.path().join("archive/.tidemark/archive/manifest/00000000/000000000002");
    let content = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, content.replace("\"rows\":3", "\"rows\":4")).unwrap();
    assert_eq!(archive.open(&log()).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn files_roll_at_their_size_and_schema() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(DestinationFormat::Jsonl);
    config.file_size = ByteSize(400);
    let mut archive = made(&config, folder.path(), writing(WriteMode::Append));
    archive.open(&log()).await.unwrap();
    let fields = vec![Field::new("id", Kind::Int64)];
    let other = StreamSchema::new(StreamName::new("s"), fields, vec![]).unwrap();
    let ids = Arc::new(Int64Array::from(vec![1]));
    let other = ChangeBatch::uniform(other, Op::Create, vec![ids]).unwrap();
    let other = other.with_ordinals(UInt64Array::from(vec![9]));
    archive.apply(&mut unit(0, 1, vec![batch("s", 1), batch("s", 2), other, batch("s", 3)])).await.unwrap();
    let names = visible(folder.path()).into_keys().map(|name| name[35..].to_owned()).collect::<Vec<_>>();
    assert_eq!(
        names,
        ["0000.jsonl", "0001.jsonl", "0002.jsonl", "0003.jsonl"].map(|name| format!("-{name}"))
    );
}

#[tokio::test]
async fn problems_are_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(DestinationFormat::Parquet);
    assert!(config.validate(&writing(WriteMode::Append)).is_empty());
    let problems = config.validate(&writing(WriteMode::Mirror));
    assert_eq!(problems[0].path, ["write"]);
    assert!(
        Destination::check(&config, folder.path(), &writing(WriteMode::Append), &Environment::default())
            .await
            .is_empty()
    );
    assert!(super::disk::names(folder.path()).unwrap().is_empty());
    fs::write(folder.path().join("archive"), "").unwrap();
    let errors =
        Destination::check(&config, folder.path(), &writing(WriteMode::Append), &Environment::default())
            .await;
    assert_eq!(errors[0].kind(), ErrorKind::Config);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Units with any streams, some applied by a process that a successor has replaced, some again after they were.
    #[test]
    fn every_change_is_visible_exactly_once(
        steps in prop::collection::vec((prop::collection::vec(0usize..3, 0..5), 0u8..3), 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut archive = open(folder.path(), DestinationFormat::Jsonl).await;
            let mut expected = Vec::new();
            for ((streams, event), at) in steps.iter().zip(0u64..) {
                let batches = streams.iter().zip(0u64..).map(|(stream, index)| {
                    let ordinals = UInt64Array::from_iter_values(index * 3..index * 3 + 3);
                    batch(["a", "b", "c"][*stream], 1).with_ordinals(ordinals)
                });
                let batches = batches.collect::<Vec<_>>();
                if *event == 1 {
                    let mut zombie = archive;
                    archive = open(folder.path(), DestinationFormat::Jsonl).await;
                    zombie.apply(&mut unit(at, at + 1, batches.clone())).await.unwrap_err();
                }
                archive.apply(&mut unit(at, at + 1, batches.clone())).await.unwrap();
                if *event == 2 {
                    archive.apply(&mut unit(at, at + 1, batches.clone())).await.unwrap_err();
                    assert_eq!(archive.open(&log()).await.unwrap(), Some(standing(at + 1)));
                }
                let count = streams.len() as u64 * 3;
                expected.extend((0..count).map(|ordinal| format!("{}-{:012}-{ordinal:09}", log(), at + 1)));
                let mut found = positions(folder.path());
                found.sort();
                assert_eq!(found, expected);
            }
        });
    }
}
