//! Real servers for the tests: each started privately, on a free port with its own data folder and configuration, and stopped
//! when its test process ends, however that happens. A server whose programs are missing fails the test and names what
//! has to be installed; nothing is skipped.
//!
//! Everything here blocks and panics, which is what a test wants; it may be called from asynchronous tests too.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test has nobody to hand an error to")]
#![expect(clippy::disallowed_methods, reason = "a real server takes real time")]

mod cap;
mod certificates;
mod clouds;
mod doubles;
mod front;
mod guard;
mod http;
mod line;
mod mariadb;
mod mosquitto;
mod nats;
mod nginx;
mod port;
mod postgres;
mod rabbitmq;
mod radicale;
mod receiver;
mod redis;
mod restarted;
mod roundup;
mod sender;
mod service_bus;
mod tansu;

pub use cap::Cap;
pub use clouds::{Bucket, Cloud, Emulator, Operation, Queues, Sqs, Tables};
pub use doubles::{
    Call, Dataverse, Double, GitHub, Graph, Nws, OpenMeteo, Salesforce, Service, SharePointList, Trouble, X,
};
pub use front::{Front, Request, Treatment};
pub use http::Response;
pub use line::{Commit, Condition, Line};
pub use mariadb::{Mariadb, MariadbDatabase};
pub use mosquitto::Mosquitto;
pub use nats::Nats;
pub use nginx::Nginx;
pub use postgres::{Database, Postgres};
pub use rabbitmq::RabbitMq;
pub use radicale::Radicale;
pub use receiver::Receiver;
pub use redis::Redis;
pub use roundup::Roundup;
pub use sender::{Begun, Sender};
pub use service_bus::{Misfortune, ServiceBus, ServiceBusMessage, service_bus_client};
pub use tansu::{KafkaRecord, Tansu, TopicReader};
