//! What is taken, what is refused, and what senders are told.

use std::{thread, time::Duration};

use tidemark_test_servers::Sender;

use super::{header, listening, orders, pipeline};
use crate::{process::pause, workbench::Workbench};

#[test]
fn what_is_signed_arrives_once_and_nothing_else_does() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&pipeline(&sender, ""));
    let mut running = listening(&bench);
    for n in 1..=3 {
        assert_eq!(
            sender.send("/orders", &format!("msg_{n}"), &format!("{{\"n\": {n}}}")).unwrap().status,
            200
        );
    }
    assert_eq!(sender.send("/orders", "msg_2", "{\"n\": 2}").unwrap().status, 200, "it has been taken");
    assert_eq!(sender.send("/orders", "msg_4", "[{\"n\": 4}, {\"n\": 5}]").unwrap().status, 200);

    let body = b"{\"n\": 6, \"word\": \"hunter2\"}";
    let post = |headers: &[(&str, String)]| sender.post("/orders", headers, body).unwrap();
    let mut forged = sender.signed("msg_6", Sender::now(), body);
    forged[1].1 = "msg_7".to_owned();
    let refused = post(&forged);
    assert_eq!((refused.status, header(&refused, "www-authenticate").as_deref()), (401, Some("Webhook")));
    assert!(refused.bytes.ends_with(b"not verified\n"), "it does not say why");
    assert_eq!(post(&sender.signed("msg_6", Sender::now() - 301, body)).status, 401, "replayed");
    assert_eq!(post(&sender.signed("msg_6", Sender::now() + 302, body)).status, 401, "from the future");
    assert_eq!(post(&[]).status, 401);

    assert_eq!(sender.get("/orders").unwrap().status, 405);
    assert_eq!(header(&sender.get("/orders").unwrap(), "allow").as_deref(), Some("POST"));
    assert_eq!(sender.send("/order", "msg_6", "{}").unwrap().status, 404);
    let mut text = sender.signed("msg_6", Sender::now(), body);
    text[0].1 = "text/html".to_owned();
    assert_eq!(post(&text).status, 415);
    let mut packed = sender.signed("msg_6", Sender::now(), body);
    packed.push(("content-encoding", "gzip".to_owned()));
    assert_eq!(post(&packed).status, 415);
    for garbage in ["", "{\"n\": 6", "hunter2", "{\"n\": \"hunter2\"}", "{\"n\": 6, \"n\": 7}", "6"] {
        assert_eq!(sender.send("/orders", "msg_6", garbage).unwrap().status, 400, "{garbage}");
    }
    let declared = sender.begin("/orders", &[], (1 << 20) + 1).unwrap().answer().unwrap();
    assert_eq!(declared.status, 413);
    assert_eq!(sender.send("/orders", "msg_6", "{\"n\": 6}").unwrap().status, 200, "now it can be read");

    running.until("all has arrived", || orders(&bench) == [1, 2, 3, 4, 5, 6]);
    let said = running.terminate().succeeds().stderr;
    assert!(said.contains("a message was refused") && said.contains("did not verify"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("whsec_"), "{said}");
}

#[test]
fn a_body_that_does_not_say_how_long_it_is_is_cut_off_where_it_is_too_long() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&pipeline(&sender, "  max_body: 8KiB"));
    let running = listening(&bench);
    assert_eq!(sender.post_in_chunks("/orders", &[b' '; 8 << 10]).unwrap().status, 401, "read whole");
    assert_eq!(sender.post_in_chunks("/orders", &[b' '; (8 << 10) + 1]).unwrap().status, 413);
    running.terminate().succeeds();
}

#[test]
fn of_many_that_send_one_message_at_once_all_are_told_and_one_row_arrives() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&pipeline(&sender, ""));
    let mut running = listening(&bench);
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || {
                (0..20)
                    .map(|n| {
                        sender.send("/orders", &format!("m{n}"), &format!("{{\"n\": {n}}}")).unwrap().status
                    })
                    .max()
            })
        })
        .collect();
    assert!(senders.into_iter().all(|sender| sender.join().unwrap() == Some(200)));
    running.until("all has arrived", || orders(&bench).len() >= 20);
    running.terminate().succeeds();
    assert_eq!(orders(&bench), (0..20).collect::<Vec<_>>());
}

#[test]
fn beyond_what_may_wait_requests_are_sent_away() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&pipeline(&sender, "  max_waiting: 1"));
    let mut running = listening(&bench);
    let body = "{\"n\": 1}";
    let mut slow =
        sender.begin("/orders", &sender.signed("m1", Sender::now(), body.as_bytes()), body.len()).unwrap();
    slow.say(&body.as_bytes()[..3]).unwrap();
    // Had another one come first, the slow one would be the one that is sent away.
    pause(Duration::from_millis(500));
    let mut told = None;
    running.until("the slow one is inside", || {
        let answer = sender.send("/orders", "m2", "{\"n\": 2}").unwrap();
        told = header(&answer, "retry-after");
        answer.status == 429
    });
    assert_eq!(told.as_deref(), Some("1"));
    slow.say(&body.as_bytes()[3..]).unwrap();
    assert_eq!(slow.answer().unwrap().status, 200);
    sender.insist("/orders", "m2", "{\"n\": 2}");
    running.until("both have arrived", || orders(&bench) == [1, 2]);
    running.terminate().succeeds();
}

#[test]
fn what_is_inside_when_it_is_told_to_stop_is_answered() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&pipeline(&sender, ""));
    let running = listening(&bench);
    let body = "{\"n\": 1}";
    let mut slow =
        sender.begin("/orders", &sender.signed("m1", Sender::now(), body.as_bytes()), body.len()).unwrap();
    slow.say(&body.as_bytes()[..3]).unwrap();
    // A whole answer says that what was sent before is inside.
    assert_eq!(sender.send("/orders", "m2", "{\"n\": 2}").unwrap().status, 200);
    running.ask_to_stop();
    slow.say(&body.as_bytes()[3..]).unwrap();
    assert_eq!(slow.answer().unwrap().status, 200);
    running.ends().succeeds();
    assert!(sender.send("/orders", "m3", "{}").is_err(), "nobody listens");
    let mut running = listening(&bench);
    running.until("both have arrived", || orders(&bench) == [1, 2]);
    running.terminate().succeeds();
}

#[test]
fn what_cannot_be_done_is_said_at_the_start() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&pipeline(&sender, ""));
    let once = bench.tidemark("run pipeline.yaml --once");
    assert!(once.code() != 0 && once.stderr.contains("without `--once`"), "{}", once.stderr);
    let taken = std::net::TcpListener::bind(sender.address()).unwrap();
    let ended = bench.tidemark("run pipeline.yaml");
    let address = sender.address();
    assert!(ended.code() != 0, "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("`{address}` cannot be listened at")), "{}", ended.stderr);
    let checked = bench.tidemark("check pipeline.yaml").succeeds();
    assert!(format!("{}{}", checked.stdout, checked.stderr).contains(&address), "{}", checked.stderr);
    drop(taken);
    bench.tidemark("check pipeline.yaml").succeeds();
}
