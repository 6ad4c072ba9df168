//! What has a source read: people, the calendar, requests over HTTP.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

use crate::{process::Running, rows::count_in_sqlite, workbench::Workbench};

fn bench(trigger: &str) -> Workbench {
    let bench = Workbench::with_pipeline(&format!(
        "
name: triggered
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}}}}}
trigger: {trigger}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
"
    ));
    bench.write("data/orders.csv", "id,amount\n1,10\n");
    bench
}

fn orders(bench: &Workbench) -> usize {
    count_in_sqlite(&bench.path("copy.db"), "orders")
}

fn status(bench: &Workbench) -> serde_json::Value {
    serde_json::from_str(&bench.tidemark("status pipeline.yaml --json").succeeds().stdout).unwrap()
}

/// Waits until it is ready to be asked.
fn until_it_runs(bench: &Workbench, running: &mut Running) {
    running.until("it runs", || {
        let status = bench.tidemark("status pipeline.yaml --json");
        status.code() == 0 && !status.stdout.contains(r#""running": null"#)
    });
}

#[test]
fn on_demand_it_is_read_when_somebody_asks_and_only_then() {
    let bench = bench("demand");
    let mut running = bench.start("run pipeline.yaml");
    until_it_runs(&bench, &mut running);
    let shown = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(shown.contains("the source is read when asked"), "{shown}");
    assert_eq!(status(&bench)["log"]["commit"], 0, "nobody has asked");

    let said = bench.tidemark("trigger --wait pipeline.yaml").succeeds();
    assert!(said.stdout.contains("the source has been read"), "{}", said.stdout);
    assert_ne!(status(&bench)["log"]["commit"], 0);
    running.until("the order has arrived", || orders(&bench) == 1);

    bench.append("data/orders.csv", "2,20\n");
    let said = bench.tidemark("trigger pipeline.yaml").succeeds();
    assert!(said.stdout.contains("the source is read now, by process "), "{}", said.stdout);
    running.until("the second has arrived", || orders(&bench) == 2);
    running.until("the request is forgotten", || status(&bench)["reading"]["asked"] == false);
    running.terminate().succeeds();
}

#[test]
fn what_is_asked_while_nobody_runs_it_is_what_the_next_run_does_first() {
    let bench = bench("demand");
    bench.tidemark("run --once pipeline.yaml").succeeds();
    assert_eq!(orders(&bench), 1, "once, it needs nobody to ask");

    bench.append("data/orders.csv", "2,20\n");
    let refused = bench.tidemark("trigger --wait pipeline.yaml").exits_with(1);
    assert!(refused.stderr.contains("nobody runs `triggered`"), "{}", refused.stderr);
    assert_eq!(status(&bench)["reading"]["asked"], false, "what is refused is not asked");
    let said = bench.tidemark("trigger pipeline.yaml").succeeds();
    assert!(said.stdout.contains("nobody runs the pipeline"), "{}", said.stdout);
    let shown = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(shown.contains("somebody has asked for it now"), "{shown}");

    let mut running = bench.start("run pipeline.yaml");
    running.until("the second has arrived", || orders(&bench) == 2);
    running.terminate().succeeds();
    assert_eq!(status(&bench)["reading"]["asked"], false);
}

#[test]
fn a_process_that_dies_while_it_reads_leaves_the_request_to_the_next() {
    let bench = bench("demand");
    let mut running = bench.start("run pipeline.yaml");
    until_it_runs(&bench, &mut running);
    bench.tidemark("trigger --wait pipeline.yaml").succeeds();
    running.suspend();
    bench.append("data/orders.csv", "2,20\n");
    bench.tidemark("trigger pipeline.yaml").succeeds();
    running.kill().was_killed();
    assert_eq!(status(&bench)["reading"]["asked"], true);
    bench.tidemark("run --once pipeline.yaml").succeeds();
    assert_eq!((orders(&bench), &status(&bench)["reading"]["asked"]), (2, &false.into()));
}

#[test]
fn a_pipeline_that_reads_always_may_be_asked_too() {
    let bench = bench("always");
    let mut running = bench.start("run pipeline.yaml");
    running.until("the order has arrived", || orders(&bench) == 1);
    bench.tidemark("trigger pipeline.yaml").succeeds();
    running.until("the request is forgotten", || status(&bench)["reading"]["asked"] == false);
    let refused = bench.tidemark("trigger --wait pipeline.yaml").exits_with(2);
    assert!(refused.stderr.contains("reads always"), "{}", refused.stderr);
    running.terminate().succeeds();
}

#[test]
fn a_calendar_brings_one_reading_after_the_other() {
    let bench = bench(r#"{cron: "* * * * * *", timezone: Europe/Berlin}"#);
    let mut running = bench.start("run pipeline.yaml");
    running.until("the first order has arrived", || orders(&bench) == 1);
    bench.append("data/orders.csv", "2,20\n");
    running.until("the second order has arrived", || orders(&bench) == 2);
    let shown = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(shown.contains("the source is read at `* * * * * *` (Europe/Berlin); next at 2"), "{shown}");
    assert!(status(&bench)["reading"]["next"].is_string());
    running.terminate().succeeds();
    assert!(status(&bench)["reading"]["next"].is_null(), "nobody would keep it");
}

/// A port that is free now.
fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Sends a request and returns the answer's status.
fn ask(address: SocketAddr, line: &str, header: &str) -> u16 {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_request_over_http_with_the_secret_has_it_read() {
    let address = free();
    let bench = bench(&format!(
        "{{webhook: {{listen: \"{address}\", path: /read/orders, secret: \"${{SECRET}}\"}}}}"
    ));
    let bench = bench.in_environment(&[("SECRET", "open sesame".to_owned())]);
    let mut running = bench.start("run pipeline.yaml");
    running.until_it_says("listening for requests to read");
    let line = "POST /read/orders";
    for header in ["", "Authorization: Bearer open\r\n", "Authorization: Basic open sesame\r\n"] {
        assert_eq!(ask(address, line, header), 401, "{header}");
    }
    let right = "Authorization: bearer open sesame\r\n";
    assert_eq!(ask(address, "GET /read/orders", right), 405);
    assert_eq!(ask(address, "POST /trigger", right), 404);
    assert_eq!(status(&bench)["log"]["commit"], 0, "nobody who may has asked");

    assert_eq!(ask(address, line, right), 202);
    running.until("the order has arrived", || orders(&bench) == 1);
    bench.append("data/orders.csv", "2,20\n");
    (0..20).for_each(|_| assert_eq!(ask(address, line, right), 202));
    running.until("the second has arrived", || orders(&bench) == 2);
    let shown = bench.tidemark("status pipeline.yaml").succeeds().stdout;
    assert!(
        shown.contains(&format!("the source is read on POST to http://{address}/read/orders")),
        "{shown}"
    );
    let ended = running.terminate().succeeds();
    assert!(!ended.stderr.contains("sesame"), "{}", ended.stderr);
}

#[test]
fn a_port_that_is_taken_is_said_and_other_occasions_stand_beside_it() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let bench = bench(&format!("{{every: 1h, webhook: {{listen: \"{address}\"}}}}"));
    let ended = bench.tidemark("run pipeline.yaml").exits_with(2);
    assert!(ended.stderr.contains(&format!("cannot listen at `{address}`")), "{}", ended.stderr);
    drop(taken);
    let mut running = bench.start("run pipeline.yaml");
    running.until("the period begins at once", || orders(&bench) == 1);
    bench.append("data/orders.csv", "2,20\n");
    assert_eq!(ask(address, "POST /trigger", ""), 202);
    running.until("the second has arrived", || orders(&bench) == 2);
    running.terminate().succeeds();
}
