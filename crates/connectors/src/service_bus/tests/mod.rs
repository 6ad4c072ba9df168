//! Against a broker of AMQP 1.0, and against a double of Service Bus.

mod double;
mod microsoft;
mod rabbitmq;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use tidemark_engine::{
    Error, Result, Time,
    contract::{samples, write},
    log::{Ledger, Log, Store},
    world::{Clock, Processors, Random, World},
    write::{AtLeastOnce, Courier, WriteStrategy},
};
use tidemark_test_servers::ServiceBus;

use super::{Destination, DestinationConfig};
use crate::messages::contract::{self, numbered};

fn config(keys: &Json) -> DestinationConfig {
    serde_json::from_value(keys.clone()).unwrap()
}

/// How the double is reached, and `more`.
fn keys(bus: &ServiceBus, more: Json) -> Json {
    let (name, key) = bus.policy();
    let mut keys = json!({"url": bus.url(), "shared_access_key_name": name, "shared_access_key": key});
    keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    keys
}

fn connect(config: &DestinationConfig, ledger: Ledger) -> AtLeastOnce<impl Courier + use<>> {
    Destination::strategy(config, Path::new("."), ledger).unwrap()
}

async fn check(keys: &Json) -> Vec<Error> {
    Destination::check(&config(keys), Path::new(".")).await
}

/// What comes of sending some changes to where the configuration says.
async fn sent(keys: &Json, count: usize) -> Result<()> {
    let mut destination = connect(&config(keys), Ledger::new(&contract::log().await, "sent"));
    destination.open(&write::log()).await?;
    let changes = numbered(&samples::numbered_rows("orders", 0, count), 0);
    destination.apply(&mut write::unit(0, 1, vec![changes])).await
}

/// A clock that is put forward by hand.
#[derive(Clone)]
struct Ahead(World, Arc<AtomicI64>);

impl Ahead {
    fn of_world() -> Self {
        Self(World::real(), Arc::default())
    }

    fn world(&self) -> World {
        World::new(Arc::new(self.clone()), Arc::new(self.clone()), Arc::new(self.clone()))
    }

    fn put_forward(&self, time: Duration) {
        self.1.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Time {
        Time::from_micros(self.0.now().as_micros() + self.1.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

impl Random for Ahead {
    fn next(&self) -> u64 {
        twox_hash::XxHash3_64::oneshot(self.0.name(16).as_bytes())
    }
}

#[async_trait]
impl Processors for Ahead {
    async fn run(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        work();
        Ok(())
    }
}

async fn log_in(world: World) -> Log {
    Log::open_or_create(Store::memory(), "contract", world).await.unwrap()
}
