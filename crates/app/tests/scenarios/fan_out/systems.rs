//! The systems that are written to, and what consumers of those have received.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use async_nats::jetstream::stream::StorageType;
use serde_json::{Value as Json, json};
use tidemark_test_servers::{Mariadb, Nats, RabbitMq, Receiver, Redis, Request, Response, Treatment};

use super::{POISON, devices, orders};
use crate::messages::nats;

/// All destinations of a fan.
pub(super) const ALL: [&str; 8] =
    ["mirror", "history", "warehouse", "archive", "feed", "bus", "entries", "hooks"];

/// The servers that both fans have in common. PostgreSQL and MariaDB are there for all tests.
pub(super) struct Systems {
    pub(super) mariadb: &'static Mariadb,
    pub(super) nats: Nats,
    pub(super) rabbit: RabbitMq,
    pub(super) redis: Redis,
    pub(super) hooks: Receiver,
    refuses: Arc<AtomicBool>,
}

/// What consumers have received, by stream and destination.
pub(super) type Received = BTreeMap<(&'static str, &'static str), Vec<Json>>;

impl Systems {
    /// Starts them, with the queues that streams go to.
    pub(super) fn start() -> Self {
        let systems = thread::scope(|scope| {
            let mariadb = scope.spawn(Mariadb::shared);
            let rabbit = scope.spawn(RabbitMq::start);
            let (hooks, refuses) = (Receiver::start(), Arc::default());
            let (nats, redis) = (Nats::start(), Redis::start());
            Self {
                mariadb: mariadb.join().unwrap(),
                nats,
                rabbit: rabbit.join().unwrap(),
                redis,
                hooks,
                refuses,
            }
        });
        // It stays up, and its disk is not what is tried out.
        nats::make_stream(&systems.nats, StorageType::Memory);
        for stream in [orders::STREAM, devices::STREAM] {
            systems.rabbit.declare_queue(stream.name, &json!({}));
            systems.rabbit.declare_exchange("changes", "topic", stream.name, stream.name);
        }
        let refuses = systems.refuses.clone();
        systems.hooks.answer(move |request| {
            let is_refused = refuses.load(Ordering::Relaxed) && is_poisoned(request);
            Treatment::Answer(Response::new(if is_refused { 422 } else { 200 }, &[], b""))
        });
        systems
    }

    /// From now on poison is refused, or taken like anything else.
    pub(super) fn hooks_refuse_poison(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Takes what consumers have received, in the order in which they did.
    pub(super) fn received(&self) -> Received {
        let mut received = Received::new();
        let fed = nats::consume(&self.nats);
        let hooked: Vec<Json> = self.hooks.take().iter().flat_map(changes_in).collect();
        for stream in [orders::STREAM.name, devices::STREAM.name] {
            let of_stream =
                |changes: &[Json]| changes.iter().filter(|it| it["stream"] == stream).cloned().collect();
            received.insert((stream, "feed"), of_stream(&fed));
            received.insert((stream, "hooks"), of_stream(&hooked));
            let bodies = self.rabbit.take(stream).into_iter();
            let bodies = bodies.map(|message| parsed(message["payload"].as_str().unwrap()));
            received.insert((stream, "bus"), bodies.collect());
            let entries = self.redis.take(stream).into_iter();
            let body = |entry: Vec<(String, String)>| {
                let body = entry.into_iter().find(|(field, _)| field == "body");
                parsed(&body.unwrap().1)
            };
            received.insert((stream, "entries"), entries.map(body).collect());
        }
        received
    }
}

fn is_poisoned(request: &Request) -> bool {
    request.body.windows(POISON.len()).any(|bytes| bytes == POISON.as_bytes())
}

/// The changes that a request tells of, several at once.
fn changes_in(request: &Request) -> Vec<Json> {
    // `check` asks what the server takes.
    if request.method == "OPTIONS" {
        return Vec::new();
    }
    serde_json::from_slice(&request.body).unwrap()
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}
