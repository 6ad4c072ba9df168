//! The client against real servers on this machine.

mod answers;
mod azure;
mod encrypted;
mod places;
mod repeating;
mod rotation;
mod server;
mod streams;
mod tokens;
pub(super) mod world;

use std::path::Path;

use serde_json::{Value, json};
use tidemark_engine::Result;
use url::Url;

use super::*;
use server::Server;
use world::Leaps;

/// A client for `server` that `config` says more of.
fn client(server: &Server, config: Value, leaps: &Leaps) -> Client {
    client_with(server, config, leaps, None).unwrap()
}

fn client_with(
    server: &Server,
    mut config: Value,
    leaps: &Leaps,
    tokens: Option<Arc<dyn TokenStore>>,
) -> Result<Client> {
    if config.get("allow_hosts").is_none() {
        config["allow_hosts"] = json!(["127.0.0.1"]);
    }
    let config: ClientConfig = serde_json::from_value(config).unwrap();
    let found = config.validate(&server.url);
    assert_eq!(found, []);
    let folder = Path::new("/");
    let around = Surroundings { world: leaps.world(), folder, budgets: Budgets::default(), tokens };
    Client::new(&config, &server.url, around)
}

fn get(server: &Server, path: &str) -> Request {
    Request::get(url(server, path))
}

fn url(server: &Server, path: &str) -> Url {
    server.url.join(path).unwrap()
}
