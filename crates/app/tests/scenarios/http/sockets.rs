//! WebSockets: a double of a server of flights, over tungstenite's server side, that breaks off in every way there is.

use std::{
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio_tungstenite::tungstenite::{
    self, Bytes, Message, WebSocket,
    handshake::server::{ErrorResponse, Request, Response},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{pipeline, rows};
use crate::{process::pause, workbench::Workbench};

/// Tells of flights, one message each, to whoever has subscribed.
struct Tower {
    port: u16,
    /// How many flights there have been.
    told: Arc<AtomicUsize>,
    /// What was asked for, and what was said first, by each who came.
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Tower {
    /// One that breaks off after `patience` flights: without a word, with a word, or in the middle of a frame.
    fn start(patience: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, ears) = (told.clone(), heard.clone());
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (count, ears) = (count.clone(), ears.clone());
                // Whoever hangs up is not told any more.
                thread::spawn(move || tell(stream, patience, &count, &ears).ok());
            }
        });
        Self { port, told, heard }
    }

    fn bench(&self, stream: &str) -> Workbench {
        let flights =
            format!("    flights: {{path: /flights, changes: stream-only, format: websocket, {stream}}}");
        Workbench::with_pipeline(&pipeline(&format!("ws://127.0.0.1:{}", self.port), "", &flights))
    }
}

#[expect(clippy::result_large_err, reason = "as the library calls it")]
fn tell(
    stream: TcpStream,
    patience: usize,
    count: &AtomicUsize,
    heard: &Mutex<Vec<(String, String)>>,
) -> tungstenite::Result<()> {
    let mut asked = String::new();
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        asked = request.uri().to_string();
        Ok(response)
    };
    let raw = stream.try_clone()?;
    let Ok(mut socket) = tungstenite::accept_hdr(stream, look) else { return Ok(()) };
    let said = socket.read()?.into_text()?.to_string();
    let visitor = {
        let mut heard = heard.lock().unwrap();
        heard.push((asked.clone(), said.clone()));
        heard.len()
    };
    let after = |text: &str| {
        text.split_once("since=").or(text.split_once("\"since\":")).map(|(_, rest)| digits(rest))
    };
    let from = after(&asked).or(after(&said)).unwrap_or(0);
    socket.send(Message::text(r#"{"type": "subscribed"}"#))?;
    for told in 0.. {
        let id = from + told + 1;
        while count.load(Ordering::SeqCst) < id {
            pause(Duration::from_millis(5));
            is_there(&mut socket)?;
        }
        if told == patience {
            break;
        }
        let flight = |id| format!(r#"{{"id": {id}, "flight": "UA {id}", "distance": {}.5}}"#, id * 7);
        socket.send(Message::text(format!(r#"{{"type": "flight", "data": {}}}"#, flight(id))))?;
    }
    match visitor % 4 {
        0 => drop(socket),
        1 => close(socket, CloseCode::Away)?,
        2 => close(socket, CloseCode::Restart)?,
        // A frame of 100 bytes, of which 5 come.
        _ => std::io::Write::write_all(&mut &raw, b"\x81\x64{\"typ")?,
    }
    Ok(())
}

/// Fails when nobody listens any more: pings are answered by who does.
fn is_there(socket: &mut WebSocket<TcpStream>) -> tungstenite::Result<()> {
    socket.send(Message::Ping(Bytes::from_static(b"there?")))?;
    match socket.read()? {
        Message::Pong(answer) if answer == "there?".as_bytes() => Ok(()),
        Message::Close(_) => Err(tungstenite::Error::ConnectionClosed),
        other => panic!("a ping was answered with {other:?}"),
    }
}

fn close(mut socket: WebSocket<TcpStream>, code: CloseCode) -> tungstenite::Result<()> {
    socket.close(Some(CloseFrame { code, reason: "see you".into() }))?;
    while socket.read().is_ok() {}
    Ok(())
}

fn digits(text: &str) -> usize {
    let digits: String =
        text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn flights(bench: &Workbench) -> Vec<String> {
    rows(&bench.path("copy.db"), "SELECT id, flight, distance FROM flights ORDER BY id")
}

fn expected(count: usize) -> Vec<String> {
    (1..=count).map(|id| format!("{id} | UA {id} | {}.5", id * 7)).collect()
}

#[test]
fn messages_go_on_where_they_were_left_through_breaks_and_kills() {
    let tower = Tower::start(60);
    let bench = tower.bench(
        r#"key: [id], records: $.data, optional: true, resume: id,
               subscribe: ['{"op": "subscribe", "since": {{ cursor or 0 }}}']"#,
    );
    bench.tidemark("check pipeline.yaml").succeeds();
    for round in 1..=3 {
        tower.told.store(round * 100, Ordering::SeqCst);
        let mut running = bench.start("run pipeline.yaml");
        running.until("some more flights are there", || flights(&bench).len() > round * 100 - 60);
        running.kill().was_killed();
    }
    tower.told.store(330, Ordering::SeqCst);
    let mut running = bench.start("run pipeline.yaml");
    running.until("all flights are there", || flights(&bench).len() == 330);
    running.terminate().succeeds();
    assert_eq!(flights(&bench), expected(330));
    let changes = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    assert_eq!(changes.lines().count(), 330, "each is staged once");
    let heard = tower.heard.lock().unwrap();
    assert!(heard.len() >= 5, "it breaks off now and then: {heard:?}");
    assert!(
        heard.iter().all(|(asked, said)| asked == "/flights" && said.starts_with(r#"{"op""#)),
        "{heard:?}"
    );
}

#[test]
fn what_may_be_missing_is_said_and_what_is_no_record_is_told() {
    let tower = Tower::start(10);
    let bench = tower.bench("key: [id], records: $.data, optional: true, subscribe: [hello]");
    tower.told.store(10, Ordering::SeqCst);
    let mut running = bench.start("run pipeline.yaml");
    running.until("the flights are there", || flights(&bench).len() >= 10);
    tower.told.store(11, Ordering::SeqCst);
    running.until_it_says("is missing");
    running.terminate().succeeds();

    let bench = tower.bench("key: [id], records: $.data, subscribe: [hello]");
    let refused = bench.tidemark("run pipeline.yaml --once").exits_with(1);
    assert!(refused.stderr.contains("has no `data`"), "{}", refused.stderr);
}

#[test]
fn what_is_no_websocket_or_out_of_bounds_is_refused() {
    let bench = Tower::start(1).bench("key: [id], subscribe: [hello]");
    let closed = std::fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    bench.write("closed.yaml", &closed.replace("  allow_hosts: [127.0.0.1]\n", ""));
    let refused = bench.tidemark("check closed.yaml").exits_with(2);
    assert!(refused.stderr.contains("private network"), "{}", refused.stderr);
    bench.write(
        "named.yaml",
        &closed.replace("[127.0.0.1]", "[example.com]").replace("//127.0.0.1", "//localhost"),
    );
    let refused = bench.tidemark("check named.yaml").exits_with(2);
    assert!(refused.stderr.contains("`localhost` is at"), "{}", refused.stderr);
    let api = super::following::teller_url();
    bench.write(
        "http.yaml",
        &closed
            .replace("ws://", "")
            .lines()
            .map(|line| match line.trim_start().starts_with("url:") {
                true => format!("  url: {api}\n"),
                false => format!("{line}\n"),
            })
            .collect::<String>(),
    );
    let refused = bench.tidemark("check http.yaml").exits_with(2);
    assert!(refused.stderr.contains("not with a WebSocket"), "{}", refused.stderr);
}
