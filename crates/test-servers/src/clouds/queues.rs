//! Azurite's queues.

use std::{path::Path, sync::OnceLock};

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{azurite, process, tools::tool};
use crate::guard::Guard;

/// A running emulator of Azure Queue Storage.
pub struct Queues {
    port: u16,
    _guard: Guard,
}

impl Queues {
    /// The emulator that the tests of this process share; each makes queues by names of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Queues> = OnceLock::new();
        SHARED.get_or_init(|| {
            let command = |folder: &Path, port: u16| {
                let program = tool("azurite/node_modules/azurite/dist/src/queue/main.js");
                let words =
                    ["node", program.to_str().unwrap(), "--silent", "--location", folder.to_str().unwrap()];
                let ports = ["--queueHost", "127.0.0.1", "--queuePort", &port.to_string()];
                let others = ["--skipApiVersionCheck", "--disableTelemetry"];
                words.iter().chain(&ports).chain(&others).map(|word| (*word).to_owned()).collect()
            };
            let (port, guard) =
                process::start("azurite-queue", "successfully listens", "EADDRINUSE", command);
            Queues { port, _guard: guard }
        })
    }

    /// The port where it is spoken to, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What leads to queues at one port and to blobs at another.
    pub fn connection_string(queues: u16, blobs: u16) -> String {
        let (account, key) = (azurite::ACCOUNT, azurite::KEY);
        format!(
            "AccountName={account};AccountKey={key};QueueEndpoint=http://127.0.0.1:{queues}/{account};\
             BlobEndpoint=http://127.0.0.1:{blobs}/{account}"
        )
    }

    /// The account, and its key.
    pub fn account() -> (&'static str, &'static str) {
        (azurite::ACCOUNT, azurite::KEY)
    }

    /// Makes a queue.
    pub fn make(&self, name: &str) {
        let made = azurite::call(self.port, "PUT", name, &[]);
        assert!(matches!(made.status, 201 | 204), "{name}: {}", made.status);
    }

    /// The texts of all messages that can be seen, in the order in which they are handed out; they are gone then.
    pub fn take(&self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let batch =
                azurite::call(self.port, "GET", &format!("{name}/messages"), &[("numofmessages", "32")]);
            assert_eq!(batch.status, 200);
            let xml = String::from_utf8_lossy(&batch.bytes).into_owned();
            let messages: Vec<&str> = xml.split("<QueueMessage>").skip(1).collect();
            if messages.is_empty() {
                return texts;
            }
            for message in messages {
                let part = |name: &str| {
                    let (_, rest) = message.split_once(&format!("<{name}>")).unwrap();
                    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
                };
                let (id, receipt) = (part("MessageId"), part("PopReceipt"));
                let gone = azurite::call(
                    self.port,
                    "DELETE",
                    &format!("{name}/messages/{id}"),
                    &[("popreceipt", &receipt)],
                );
                assert_eq!(gone.status, 204);
                texts.push(part("MessageText"));
            }
        }
    }

    /// The same, of messages that are written in Base64.
    pub fn take_base64(&self, name: &str) -> Vec<Vec<u8>> {
        self.take(name).iter().map(|text| BASE64_STANDARD.decode(text).unwrap()).collect()
    }
}
