//! moto's SQS.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use super::{Cloud, Emulator};
use crate::http;

/// An emulator of Amazon SQS.
pub struct Sqs {
    emulator: Emulator,
    queues: AtomicU32,
}

impl Sqs {
    /// The emulator that the tests of this process share; each makes queues of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Sqs> = OnceLock::new();
        // Every service of moto is behind one port.
        SHARED.get_or_init(|| Self { emulator: Emulator::start(Cloud::S3), queues: AtomicU32::new(0) })
    }

    /// The port where it is spoken to, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.emulator.port()
    }

    /// Makes a queue, whose name ends so, with these attributes besides; returns its URL.
    pub fn make(&self, end: &str, attributes: &[(&str, &str)]) -> String {
        let name = format!("queue{}{end}", self.queues.fetch_add(1, Ordering::Relaxed));
        let mut all: serde_json::Map<String, Value> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        if end == ".fifo" {
            all.insert("FifoQueue".to_owned(), json!("true"));
        }
        let made = self.ask("CreateQueue", &json!({"QueueName": name, "Attributes": all}));
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    /// All messages that can be seen, as the service hands them out; they are gone then.
    pub fn take(&self, url: &str) -> Vec<Value> {
        let mut taken = Vec::new();
        loop {
            let asked = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "AttributeNames": ["All"]});
            let answer = self.ask("ReceiveMessage", &asked);
            let Some(messages) = answer["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
                return taken;
            };
            for message in messages {
                self.ask(
                    "DeleteMessage",
                    &json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}),
                );
                taken.push(message.clone());
            }
        }
    }

    /// By the JSON protocol. moto looks at whom a request is for, and not at its signature.
    fn ask(&self, action: &str, body: &Value) -> Value {
        let authorization = "AWS4-HMAC-SHA256 Credential=testing/20240101/us-east-1/sqs/aws4_request, \
                             SignedHeaders=host, Signature=none";
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &format!("AmazonSQS.{action}")),
            ("authorization", authorization),
        ];
        let answer = http::send(self.port(), "POST", "/", &headers, body.to_string().as_bytes());
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.status, 200, "{action}: {text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() }
    }
}
