//! The closed list of systems. A new connector is a line here; what it answers is in its own folder.

mod destination;
mod source;
mod streams;

use std::ops::Deref;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    azure_queue, azure_table, files, http, kafka, mariadb, mqtt, nats, postgres, rabbitmq, redis,
    service_bus, sqlite, sqs, webhook,
};

pub use destination::DestinationSystem;
pub use source::SourceSystem;
pub use streams::NamedStreams;

/// What a pipeline reads from, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceConfig {
    #[serde(rename = "azure-table")]
    AzureTable(azure_table::SourceConfig),
    Files(files::SourceConfig),
    Http(Box<http::SourceConfig>),
    Mqtt(mqtt::SourceConfig),
    Postgres(postgres::SourceConfig),
    #[serde(rename = "postgres-query")]
    PostgresQuery(postgres::QueryConfig),
    Sqlite(sqlite::SourceConfig),
    Webhook(webhook::SourceConfig),
}

/// What a pipeline writes to, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum DestinationConfig {
    #[serde(rename = "azure-queue")]
    AzureQueue(Box<azure_queue::DestinationConfig>),
    #[serde(rename = "azure-service-bus")]
    AzureServiceBus(service_bus::DestinationConfig),
    Files(files::DestinationConfig),
    Kafka(kafka::DestinationConfig),
    Mariadb(mariadb::DestinationConfig),
    Mqtt(mqtt::DestinationConfig),
    Nats(nats::DestinationConfig),
    Postgres(postgres::DestinationConfig),
    RabbitMq(rabbitmq::DestinationConfig),
    Redis(redis::DestinationConfig),
    Sqlite(sqlite::DestinationConfig),
    Sqs(sqs::DestinationConfig),
    Webhook(Box<webhook::DestinationConfig>),
}

impl Deref for SourceConfig {
    type Target = dyn SourceSystem;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::AzureTable(table) => table,
            Self::Files(files) => files,
            Self::Http(http) => &**http,
            Self::Mqtt(mqtt) => mqtt,
            Self::Postgres(postgres) => postgres,
            Self::PostgresQuery(query) => query,
            Self::Sqlite(sqlite) => sqlite,
            Self::Webhook(webhook) => webhook,
        }
    }
}

impl Deref for DestinationConfig {
    type Target = dyn DestinationSystem;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::AzureQueue(queue) => &**queue,
            Self::AzureServiceBus(bus) => bus,
            Self::Files(files) => files,
            Self::Kafka(kafka) => kafka,
            Self::Mariadb(mariadb) => mariadb,
            Self::Mqtt(mqtt) => mqtt,
            Self::Nats(nats) => nats,
            Self::Postgres(postgres) => postgres,
            Self::RabbitMq(rabbitmq) => rabbitmq,
            Self::Redis(redis) => redis,
            Self::Sqlite(sqlite) => sqlite,
            Self::Sqs(sqs) => sqs,
            Self::Webhook(webhook) => &**webhook,
        }
    }
}
