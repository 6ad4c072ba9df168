//! JSON, XML and forms, as services send them.

use std::fs;

use tidemark_test_servers::Sender;

use super::{listening, rows};
use crate::{samples::examples, workbench::Workbench};

fn typed(kind: &str) -> (&'static str, String) {
    ("content-type", kind.to_owned())
}

#[test]
fn json_xml_and_forms_become_rows() {
    let sender = Sender::new();
    let bench = Workbench::with_pipeline(&format!(
        "
name: bodies
source:
  type: webhook
  listen: {}
  streams:
    events:
      path: /events
      verify: {{type: shared-secret, header: X-Token, secret: [old, new]}}
      id: body:$.batch
      records: $.events[*]
      headers: [X-Kind]
      key: [id]
      answer: {{status: 202, body: thanks}}
    pushes:
      path: /github
      verify: {{type: hmac, header: X-Hub-Signature-256, secret: s3cret, prefix: sha256=}}
      id: header:X-GitHub-Delivery
      format: form
      form_field: payload
      exclude: [zen]
    invoices: {{path: /xml, verify: {{type: none}}, format: xml, records: /invoices/invoice, types: {{total: \"decimal(12,2)\"}}}}
    contacts: {{path: /form, verify: {{type: none}}, format: form, handshake: {{type: hub-challenge, token: t}}}}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: append}}
",
        sender.address()
    ));
    let mut running = listening(&bench);
    let events = r#"{"batch": 9007199254740993, "events": [{"id": 1, "big": 12345678901234567890123}, {"id": 2, "at": {"a": [1.0]}}]}"#;
    let with = [
        typed("application/vnd.events+json; charset=utf-8"),
        ("x-token", "new".to_owned()),
        ("x-kind", "k".to_owned()),
    ];
    for _ in 0..2 {
        let answer = sender.post("/events", &with, events.as_bytes()).unwrap();
        assert!(answer.status == 202 && answer.bytes.ends_with(b"thanks"));
    }
    assert_eq!(sender.post("/events", &with, b"{\"events\": []}").unwrap().status, 400, "no id");
    assert_eq!(sender.post("/events", &with[..1], events.as_bytes()).unwrap().status, 401);

    let push = b"payload=%7B%22ref%22%3A+%22main%22%2C+%22zen%22%3A+%22x%22%7D";
    let signature = format!("sha256={}", Sender::hexadecimal("s3cret", push));
    let github = [
        typed("application/x-www-form-urlencoded"),
        ("x-hub-signature-256", signature),
        ("x-github-delivery", "72d3162e".to_owned()),
    ];
    for _ in 0..2 {
        assert_eq!(sender.post("/github", &github, push).unwrap().status, 200);
    }
    let xml = "<?xml version=\"1.0\"?><invoices><invoice nr=\"1\"><total>10.50</total><to><name>\u{c5}sa</name></to></invoice>\
               <invoice nr=\"2\"><total>7</total><to/></invoice></invoices>";
    assert_eq!(sender.post("/xml", &[typed("text/xml")], xml.as_bytes()).unwrap().status, 200);
    let bomb = b"<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><invoices>&b;</invoices>";
    assert_eq!(sender.post("/xml", &[typed("text/xml")], bomb).unwrap().status, 400);
    let form = b"name=Ada+L&tag=x&tag=%C3%A9&phone=";
    assert_eq!(
        sender.post("/form", &[typed("application/x-www-form-urlencoded")], form).unwrap().status,
        200
    );
    let challenge =
        sender.get("/form?hub.mode=subscribe&hub.verify_token=t&hub.challenge=1158201444").unwrap();
    assert!(challenge.status == 200 && challenge.bytes.ends_with(b"\r\n\r\n1158201444"));

    let copy = bench.path("copy.db");
    let mut arrived =
        |query: &str, expected: &[&str]| running.until(query, || rows(&copy, query) == expected);
    arrived(
        "SELECT id, big, at, \"x-kind\" FROM events ORDER BY id",
        &[
            "Integer(1) Text(\"12345678901234567890123\") Null Text(\"k\")",
            "Integer(2) Null Text(\"{\\\"a\\\": [1.0]}\") Text(\"k\")",
        ],
    );
    arrived("SELECT ref FROM pushes", &["Text(\"main\")"]);
    arrived(
        "SELECT \"@nr\", total, \"to\" FROM invoices ORDER BY 1",
        &[
            "Integer(1) Text(\"10.50\") Text(\"{\\\"name\\\":\\\"\u{c5}sa\\\"}\")",
            "Integer(2) Text(\"7.00\") Null",
        ],
    );
    arrived("SELECT name, tag FROM contacts", &["Text(\"Ada L\") Text(\"[\\\"x\\\",\\\"\u{e9}\\\"]\")"]);
    running.terminate().succeeds();
}

#[test]
fn the_example_runs() {
    let sender = Sender::new();
    let example = fs::read_to_string(examples("webhook/orders.yaml")).unwrap();
    let lines =
        example.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).count();
    assert!(lines <= 15, "{lines} lines");
    assert!(example.contains("127.0.0.1:8090"));
    let bench = Workbench::with_pipeline(&example.replace("127.0.0.1:8090", &sender.address()))
        .in_environment(&[("WEBHOOK_SECRET", sender.secret())]);
    let mut running = listening(&bench);
    let order = r#"{"type": "order.placed", "data": {"id": "A-1", "total": 10.50}}"#;
    let changed = r#"{"type": "order.changed", "data": {"id": "A-1", "total": 12}}"#;
    for (id, body) in [("msg_1", order), ("msg_2", changed), ("msg_2", changed)] {
        assert_eq!(sender.send("/hooks/orders", id, body).unwrap().status, 200);
    }
    let copy = bench.path("orders.db");
    running.until("the order has arrived", || {
        rows(&copy, "SELECT id, total FROM orders") == ["Text(\"A-1\") Text(\"12.00\")"]
    });
    running.terminate().succeeds();
}
