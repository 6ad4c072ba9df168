//! Streams that only go forward: a server that tells for as long as it likes, breaks off, and goes on where it is asked to.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::rows;
use crate::{process::pause, workbench::Workbench};

/// Tells of flights, one after another.
struct Teller {
    port: u16,
    /// How many flights there have been.
    told: Arc<AtomicUsize>,
    asked: Arc<std::sync::Mutex<Vec<String>>>,
}

/// How flights are told.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Lines,
    Events,
}

impl Teller {
    /// One that breaks off after `patience` flights, in the middle of the next.
    fn start(form: Form, patience: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let (count, heard) = (told.clone(), asked.clone());
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (count, heard) = (count.clone(), heard.clone());
                // Whoever hangs up is not told any more.
                thread::spawn(move || tell(stream, form, patience, &count, &heard).ok());
            }
        });
        Self { port, told, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// The address of one that answers whoever comes.
pub(super) fn teller_url() -> String {
    Teller::start(Form::Lines, 1).url()
}

fn tell(
    mut stream: TcpStream,
    form: Form,
    patience: usize,
    count: &AtomicUsize,
    heard: &std::sync::Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let headers = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect::<Vec<_>>();
    let of_query = request.split_once("since=").map(|(_, rest)| rest);
    let of_header = headers.iter().find_map(|header| header.strip_prefix("last-event-id: "));
    let from =
        of_query.or(of_header).map(|text| text.chars().take_while(char::is_ascii_digit).collect::<String>());
    let from: usize = from.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    heard.lock().unwrap().push(format!("{from}"));
    let kind = if form == Form::Lines { "application/x-ndjson" } else { "text/event-stream" };
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n")?;
    for told in 0.. {
        let id = from + told + 1;
        while count.load(Ordering::SeqCst) < id {
            pause(Duration::from_millis(5));
            // Something has to be said, or nobody notices that the other side is gone.
            stream.write_all(if form == Form::Lines { b"\n" } else { b": waiting\n" })?;
        }
        let record = format!("{{\"id\": {id}, \"flight\": \"UA {id}\", \"distance\": {}.5}}", id * 7);
        if told == patience {
            stream.write_all(&record.as_bytes()[..record.len() / 2])?;
            return Ok(());
        }
        match form {
            Form::Lines => writeln!(stream, "{record}")?,
            Form::Events => write!(stream, "id: {id}\ndata: {record}\n\n")?,
        }
    }
    Ok(())
}

fn flights(database: &Path) -> Vec<String> {
    rows(database, "SELECT id, flight, distance FROM flights ORDER BY id")
}

fn expected(count: usize) -> Vec<String> {
    (1..=count).map(|id| format!("{id} | UA {id} | {}.5", id * 7)).collect()
}

#[test]
fn the_example_follows_flights_through_breaks_and_kills() {
    let teller = Teller::start(Form::Lines, 40);
    let example =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/http/flights.yaml"));
    let example = example.unwrap().replace("  streams:", "  allow_hosts: [127.0.0.1]\n  streams:");
    let bench = Workbench::with_pipeline(&example).in_environment(&[("FLIGHTS_URL", teller.url())]);
    let database = bench.path("out/flights.db");
    for round in 1..=4 {
        teller.told.store(round * 100, Ordering::SeqCst);
        let mut running = bench.start("run pipeline.yaml");
        running.until("some more flights are there", || flights(&database).len() > round * 100 - 60);
        running.kill().was_killed();
    }
    let mut running = bench.start("run pipeline.yaml");
    running.until("all flights are there", || flights(&database).len() == 400);
    running.terminate().succeeds();
    assert_eq!(flights(&database), expected(400));
    assert!(teller.asked.lock().unwrap().len() >= 400 / 40, "it breaks off now and then");
    let changes = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    assert_eq!(changes.lines().count(), 400, "each is staged once");
}

#[test]
fn events_go_on_behind_the_last_one_that_came() {
    let teller = Teller::start(Form::Events, 30);
    let pipeline = super::pipeline(
        &teller.url(),
        "",
        "    flights: {path: /flights, changes: stream-only, format: sse, key: [id]}",
    );
    let bench = Workbench::with_pipeline(&pipeline);
    teller.told.store(100, Ordering::SeqCst);
    let mut running = bench.start("run pipeline.yaml");
    running.until("all flights are there", || flights(&bench.path("copy.db")).len() == 100);
    running.terminate().succeeds();
    assert_eq!(flights(&bench.path("copy.db")), expected(100));
    teller.told.store(120, Ordering::SeqCst);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(flights(&bench.path("copy.db")), expected(120));
}

#[test]
fn what_may_be_missing_is_said() {
    let teller = Teller::start(Form::Lines, 10);
    let streams = "    flights: {path: /flights, changes: stream-only, format: jsonl}";
    let pipeline = super::pipeline(&teller.url(), "", streams).replace("mirror", "append");
    let bench = Workbench::with_pipeline(&pipeline);
    teller.told.store(10, Ordering::SeqCst);
    let mut running = bench.start("run pipeline.yaml");
    running.until("the flights are there", || flights(&bench.path("copy.db")).len() >= 10);
    teller.told.store(11, Ordering::SeqCst);
    running.until_it_says("is missing");
    running.terminate().succeeds();
}
