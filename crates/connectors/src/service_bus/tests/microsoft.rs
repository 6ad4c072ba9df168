//! Microsoft's own client for Python: what it takes for Service Bus, and what it finds there of ours.

use std::{path::PathBuf, process::Command};

use serde_json::{Value as Json, json};
use tidemark_test_servers::{ServiceBus, service_bus_client};

use super::{keys, sent};

/// Sends a batch and a message of a session, and prints what it finds in both queues.
const SCRIPT: &str = r#"
import json, sys
from azure.servicebus import ServiceBusClient, ServiceBusMessage
with ServiceBusClient.from_connection_string(sys.argv[1]) as client:
    with client.get_queue_sender("theirs") as sender:
        batch = sender.create_message_batch()
        for number in range(3):
            batch.add_message(ServiceBusMessage(f"body {number}", message_id=f"id {number}", session_id="s"))
        sender.send_messages(batch)
        sender.send_messages(ServiceBusMessage("alone", message_id="alone", subject="told"))
    for queue, count in [("theirs", 4), ("orders", int(sys.argv[2]))]:
        with client.get_queue_receiver(queue) as receiver:
            found = 0
            while found < count:
                received = receiver.receive_messages(max_message_count=100, max_wait_time=20)
                if not received:
                    sys.exit(f"{queue}: only {found} of {count}")
                for message in received:
                    found += 1
                    print(json.dumps({"queue": queue, "id": message.message_id, "session": message.session_id,
                                      "subject": message.subject, "type": message.content_type,
                                      "partition": message.partition_key,
                                      "properties": {k.decode(): v.decode() for k, v in (message.application_properties or {}).items()},
                                      "body": str(message)}))
                    receiver.complete_message(message)
"#;

fn run(packages: PathBuf, arguments: &[&str]) -> Vec<Json> {
    let python =
        Command::new("python3").args(["-c", SCRIPT]).args(arguments).env("PYTHONPATH", packages).output();
    let output = python.unwrap();
    let (said, failed) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{failed}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_passes_the_double_and_reads_what_we_send() {
    let bus = ServiceBus::start();
    bus.create_queue("theirs");
    bus.create_queue("orders");
    sent(&keys(&bus, json!({"partition": "key"})), 20).await.unwrap();
    sent(&keys(&bus, json!({})), 150).await.unwrap();
    let messages = run(service_bus_client(), &[&bus.connection_string(), "170"]);

    let of = |queue: &str| messages.iter().filter(|message| message["queue"] == queue).collect::<Vec<_>>();
    let theirs = of("theirs");
    let ids: Vec<_> = theirs.iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["id 0", "id 1", "id 2", "alone"]);
    assert_eq!((&theirs[1]["session"], &theirs[1]["body"]), (&json!("s"), &json!("body 1")));
    assert_eq!((&theirs[3]["session"], &theirs[3]["subject"]), (&Json::Null, &json!("told")));

    let ours = of("orders");
    assert_eq!(ours.len(), 170);
    for (at, message) in ours.iter().enumerate() {
        let body: Json = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
        assert_eq!(message["id"], body["id"]);
        assert_eq!(message["subject"], "c");
        assert_eq!(message["type"], "application/json");
        assert_eq!(message["properties"], json!({"op": "c", "stream": "orders"}));
        let partition = if at < 20 { json!(body["key"].to_string()) } else { Json::Null };
        assert_eq!(message["partition"], partition);
    }
    // What they have settled is gone.
    assert!(bus.take("orders").is_empty() && bus.take("theirs").is_empty());
}
