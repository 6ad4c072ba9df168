//! The systems Tidemark reads from and writes to. One folder a system, each with the same rooms: `config` (what the
//! pipeline file says), `source/` (its read strategy), `destination/` (its write strategy). A connector depends on the
//! engine's traits alone; it never touches the log.

pub mod azure_queue;
pub mod azure_storage;
pub mod azure_table;
mod broker;
pub mod comparing;
pub mod config;
pub mod files;
pub mod http;
pub mod kafka;
pub mod mariadb;
pub mod messages;
mod metadata;
pub mod mqtt;
pub mod nats;
pub mod object_stores;
pub mod polling;
pub mod postgres;
mod queries;
pub mod rabbitmq;
pub mod records;
pub mod redis;
pub mod service_bus;
pub mod sqlite;
pub mod sqs;
mod tables;
pub mod webhook;
