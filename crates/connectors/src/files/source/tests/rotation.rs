//! Files that are renamed, rewritten, or have an end that is not whole.

use super::*;

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

/// Somebody asks for a stream: what its files hold now is a generation, which takes the place of what was read before. The other
/// stream goes on as it was.
#[tokio::test]
async fn a_stream_that_is_asked_for_is_read_anew() {
    let mut fixture = Fixture::new(r#"{"a": {"key": ["n"], "on_rewrite": "stop"}, "b": {}}"#).await;
    fixture.write("a.csv", "n\n1\n2\n");
    fixture.write("b.csv", "n\n1\n");
    assert_eq!(fixture.read().await.len(), 3);
    // A rewrite stops the run; read anew, it is the stream as it is now.
    fixture.write("a.csv", "n\n2\n3\n");
    assert_eq!(fixture.fail().await.0, ErrorKind::Conflict);
    for (generation, expected) in
        [(2, vec!["t", "r n=2", "r n=3"]), (3, vec!["t", "r n=2", "r n=3", "r n=4"])]
    {
        let asked = Some(&[StreamName::new("a")][..]);
        let read = fixture.bench.catch_up_asked(&mut fixture.source().strategy(), asked).await.unwrap();
        assert_eq!(lines(&read), expected);
        assert!(read.iter().all(|delivery| delivery.phase == tidemark_engine::read::Phase::InitialSync));
        assert!(fixture.bench.log().syncing().is_empty(), "the generation is complete");
        let played = lines(&fixture.bench.played().await.unwrap());
        assert_eq!(
            played.len(),
            if generation == 2 { 3 } else { 5 },
            "what destinations have goes on: {played:?}"
        );
        if generation == 2 {
            fixture.append("a.csv", "4\n");
            fixture.append("b.csv", "2\n");
            let mut changes = fixture.read().await;
            changes.sort();
            assert_eq!(changes, ["c n=2", "c n=4"]);
        }
    }
}
