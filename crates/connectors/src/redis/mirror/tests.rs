//! A mirror against a server.

mod failures;
mod forms;
mod generations;
mod stories;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use redis::cmd;
use serde_json::{Value as Json, json};
use tidemark_engine::{
    Result,
    change::ChangeBatch,
    contract::{self, write::unit},
    world::World,
    write::{WriteMode, WriteStrategy},
};
use tidemark_test_servers::Redis;

use super::{Mirror, Terms, link::Link, names::OURS};
use crate::{
    config::{TableName, Writing},
    redis::{DestinationConfig, session::Server},
};

const FORMS: [&str; 2] = ["hash", "json"];

fn config(server: &Redis, form: &str) -> DestinationConfig {
    serde_json::from_value(json!({"url": server.url(), "as": form})).unwrap()
}

fn writing() -> Writing {
    let (destination, table) = ("copy".to_owned(), TableName::default());
    Writing { destination, mode: WriteMode::Mirror, table, adopt: false, shadow: false }
}

fn mirror(config: &DestinationConfig) -> Mirror {
    Mirror::new(config, Path::new("."), writing(), World::real()).unwrap()
}

/// One to which as many records as this are few.
fn patient(config: &DestinationConfig, few: usize) -> Mirror {
    let Mirror { server, terms, holding, epoch } = mirror(config);
    let terms = Arc::into_inner(terms).unwrap();
    Mirror { server, terms: Arc::new(Terms { few, ..terms }), holding, epoch }
}

async fn open(config: &DestinationConfig) -> Mirror {
    let mut mirror = mirror(config);
    mirror.open(&contract::write::log()).await.unwrap();
    mirror
}

async fn apply(mirror: &mut Mirror, begin: u64, end: u64, batches: Vec<ChangeBatch>) -> Result<()> {
    mirror.apply(&mut unit(begin, end, batches)).await
}

/// What stands under each key, field by field as text; NULL is `None`, and so it is where a hash has no field.
type Records = BTreeMap<String, BTreeMap<String, Option<String>>>;

async fn link(config: &DestinationConfig) -> Link {
    Link::connect(&Server::new(config, Path::new("."), World::real()).unwrap()).await.unwrap()
}

async fn records(link: &mut Link) -> Records {
    let mut all = Records::new();
    for key in keys(link).await.into_iter().filter(|key| !key.starts_with(OURS)) {
        let kind: String = link.ask(cmd("TYPE").arg(&key).clone()).await.unwrap();
        let fields = match kind.as_str() {
            "hash" => {
                let fields: BTreeMap<String, String> =
                    link.ask(cmd("HGETALL").arg(&key).clone()).await.unwrap();
                fields.into_iter().map(|(name, value)| (name, Some(value))).collect()
            }
            _ => {
                let text: String = link.ask(cmd("GET").arg(&key).clone()).await.unwrap();
                let fields: BTreeMap<String, Json> = serde_json::from_str(&text).unwrap();
                let value = |value: Json| match value {
                    Json::Null => None,
                    Json::String(text) => Some(text),
                    other => Some(other.to_string()),
                };
                fields.into_iter().map(|(name, found)| (name, value(found))).collect()
            }
        };
        all.insert(key, fields);
    }
    all
}

async fn keys(link: &mut Link) -> Vec<String> {
    let mut keys: Vec<String> = link.ask(cmd("KEYS").arg("*").clone()).await.unwrap();
    keys.sort();
    keys
}

/// The set of the keys that a stream has is what is there, and nothing is left of what was out of sight.
async fn assert_tidy(link: &mut Link, stream: &str) {
    let noted = cmd("SMEMBERS").arg(format!("_tidemark:copy:keys:{stream}")).clone();
    let mut noted: Vec<String> = link.ask(noted).await.unwrap();
    noted.sort();
    assert_eq!(noted, records(link).await.into_keys().collect::<Vec<_>>());
    let all = keys(link).await;
    let left = all.iter().filter(|key| key.contains(":anew:") || key.ends_with(":void"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn it_keeps_what_every_destination_promises() {
    for form in FORMS {
        let server = Redis::start();
        let config = config(&server, form);
        contract::write::all(|| mirror(&config)).await;
        assert_eq!(records(&mut link(&config).await).await.len(), 50, "{form}");
    }
}
