//! Runs that are interrupted, that go on, and what keeps them from starting.

use super::*;

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
