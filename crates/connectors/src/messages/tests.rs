//! What is promised above every system, against one that can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tidemark_engine::{
    Error, ErrorKind, Result,
    contract::{samples, write},
    log::Ledger,
    world::World,
    write::{AtLeastOnce, Courier, Unit},
};

use super::{
    EnvelopeConfig, Limits, Message, Messages, NameTemplate, Post, Undelivered, Wording,
    contract::{self, Received, numbered},
};

/// A system that keeps messages in memory.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    kept: Vec<Message>,
    batches: Vec<usize>,
    /// So many batches are taken in part only: their first half, and then nobody answers.
    troubles: usize,
    /// A text that no message may hold.
    abhors: Option<&'static str>,
}

#[async_trait]
impl Post for Shelf {
    fn limits(&self) -> Limits {
        Limits { messages: 10, bytes: 10_000, message_bytes: 5_000, in_flight: 4, one_place: true }
    }

    async fn open(&mut self) -> Result<()> {
        Ok(())
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        // Others come in between.
        tokio::task::yield_now().await;
        let mut state = self.0.lock().unwrap();
        assert!(batch.len() <= 10 && batch.iter().all(|message| message.place == batch[0].place));
        state.batches.push(batch.len());
        let poison = state.abhors.and_then(|text| batch.iter().position(|message| holds(message, text)));
        if let Some(at) = poison {
            // Who is at fault shows only where it is alone.
            let error = Error::data("the shelf does not take that");
            return match batch.len() {
                1 => Err(Undelivered::message(at, error)),
                _ => Err(error.of_stream(&batch[at].stream).into()),
            };
        }
        if state.troubles > 0 {
            state.troubles -= 1;
            state.kept.extend_from_slice(&batch[..batch.len() / 2]);
            return Err(Error::unavailable("the shelf does not answer").into());
        }
        state.kept.extend_from_slice(batch);
        Ok(())
    }
}

fn holds(message: &Message, text: &str) -> bool {
    message.body.as_ref().is_some_and(|body| String::from_utf8_lossy(body).contains(text))
}

impl Shelf {
    fn messages(&self, place: &str) -> Messages<Self> {
        let place = NameTemplate::parse(place).unwrap();
        Messages::new(self.clone(), Wording { place, envelope: EnvelopeConfig::default() }, World::real())
    }

    fn received(&self) -> Vec<Received> {
        let kept = std::mem::take(&mut self.0.lock().unwrap().kept);
        let body = |message: &Message| serde_json::from_slice(message.body.as_ref().unwrap()).unwrap();
        kept.iter().map(|message| Received { id: message.id.clone(), body: body(message) }).collect()
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    let shelf = Shelf::default();
    let connect = |ledger: Ledger| AtLeastOnce::new(shelf.messages("all"), ledger);
    contract::all(connect, async || shelf.received()).await;
}

fn rows(texts: &[String]) -> Unit {
    let batches =
        texts.iter().enumerate().map(|(at, text)| numbered(&samples::repeated("s", text, 1), at as u64));
    write::unit(0, 1, batches.collect())
}

#[tokio::test(start_paused = true)]
async fn what_was_not_taken_is_sent_again_with_what_follows_it() {
    let shelf = Shelf::default();
    shelf.0.lock().unwrap().troubles = 3;
    let texts: Vec<_> = (0..50).map(|n| format!("{n:02}")).collect();
    shelf.messages("all").deliver(&mut rows(&texts)).await.unwrap();
    // All of one key: whoever keeps the last of each id has them in order.
    let received = shelf.received();
    assert!(received.len() > 50, "something came twice");
    let last: BTreeMap<_, _> =
        received.iter().enumerate().map(|(at, it)| (it.body["values"]["text"].to_string(), at)).collect();
    assert_eq!(last.len(), 50);
    assert!(last.values().is_sorted(), "{last:?}");
}

#[tokio::test]
async fn the_one_message_that_is_refused_is_found_where_it_is_asked_for() {
    let shelf = Shelf::default();
    shelf.0.lock().unwrap().abhors = Some("poison");
    let texts: Vec<_> = (0..30).map(|n| if n == 17 { "poison".to_owned() } else { n.to_string() }).collect();
    let error = shelf.messages("all").deliver(&mut rows(&texts)).await.unwrap_err();
    assert_eq!((error.kind(), error.change()), (ErrorKind::Data, None));
    assert_eq!(error.stream().map(ToString::to_string).as_deref(), Some("s"));
    let error = shelf.messages("all").deliver(&mut rows(&texts).as_suspect()).await.unwrap_err();
    assert_eq!(error.change(), Some((1, 17)));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_by_name() {
    let (shelf, log) = (Shelf::default(), contract::log().await);
    contract::too_large(AtLeastOnce::new(shelf.messages("all"), Ledger::new(&log, "large")), 5_000).await;
}

#[tokio::test]
async fn batches_are_of_one_place_and_as_large_as_they_may_be() {
    let shelf = Shelf::default();
    let mut unit = write::unit(0, 1, vec![numbered(&samples::numbered_rows("s", 0, 1_000), 0)]);
    shelf.messages("{stream}").deliver(&mut unit).await.unwrap();
    let state = shelf.0.lock().unwrap();
    assert_eq!(state.kept.len(), 1_000);
    assert!(state.batches.len() < 110, "{:?}", state.batches);
}
