//! Destinations that take messages: the real binary, a real server, and a consumer that keeps the last message of each identity. Whoever
//! is killed, every change arrives, and those of a record in their order.

mod azure_queue;
pub(crate) mod delivery;
mod kafka;
mod mqtt;
pub(crate) mod nats;
mod rabbitmq;
mod redis;
mod service_bus;
mod webhook;
