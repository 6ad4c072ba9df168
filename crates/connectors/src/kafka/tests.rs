//! Against a broker of Kafka's protocol.

use std::{collections::BTreeMap, path::Path};

use krafka::producer::murmur2;
use tidemark_engine::{
    ErrorKind, Time,
    change::{ChangeBatch, Op},
    contract::{samples, write},
    log::Ledger,
    write::WriteStrategy,
};
use tidemark_test_servers::{KafkaRecord, Mosquitto, Tansu, TopicReader};

use super::{Destination, DestinationConfig};
use crate::messages::contract::{self, Received};

const PARTITIONS: u16 = 3;

fn config(tansu: &Tansu, topic: &str, more: serde_json::Value) -> DestinationConfig {
    let mut json = serde_json::json!({"brokers": [tansu.url()], "topic": topic});
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json).unwrap()
}

fn plain(tansu: &Tansu, topic: &str) -> DestinationConfig {
    config(tansu, topic, serde_json::json!({}))
}

fn new_topic(tansu: &Tansu, topic: &str) -> TopicReader {
    tansu.make_topic(topic, PARTITIONS);
    tansu.reader(topic)
}

fn received(reader: &TopicReader) -> Vec<Received> {
    let received = |record: &KafkaRecord| Received {
        id: record.headers["tidemark-id"].clone(),
        body: serde_json::from_str(record.value.as_ref().unwrap()).unwrap(),
    };
    reader.take().iter().map(received).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let tansu = Tansu::start();
    let (config, reader) = (plain(&tansu, "changes"), new_topic(&tansu, "changes"));
    let connect = |ledger: Ledger| Destination::strategy(&config, Path::new("."), ledger).unwrap();
    contract::all(connect, async || received(&reader)).await;
    let log = contract::log().await;
    contract::too_large(connect(Ledger::new(&log, "large")), 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_say_what_kafka_has_words_for() {
    let tansu = Tansu::start();
    let reader = new_topic(&tansu, "kinds");
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let more = serde_json::json!({"compression": compression, "tombstones": true});
        let (config, log) = (config(&tansu, "kinds", more), contract::log().await);
        let mut destination =
            Destination::strategy(&config, Path::new("."), Ledger::new(&log, "kinds")).unwrap();
        destination.open(&write::log()).await.unwrap();
        let rows = samples::numbered_rows("kinds", 0, 40);
        let of = |op: Op, first: u64| {
            let batch = ChangeBatch::uniform(rows.schema().clone(), op, rows.columns().values.clone());
            contract::numbered(&batch.unwrap(), first)
        };
        destination.apply(&mut write::unit(0, 1, vec![of(Op::Create, 0), of(Op::Delete, 40)])).await.unwrap();
        destination.close().await.unwrap();

        let mut of_key: BTreeMap<String, Vec<KafkaRecord>> = BTreeMap::new();
        for record in reader.take() {
            of_key.entry(record.key.clone().unwrap()).or_default().push(record);
        }
        assert_eq!(of_key.len(), 40, "{compression}");
        for (key, records) in of_key {
            let told: Vec<_> =
                records.iter().map(|it| (it.headers["tidemark-op"].as_str(), it.value.is_some())).collect();
            assert_eq!(told, [("c", true), ("d", true), ("d", false)], "{compression}");
            // Where Java's clients would have put it.
            let partition = (murmur2(key.as_bytes()) & 0x7fff_ffff) % u32::from(PARTITIONS);
            assert!(records.iter().all(|it| it.partition.cast_unsigned() == partition), "{compression}");
            assert!(records.iter().all(|it| it.headers["tidemark-stream"] == "kinds"));
            assert_eq!(records[0].headers["content-type"], "application/json");
            let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            let body = json(records[0].value.as_ref().unwrap());
            assert_eq!(json(&key), body["key"]);
            let time = body["source_time"].as_str().or(body["time"].as_str()).unwrap();
            assert_eq!(records[0].timestamp, Time::parse(time).unwrap().as_micros() / 1_000);
            assert_eq!(records[1].headers["tidemark-id"], records[2].headers["tidemark-id"]);
        }
    }
}

/// The numbers are those of `UtilsTest` in Apache Kafka.
#[test]
fn keys_are_hashed_as_javas_clients_do() {
    let known = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    for (key, hash) in known {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_brokers_is_told() {
    let mut tansu = Tansu::start();
    let check = async |config: &DestinationConfig| Destination::check(config, Path::new(".")).await;
    let missing = check(&plain(&tansu, "nobody.takes.it")).await;
    assert_eq!(missing[0].kind(), ErrorKind::Config);
    assert!(missing[0].to_string().contains("`nobody.takes.it`"), "{}", missing[0]);
    assert!(missing[0].hint_text().unwrap().contains("kafka-topics.sh"), "{}", missing[0]);
    tansu.make_topic("changes", PARTITIONS);
    for topic in ["changes", "changes.{stream}"] {
        assert!(check(&plain(&tansu, topic)).await.is_empty());
    }
    let make = serde_json::json!({"create_topics": {}});
    assert!(check(&config(&tansu, "made", make)).await.is_empty());
    assert_eq!(check(&plain(&tansu, "made")).await[0].kind(), ErrorKind::Config, "`check` makes nothing");
    assert_eq!(check(&plain(&tansu, "not a name")).await[0].kind(), ErrorKind::Data);
    tansu.kill();
    assert_eq!(check(&plain(&tansu, "changes")).await[0].kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_back_is_written_to_again() {
    let mut tansu = Tansu::start();
    let (config, reader, log) = (plain(&tansu, "again"), new_topic(&tansu, "again"), contract::log().await);
    let mut destination = Destination::strategy(&config, Path::new("."), Ledger::new(&log, "again")).unwrap();
    destination.open(&write::log()).await.unwrap();
    let rows = || contract::numbered(&samples::numbered_rows("again", 0, 300), 0);
    let unit = |begin: u64| write::unit(begin, begin + 1, vec![rows()]);
    destination.apply(&mut unit(0)).await.unwrap();
    // Between two units, and in the middle of one that nobody answers yet.
    tansu.kill();
    let (applied, tansu) = tokio::join!(
        async {
            let applied = destination.apply(&mut unit(1)).await;
            destination.apply(&mut unit(2)).await.and(applied)
        },
        async {
            tokio::task::spawn_blocking(move || {
                tansu.start_again();
                tansu
            })
            .await
            .unwrap()
        }
    );
    applied.unwrap();
    destination.close().await.unwrap();
    assert!(reader.take().len() >= 900, "every record of every unit is there");
    drop(tansu);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_missing_are_made() {
    let tansu = Tansu::start();
    let more = serde_json::json!({"create_topics": {"partitions": 5}});
    let (config, log) = (config(&tansu, "made.{stream}", more), contract::log().await);
    let mut destination = Destination::strategy(&config, Path::new("."), Ledger::new(&log, "made")).unwrap();
    destination.open(&write::log()).await.unwrap();
    let rows = contract::numbered(&samples::numbered_rows("s", 0, 100), 0);
    destination.apply(&mut write::unit(0, 1, vec![rows])).await.unwrap();
    let records = tansu.reader("made.s").take();
    let partitions: std::collections::BTreeSet<_> = records.iter().map(|it| it.partition).collect();
    assert_eq!((records.len(), partitions.len()), (100, 5));
    destination.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_topic_is_missing_is_held_alone() {
    let tansu = Tansu::start();
    let (config, log) = (plain(&tansu, "{stream}"), contract::log().await);
    let mut destination = Destination::strategy(&config, Path::new("."), Ledger::new(&log, "held")).unwrap();
    destination.open(&write::log()).await.unwrap();
    let rows = contract::numbered(&samples::numbered_rows("missing", 0, 10), 0);
    let error = destination.apply(&mut write::unit(0, 1, vec![rows])).await.unwrap_err();
    assert_eq!((error.kind(), error.stream().unwrap().as_str()), (ErrorKind::Config, "missing"), "{error}");
    assert!(error.hint_text().unwrap().contains("--create --topic missing"), "{error}");
    destination.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_has_to_prove_itself() {
    let server = Mosquitto::start();
    let url = server.secure_url().replace("mqtts://", "kafkas://");
    let check = async |json: serde_json::Value| {
        let config: DestinationConfig = serde_json::from_value(json).unwrap();
        Destination::check(&config, Path::new(".")).await.remove(0)
    };
    let doubtful = check(serde_json::json!({"brokers": [url]})).await;
    assert_eq!(doubtful.kind(), ErrorKind::Config, "{doubtful}");
    assert!(doubtful.hint_text().unwrap().contains("`ca`"), "{doubtful}");
    // With the right authority the handshake is done, and who listens there turns out to speak something else.
    let ca = server.ca_certificate();
    let other = check(serde_json::json!({"brokers": [url], "ca": ca})).await;
    assert_eq!(other.kind(), ErrorKind::Unavailable, "{other}");
}
