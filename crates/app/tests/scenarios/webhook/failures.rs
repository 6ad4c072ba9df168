//! Nothing is answered 2xx that is lost, and nothing arrives twice, whoever dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tidemark_test_servers::Sender;

use super::{header, listening, orders, pipeline};
use crate::{disk::Disk, workbench::Workbench};

/// So many that ids are set aside, beside the log.
const MESSAGES: usize = 1_500;
const SENDERS: usize = 8;

#[test]
fn killed_again_and_again_each_message_arrives_exactly_once() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&pipeline(&sender, ""));
    let mut running = listening(&bench);
    let sent = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|first| {
            let (sender, sent) = (sender.clone(), sent.clone());
            thread::spawn(move || {
                for n in (first..MESSAGES).step_by(SENDERS) {
                    sender.insist("/orders", &format!("msg_{n}"), &format!("{{\"n\": {n}}}"));
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for life in 1..=5 {
        running.until("some have been taken", || sent.load(Ordering::Relaxed) >= MESSAGES * life / 6);
        running.kill().was_killed();
        running = listening(&bench);
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    running.until("all has arrived", || orders(&bench).len() >= MESSAGES);
    // Whoever lost an answer asks again, long after.
    for n in 0..20 {
        sender.insist("/orders", &format!("msg_{n}"), &format!("{{\"n\": {n}}}"));
    }
    sender.insist("/orders", "last", &format!("{{\"n\": {MESSAGES}}}"));
    running.until("the last has arrived", || orders(&bench).last() == Some(&(MESSAGES as i64)));
    running.terminate().succeeds();
    assert_eq!(orders(&bench), (0..=MESSAGES as i64).collect::<Vec<_>>());
}

#[test]
fn while_nothing_can_be_staged_senders_are_asked_to_come_again() {
    let sender = Sender::new();
    let disk = Disk::with_pipeline(&pipeline(&sender, "  answer_within: 1s"), "size=2m");
    let mut running = disk.start("run pipeline.yaml");
    running.until_it_says("listening for web hooks");
    assert_eq!(sender.send("/orders", "m1", "{\"n\": 1}").unwrap().status, 200);
    running.until("it has arrived", || orders(&disk.bench) == [1]);
    disk.fill(0);
    let answer = sender.send("/orders", "m2", "{\"n\": 2}").unwrap();
    assert_eq!((answer.status, header(&answer, "retry-after").as_deref()), (503, Some("10")));
    running.until_it_says("senders are asked to come again");
    assert_eq!(sender.send("/orders", "m3", "{\"n\": 3}").unwrap().status, 503);
    assert_eq!(orders(&disk.bench), [1]);
    disk.free();
    for n in 2..=3 {
        sender.insist("/orders", &format!("m{n}"), &format!("{{\"n\": {n}}}"));
    }
    running.until("all has arrived", || orders(&disk.bench).len() >= 3);
    running.terminate().succeeds();
    assert_eq!(orders(&disk.bench), [1, 2, 3], "what was answered 503 and staged later is there once");
}
