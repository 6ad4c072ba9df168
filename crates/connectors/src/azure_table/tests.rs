//! What the service may answer and Azurite does not: a small server plays it.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tidemark_engine::{ErrorKind, world::World};
use tidemark_test_servers::{Front, Response, Treatment};

use super::{Source, config::SourceConfig};
use crate::{
    polling::{Answer, Ask, Pages, Records, Sweep},
    records::Cell,
};

/// An account behind `port` whose one stream is `orders`.
fn pages(port: u16) -> Box<dyn Pages> {
    let config: SourceConfig = serde_json::from_value(json!({
        "url": format!("http://127.0.0.1:{port}/a"),
        "auth": {"type": "azure-sas", "token": "?sv=2019-02-02&sig=hunter2"},
        "streams": {"orders": {"table": "Orders"}},
        "allow_hosts": ["127.0.0.1"],
        "retry": {"attempts": 2},
    }))
    .unwrap();
    let source = Source::new(config).unwrap();
    let service = source.service(World::real()).unwrap();
    let (name, stream) = source.streams(&[]).into_iter().next().unwrap();
    source.open_stream(&service, &name, &stream).unwrap().pages
}

/// A server that gives these answers one after another, and the targets it was asked for.
fn server(answers: Vec<Response>) -> (Front, Arc<Mutex<Vec<String>>>) {
    let front = Front::before(1);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, mut answers) = (asked.clone(), answers.into_iter());
    front.treat(move |request| {
        seen.lock().unwrap().push(request.target.clone());
        Treatment::Answer(answers.next().unwrap())
    });
    (front, asked)
}

fn page(next: &[(&str, &str)], entities: &str) -> Response {
    let headers = [&[("content-type", "application/json;odata=minimalmetadata")], next].concat();
    Response::new(200, &headers, format!("{{\"odata.metadata\": \"x\", \"value\": [{entities}]}}").as_bytes())
}

fn entity(row: &str) -> String {
    format!(
        "{{\"odata.etag\": \"W/1\", \"PartitionKey\": \"p\", \"RowKey\": \"{row}\", \"Timestamp\": \
         \"2013-08-22T01:12:06.2608595Z\", \"N@odata.type\": \"Edm.Int64\", \"N\": \"1\"}}"
    )
}

async fn next(pages: &mut dyn Pages, token: Option<String>) -> tidemark_engine::Result<crate::polling::Page> {
    let ask = Ask { sweep: Sweep::All, token, begun: World::real().now(), unless_unchanged: false };
    match pages.page(&ask).await? {
        Answer::Page(page) => Ok(page),
        Answer::Unchanged | Answer::Expired => panic!("there is always a page"),
    }
}

#[tokio::test]
async fn an_empty_page_is_not_the_end() {
    const PARTITION: &str = "x-ms-continuation-NextPartitionKey";
    const ROW: &str = "x-ms-continuation-NextRowKey";
    let busy = Response::new(503, &[("retry-after", "0"), ("content-type", "application/json")], b"{}");
    let (front, asked) = server(vec![
        page(&[(PARTITION, "1!4!cA--"), (ROW, "1!4!Mg--")], &entity("1")),
        page(&[(PARTITION, "1!4!cQ--")], ""),
        busy,
        page(&[(PARTITION, "1!4!cg--"), (ROW, "")], ""),
        page(&[], &[entity("2"), entity("3")].join(",")),
    ]);
    let mut pages = pages(front.port());
    let (mut token, mut rows, mut sizes) = (None, Vec::new(), Vec::new());
    loop {
        let page = next(pages.as_mut(), token).await.unwrap();
        let Records::Text(records) = &page.records else { panic!("entities come as text") };
        sizes.push(records.len());
        for row in 0..records.len() {
            assert_eq!(records.names(), ["PartitionKey", "RowKey", "Timestamp", "N"]);
            let Cell::Value { text, .. } = records.cell(1, row) else { panic!("no key") };
            rows.push(text.to_owned());
        }
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!((rows.join(" ").as_str(), sizes.as_slice()), ("1 2 3", &[1, 0, 0, 2][..]));
    let asked: Vec<_> = asked.lock().unwrap().iter().map(|target| target.replace("$", "%24")).collect();
    let target = |place: &str| format!("/a/Orders()?%24top=1000{place}&sv=2019-02-02&sig=hunter2");
    let places = [
        "",
        "&NextPartitionKey=1%214%21cA--&NextRowKey=1%214%21Mg--",
        "&NextPartitionKey=1%214%21cQ--",
        "&NextPartitionKey=1%214%21cQ--",
        "&NextPartitionKey=1%214%21cg--&NextRowKey=",
    ];
    assert_eq!(asked, places.map(target));
}

#[tokio::test]
async fn what_cannot_be_a_page_is_an_error_without_a_value() {
    let gone = Response::new(
        404,
        &[("content-type", "application/json")],
        br#"{"odata.error": {"code": "TableNotFound", "message": {"lang": "en-US", "value": "hunter2"}}}"#,
    );
    let cases = [
        (gone, ErrorKind::Config, "there is no table `Orders`"),
        (
            page(&[], r#"{"PartitionKey": "hunter2", "N@odata.type": "Edm.Decimal", "N": "1.5"}"#),
            ErrorKind::Data,
            "`Edm.Decimal`",
        ),
        (page(&[("x-ms-continuation-NextPartitionKey", "same")], ""), ErrorKind::Data, "is the same page"),
        (
            Response::new(200, &[("content-type", "application/json")], b"{\"odata.error\": {}}"),
            ErrorKind::Data,
            "Orders",
        ),
    ];
    for (answer, kind, words) in cases {
        let (front, _) = server(vec![answer]);
        let token = "{\"partition\": \"same\"}".to_owned();
        let error = next(pages(front.port()).as_mut(), Some(token)).await.err().unwrap();
        let text = format!("{error} {}", error.hint_text().unwrap_or_default());
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn every_problem_is_found_without_the_network() {
    let problems = |config| {
        let config: SourceConfig = serde_json::from_value(config).unwrap();
        let shown =
            |problem: crate::config::Problem| format!("{}: {}", problem.path.join("."), problem.message);
        config.validate().into_iter().map(shown).collect::<Vec<_>>()
    };
    let sas = json!({"type": "azure-sas", "token": "?sig=x"});
    assert_eq!(problems(json!({"url": "https://a.table.core.windows.net/", "auth": sas})), [""; 0]);
    assert_eq!(problems(json!({"connection_string": "AccountName=a;AccountKey=a2V5"})), [""; 0]);
    assert_eq!(problems(json!({})), ["url: nothing says which storage account to read"]);
    assert_eq!(
        problems(json!({"connection_string": "hunter2"})),
        ["connection_string: `connection_string` holds a part that is no `Name=value`"]
    );
    assert_eq!(
        problems(json!({"url": "https://a.table.core.windows.net?sig=hunter2", "auth": sas, "poll": "0s"})),
        ["url: the account's URL cannot be read", "poll: `0s` is no pause"]
    );
    let streams = json!({"a-b": {"exclude": ["RowKey"], "types": {"x": "varchar"}, "select": ["*"]}, "orders": {"compare_every": "0s"}});
    assert_eq!(
        problems(json!({"connection_string": "AccountName=a;AccountKey=a2V5", "streams": streams})),
        [
            "streams.a-b.types.x: `varchar` is no kind of column",
            "streams.a-b.table: `a-b` cannot be the name of a table",
            "streams.a-b.exclude: `RowKey` tells entities apart",
            "streams.a-b.select: `*` is no name of a property",
            "streams.orders.compare_every: `0s` is no time",
        ]
    );
}
