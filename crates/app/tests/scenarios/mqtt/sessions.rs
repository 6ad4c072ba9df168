//! Sessions: who may have one, and what is told when one is lost.

use std::time::Duration;

use tidemark_test_servers::Mosquitto;

use crate::{process::pause, rows::count_in_sqlite, workbench::Workbench};

fn pipeline(url: &str, more: &str) -> String {
    format!(
        "name: sessions
source:
  type: mqtt
  url: {url}
  streams: {{readings: {{topics: \"reading/{{device}}\"}}}}
{more}
staging: {{path: ./staging}}
destinations: {{copy: {{type: sqlite, path: ./copy.db, write: append}}}}
"
    )
}

#[test]
fn a_broker_with_tls_takes_who_has_the_password_and_nobody_else() {
    let broker = Mosquitto::start();
    let (user, password) = broker.user();
    let ca = broker.ca_certificate();
    let login =
        |password: &str| format!("  ca: {}\n  username: {user}\n  password: \"{password}\"", ca.display());
    let bench = Workbench::with_pipeline(&pipeline(&broker.secure_url(), &login(password)));
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    broker.publish("reading/1", b"{\"v\": 1}", &[]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("copy.db"), "readings"), 1);

    bench.write("pipeline.yaml", &pipeline(&broker.secure_url(), &login("guessed")));
    for (command, code) in [("check pipeline.yaml", 2), ("run pipeline.yaml", 1)] {
        let outcome = bench.tidemark(command).exits_with(code);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("refuses the login") && !said.contains("guessed"), "{said}");
    }
    bench.write(
        "pipeline.yaml",
        &pipeline(&broker.secure_url(), &format!("  username: {user}\n  password: x")),
    );
    let outcome = bench.tidemark("check pipeline.yaml");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("is not to be trusted"), "{said}");
}

#[test]
fn a_session_that_the_broker_has_lost_is_told_and_begins_anew() {
    let mut broker = Mosquitto::start();
    let bench = Workbench::with_pipeline(&pipeline(&broker.url(), ""));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    broker.publish("reading/1", b"{\"v\": 1}", &[]);
    broker.stop();
    broker.forget();
    broker.start_again();
    let outcome = bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(outcome.stderr.contains("has lost the session"), "{}", outcome.stderr);
    broker.publish("reading/2", b"{\"v\": 2}", &[]);
    let outcome = bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(!outcome.stderr.contains("has lost the session"), "{}", outcome.stderr);
    assert_eq!(count_in_sqlite(&bench.path("copy.db"), "readings"), 1);
}

/// A broker says so in version 5, if it does; Mosquitto 2.0 never does.
#[test]
fn of_two_with_one_name_one_stops() {
    let broker = Mosquitto::start();
    let pipeline = pipeline(&broker.url(), "  client_id: shared");
    let both = [Workbench::with_pipeline(&pipeline), Workbench::with_pipeline(&pipeline)];
    let [mut first, mut second] = both.each_ref().map(|bench| Some(bench.start("run pipeline.yaml")));
    let outcome = loop {
        if let Some(ended) =
            [&mut first, &mut second].into_iter().find_map(|one| one.take_if(|running| !running.runs()))
        {
            break ended.ends().exits_with(3);
        }
        pause(Duration::from_millis(10));
    };
    assert!(outcome.stderr.contains("somebody else"), "{}", outcome.stderr);
}

#[test]
fn a_check_leaves_the_session_alone() {
    let broker = Mosquitto::start();
    let bench = Workbench::with_pipeline(&pipeline(&broker.url(), ""));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    broker.publish("reading/1", b"{\"v\": 1}", &["--retain"]);
    bench.tidemark("check pipeline.yaml").succeeds();
    let outcome = bench.tidemark("discover pipeline.yaml --sample").succeeds();
    assert!(outcome.stdout.contains("readings"), "{}", outcome.stdout);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("copy.db"), "readings"), 1);
}
