//! Azurite's tables.

use std::{
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{azurite, process, tools::tool};
use crate::{
    guard::Guard,
    http::{self, Response},
};

/// Operations that the service takes in one transaction.
const TRANSACTION: usize = 100;

/// A running emulator of Azure Table Storage.
pub struct Tables {
    port: u16,
    tables: AtomicU32,
    _guard: Guard,
}

/// What becomes of one entity, in a transaction with others of its partition.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `POST` inserts, `PUT` replaces or inserts, `MERGE` changes some properties, `DELETE` deletes.
    pub method: &'static str,
    /// The keys; neither may hold a quote or what an URL has to encode.
    pub key: (String, String),
    /// Its properties as JSON, with or without the keys.
    pub json: String,
}

impl Tables {
    /// The emulator that the tests of this process share; each makes tables of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Tables> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of one's own.
    pub fn start() -> Self {
        let command = |folder: &Path, port: u16| {
            let program = tool("azurite/node_modules/azurite/dist/src/table/main.js");
            let words =
                ["node", program.to_str().unwrap(), "--silent", "--location", folder.to_str().unwrap()];
            let ports = ["--tableHost", "127.0.0.1", "--tablePort", &port.to_string()];
            let others = ["--skipApiVersionCheck", "--disableTelemetry"];
            words.iter().chain(&ports).chain(&others).map(|word| (*word).to_owned()).collect()
        };
        let (port, guard) = process::start("azurite-table", "successfully started", "EADDRINUSE", command);
        Self { port, tables: AtomicU32::new(0), _guard: guard }
    }

    /// The port where it is spoken to, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What leads to it, or to `port` where something stands before it.
    pub fn connection_string(port: u16) -> String {
        let (account, key) = (azurite::ACCOUNT, azurite::KEY);
        format!("AccountName={account};AccountKey={key};TableEndpoint=http://127.0.0.1:{port}/{account}")
    }

    /// The account, and its key.
    pub fn account() -> (&'static str, &'static str) {
        (azurite::ACCOUNT, azurite::KEY)
    }

    /// A new, empty table.
    pub fn make(&self) -> String {
        let name = format!("Table{}", self.tables.fetch_add(1, Ordering::Relaxed));
        self.make_named(&name);
        name
    }

    /// The same by its name.
    pub fn make_named(&self, name: &str) {
        let json = format!("{{\"TableName\": \"{name}\"}}");
        self.call("POST", "Tables", "application/json", json.as_bytes());
    }

    /// Deletes a table.
    pub fn delete(&self, table: &str) {
        self.call("DELETE", &format!("Tables('{table}')"), "application/json", b"");
    }

    /// Does these operations, each run of those of one partition in transactions.
    pub fn change(&self, table: &str, operations: &[Operation]) {
        for partition in operations.chunk_by(|a, b| a.key.0 == b.key.0) {
            partition.chunks(TRANSACTION).for_each(|chunk| self.transaction(table, chunk));
        }
    }

    /// "Performing entity group transactions".
    fn transaction(&self, table: &str, operations: &[Operation]) {
        let mut body = "--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n".to_owned();
        for Operation { method, key: (partition, row), json } in operations {
            let resource = match *method {
                "POST" => table.to_owned(),
                _ => format!("{table}(PartitionKey='{partition}',RowKey='{row}')"),
            };
            let url = format!("http://127.0.0.1:{}/{}/{resource}", self.port, azurite::ACCOUNT);
            let keys = format!("\"PartitionKey\":\"{partition}\",\"RowKey\":\"{row}\"");
            let json = match (*method, json.as_str()) {
                ("DELETE", _) => String::new(),
                (_, "" | "{}") => format!("{{{keys}}}"),
                (_, json) => format!("{{{keys},{}", &json[1..]),
            };
            let condition = if matches!(*method, "DELETE" | "MERGE") { "If-Match: *\r\n" } else { "" };
            body.push_str(&format!(
                "--changeset_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                 {method} {url} HTTP/1.1\r\nContent-Type: application/json\r\n\
                 Accept: application/json;odata=minimalmetadata\r\nPrefer: return-no-content\r\n\
                 DataServiceVersion: 3.0;\r\n{condition}\r\n{json}\r\n"
            ));
        }
        body.push_str("--changeset_1--\r\n--batch_1--\r\n");
        let answer = self.call("POST", "$batch", "multipart/mixed; boundary=batch_1", body.as_bytes());
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!text.contains("HTTP/1.1 4") && !text.contains("HTTP/1.1 5"), "{text}");
    }

    /// Sends a request that must succeed, signed as "Shared Key Lite and Table service" has it.
    fn call(&self, method: &str, resource: &str, kind: &str, body: &[u8]) -> Response {
        let date = azurite::date();
        let path = format!("/{}/{resource}", azurite::ACCOUNT);
        let signed = format!("{date}\n/{}{path}", azurite::ACCOUNT);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(azurite::KEY).unwrap());
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        let headers = [
            ("x-ms-date", date.as_str()),
            ("x-ms-version", azurite::VERSION),
            ("accept", "application/json;odata=nometadata"),
            ("content-type", kind),
            ("authorization", &format!("SharedKeyLite {}:{signature}", azurite::ACCOUNT)),
        ];
        let answer = http::send(self.port, method, &path, &headers, body);
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!((200..300).contains(&answer.status), "{method} {resource}: {text}");
        answer
    }
}
