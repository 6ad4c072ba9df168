//! RabbitMQ: a durable queue, every message confirmed.

use tidemark_test_servers::RabbitMq;

use super::{Target, feed::Feed};
use crate::Result;

const QUEUE: &str = "orders";

pub(super) struct Queue(RabbitMq);

impl Target for Queue {
    const NAME: &'static str = "RabbitMQ";

    fn start(_feed: &Feed) -> Result<Self> {
        let server = RabbitMq::start();
        server.declare_durable_queue(QUEUE);
        Ok(Self(server))
    }

    fn destination(&self) -> String {
        format!("{{type: rabbitmq, url: \"{}\", routing_key: {QUEUE}, write: append}}", self.0.url())
    }

    fn check(&self, feed: &Feed) -> Result {
        feed.expect_ids(self.0.take_ids(QUEUE))
    }
}
