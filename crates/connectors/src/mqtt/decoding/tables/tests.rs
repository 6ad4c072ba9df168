use bytes::Bytes;
use tidemark_engine::{Time, change::Cell};

use super::*;
use crate::mqtt::{config::SourceConfig, session::Properties};

fn tables(streams: &str) -> Tables {
    let config = format!("{{\"url\": \"mqtts://broker\", \"streams\": {streams}}}");
    let config = serde_json::from_str::<SourceConfig>(&config).unwrap();
    assert_eq!(config.validate(), []);
    Tables::new(Arc::new(Layout::new(&config).unwrap()), &BTreeMap::new())
}

fn message(topic: &str, payload: &[u8]) -> Message {
    Message {
        topic: topic.to_owned(),
        payload: Bytes::copy_from_slice(payload),
        id: Some(1),
        is_again: false,
        is_retained: true,
        received_at: Time::EPOCH,
        properties: Properties { user: vec![("a".to_owned(), "b".to_owned())], ..Properties::default() },
        memory: None,
    }
}

/// Each batch as lines of `name=value`.
fn shown(tables: &mut Tables, messages: &[(&str, &[u8])]) -> Result<Vec<String>> {
    let of = |topic: &str| tables.layout.stream_of(topic).unwrap();
    let messages =
        messages.iter().map(|(topic, payload)| (of(topic), message(topic, payload))).collect::<Vec<_>>();
    let mut lines = Vec::new();
    for batch in tables.batches(&messages)? {
        for row in 0..batch.rows() {
            let fields = batch.schema().fields().iter().enumerate();
            let cells = fields.filter_map(|(column, field)| match batch.column(column).cell(row) {
                Cell::Value(value) => Some(format!("{}={value}", field.name)),
                Cell::Null => Some(format!("{}=NULL", field.name)),
                _ => None,
            });
            lines.push(format!("{}: {}", batch.schema().stream(), cells.collect::<Vec<_>>().join(" ")));
        }
    }
    Ok(lines)
}

#[test]
fn levels_metadata_and_payloads_are_columns() {
    let mut tables = tables(
        r#"{"readings": {"topics": "site/{site}/{device}", "records": "$.r", "metadata": ["topic", "qos", "retained", "received_at", "user_properties"]},
            "logs": {"topics": "log/{level}", "format": "csv"},
            "states": {"topics": "state/{device}", "format": "csv", "columns": ["at", "state"], "delimiter": ";"},
            "notes": {"topics": "note", "format": "raw"}, "images": {"topics": "image", "format": "raw", "raw": "bytes"}}"#,
    );
    let lines = shown(
        &mut tables,
        &[
            ("site/north/007", b"{\"r\": [{\"v\": 1.50}, {\"w\": null}]}"),
            ("log/warn", b"a,b\n1,x\n2,\"y\n\"\n"),
            ("log/info", b"b,c\nz,3"),
            ("state/1", b"2024-01-01;on\r\n"),
            ("note", b"2024-01-01"),
            ("image", b"\x00\xff"),
        ],
    );
    assert_eq!(
        lines.unwrap(),
        [
            "readings: site=north device=007 mqtt_topic=site/north/007 mqtt_qos=1 mqtt_retained=true mqtt_received_at=1970-01-01T00:00:00Z mqtt_user_properties=[[\"a\",\"b\"]] v=1.5",
            "readings: site=north device=007 mqtt_topic=site/north/007 mqtt_qos=1 mqtt_retained=true mqtt_received_at=1970-01-01T00:00:00Z mqtt_user_properties=[[\"a\",\"b\"]]",
            "logs: level=warn a=1 b=x",
            "logs: level=warn a=2 b=y\n",
            "logs: level=info b=z c=3",
            "states: device=1 at=2024-01-01 state=on",
            "notes: payload=2024-01-01",
            "images: payload=\\x00ff",
        ]
    );
}

#[test]
fn what_is_not_valid_stops_or_is_kept_whole() {
    let good: (&str, &[u8]) = ("a/1", b"{\"v\": 1}");
    let bad: [(&str, &[u8]); 5] = [
        ("a/2", b"{\"v\": 1"),
        ("a/3", b"\xff"),
        ("a/4", b""),
        ("a/5", b"{\"id\": 1}"),
        ("a/6", b"{\"v\": \"x\"}"),
    ];
    let streams = |invalid: &str| {
        format!("{{\"a\": {{\"topics\": \"a/{{id}}\", \"types\": {{\"v\": \"int64\"}}{invalid}}}}}")
    };
    for bad in bad {
        let mut tables = tables(&streams(""));
        let error = shown(&mut tables, &[good, bad]).unwrap_err();
        assert_eq!(error.kind(), tidemark_engine::ErrorKind::Data);
        assert!(
            error.message().starts_with("stream `a`: ") && error.message().contains(&format!("`{}`", bad.0)),
            "{error}"
        );
        assert_eq!(shown(&mut tables, &[good]).unwrap(), ["a: id=1 v=1"], "nothing is left behind");
    }
    let mut tables = tables(&streams(", \"invalid\": \"broken\""));
    let messages = bad.into_iter().chain([good]).collect::<Vec<_>>();
    let lines = shown(&mut tables, &messages).unwrap();
    assert_eq!(lines[0], "a: id=1 v=1");
    assert_eq!(
        lines[1],
        "broken: topic=a/2 payload=\\x7b2276223a2031 reason=`a/2` is not a JSON document (line 1, character 7) received_at=1970-01-01T00:00:00Z"
    );
    assert_eq!(lines.len(), 6);
}
