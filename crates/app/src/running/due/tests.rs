use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use futures::FutureExt;
use tidemark_engine::{
    Result,
    world::{Clock, Processors, Random},
};

use super::*;

/// A clock that shows what the test says. Who sleeps on it wakes at once, and it shows so much more.
struct Hands(Mutex<Hand>);

struct Hand {
    now: Time,
    /// By how much it is set during the sleeps to come, in seconds.
    set: Vec<i64>,
}

impl Hands {
    fn set(&self, seconds: &[i64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).set = seconds.to_vec();
    }

    fn moves(&self, micros: i64) {
        let mut hand = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hand.now = Time::from_micros(hand.now.as_micros() + micros);
    }
}

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> Time {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    async fn sleep(&self, duration: Duration) {
        let mut hand = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let set = if hand.set.is_empty() { 0 } else { hand.set.remove(0) };
        let slept = i64::try_from(duration.as_micros()).unwrap();
        hand.now = Time::from_micros(hand.now.as_micros() + slept + set * 1_000_000);
    }
}

impl Random for Hands {
    fn next(&self) -> u64 {
        0
    }
}

#[async_trait]
impl Processors for Hands {
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        work();
        Ok(())
    }
}

/// A clock at `now` and what is due by it.
fn due(now: &str, occasions: &Occasions) -> (Arc<Hands>, Due) {
    let hands = Arc::new(Hands(Mutex::new(Hand { now: Time::parse(now).unwrap(), set: Vec::new() })));
    let world = World::new(hands.clone(), hands.clone(), hands.clone());
    let due = Due::new(world, occasions);
    (hands, due)
}

fn every(seconds: u64) -> Occasions {
    Occasions { every: Some(Duration::from_secs(seconds)), ..Occasions::default() }
}

fn at(pattern: &str) -> Occasions {
    Occasions {
        schedule: Some(Schedule::parse(pattern, Tz::Europe__Berlin).unwrap()),
        ..Occasions::default()
    }
}

/// When the next reading begins.
fn comes(hands: &Hands, due: &mut Due) -> String {
    due.come().now_or_never().unwrap();
    due.begin();
    let time = hands.now().to_string();
    time.trim_end_matches('Z').trim_end_matches(".000000").to_owned()
}

const MINUTE: i64 = 60_000_000;

#[test]
fn a_period_runs_from_start_to_start_and_begins_at_once() {
    let (hands, mut due) = due("2026-11-23T12:00:00Z", &every(900));
    assert_eq!(comes(&hands, &mut due), "2026-11-23T12:00:00");
    hands.moves(5 * MINUTE);
    assert_eq!(comes(&hands, &mut due), "2026-11-23T12:15:00");
    hands.moves(50 * MINUTE);
    assert_eq!(comes(&hands, &mut due), "2026-11-23T13:05:00", "a long reading is followed by one");
    assert_eq!(comes(&hands, &mut due), "2026-11-23T13:20:00", "and not by those it was too long for");
}

#[test]
fn a_period_is_as_long_however_the_clock_is_set_back() {
    let (hands, mut due) = due("2026-11-23T12:00:00Z", &every(90));
    comes(&hands, &mut due);
    hands.set(&[-86_400]);
    // Thirty seconds pass, the clock goes back a day, sixty more pass.
    assert_eq!(comes(&hands, &mut due), "2026-11-22T12:01:30");
}

#[test]
fn a_machine_that_slept_reads_once() {
    for occasions in [every(900), at("*/15 * * * *")] {
        let (hands, mut due) = due("2026-11-23T12:00:00Z", &occasions);
        comes(&hands, &mut due);
        hands.set(&[0, 7 * 3_600]);
        let woken = comes(&hands, &mut due);
        assert!(woken.starts_with("2026-11-23T19:"), "{woken}");
        let next = comes(&hands, &mut due);
        assert!(next.as_str() > "2026-11-23T19:14", "{next}");
    }
}

#[test]
fn a_schedule_waits_for_its_next_time_and_makes_up_once_for_those_it_missed() {
    let (hands, mut due) = due("2026-11-23T12:10:00Z", &at("0 * * * *"));
    assert_eq!(comes(&hands, &mut due), "2026-11-23T13:00:00");
    hands.moves(150 * MINUTE);
    assert_eq!(comes(&hands, &mut due), "2026-11-23T15:30:00", "what it missed is one reading");
    assert_eq!(comes(&hands, &mut due), "2026-11-23T16:00:00");
}

#[test]
fn a_reading_for_another_reason_leaves_the_schedule_as_it_is() {
    let (hands, mut due) = due("2026-11-23T12:10:00Z", &at("0 * * * *"));
    due.begin();
    assert_eq!(comes(&hands, &mut due), "2026-11-23T13:00:00");
}

#[test]
fn a_clock_that_is_set_back_has_the_next_time_found_anew() {
    let (hands, mut due) = due("2027-11-23T12:10:00Z", &at("0 * * * *"));
    // A year too far, until somebody sees it.
    hands.set(&[-365 * 86_400]);
    assert_eq!(comes(&hands, &mut due), "2026-11-23T13:00:00");
}

#[test]
fn a_clock_that_is_corrected_by_a_moment_brings_no_time_twice() {
    let (hands, mut due) = due("2026-11-23T12:59:59Z", &at("0 * * * *"));
    due.come().now_or_never().unwrap();
    hands.moves(-5_000);
    due.begin();
    assert_eq!(comes(&hands, &mut due), "2026-11-23T14:00:00");
}

#[test]
fn the_night_without_an_hour_and_the_night_with_one_more_have_one_reading_each() {
    let (hands, mut due) = due("2026-03-28T12:00:00Z", &at("30 2 * * *"));
    assert_eq!(comes(&hands, &mut due), "2026-03-29T01:00:00");
    assert_eq!(comes(&hands, &mut due), "2026-03-30T00:30:00");
    let (hands, mut due) = self::due("2026-10-24T12:00:00Z", &at("30 2 * * *"));
    assert_eq!(comes(&hands, &mut due), "2026-10-25T00:30:00");
    assert_eq!(comes(&hands, &mut due), "2026-10-26T01:30:00");
}

#[test]
fn a_wait_that_is_given_up_is_gone_on_with() {
    let both = Occasions { every: Some(Duration::from_secs(3_600)), ..at("30 * * * *") };
    let (hands, mut due) = due("2026-11-23T12:00:00Z", &both);
    assert_eq!(comes(&hands, &mut due), "2026-11-23T12:00:00");
    drop(due.come());
    hands.moves(10 * MINUTE);
    drop(due.come());
    assert_eq!(comes(&hands, &mut due), "2026-11-23T12:30:00", "whichever comes first");
    assert_eq!(comes(&hands, &mut due), "2026-11-23T13:30:00");
}
