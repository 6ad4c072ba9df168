//! Kafka's protocol, as Tansu speaks it.

use tidemark_test_servers::Tansu;

use super::{Target, feed::Feed};
use crate::Result;

const TOPIC: &str = "orders";

pub(super) struct Broker(Tansu);

impl Target for Broker {
    const NAME: &'static str = "Kafka (Tansu, three partitions)";

    fn start(_feed: &Feed) -> Result<Self> {
        let broker = Tansu::start();
        broker.make_topic(TOPIC, 3);
        Ok(Self(broker))
    }

    fn destination(&self) -> String {
        format!("{{type: kafka, brokers: [\"{}\"], topic: {TOPIC}, write: append}}", self.0.url())
    }

    fn check(&self, feed: &Feed) -> Result {
        let records = self.0.reader(TOPIC).take();
        feed.expect_ids(records.into_iter().filter_map(|mut record| record.headers.remove("tidemark-id")))
    }
}
