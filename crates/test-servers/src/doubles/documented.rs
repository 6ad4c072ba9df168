//! Doubles answer in the shape of the examples that the vendors' documentation gives; the values are ours.

use serde_json::Value;

use super::{Dataverse, Double, GitHub, Graph, Nws, OpenMeteo, Salesforce, Service, SharePointList, X};
use crate::http;

/// What a double answers to a request for `target`.
fn answer<S: Service>(double: &Double<S>, target: &str, header: (&str, &str)) -> Value {
    let token = format!("Bearer {}", double.trouble(|trouble| trouble.token()));
    let headers = [("authorization", token.as_str()), ("user-agent", "a test"), header];
    let port = double.url().rsplit(':').next().unwrap().parse().unwrap();
    let bytes = http::send(port, "GET", target, &headers, b"").bytes;
    let text = String::from_utf8(bytes).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Everything in `documented` is in `given`, with the same type.
fn has_shape(given: &Value, documented: &str) {
    fn compare(given: &Value, documented: &Value, at: &str) {
        match (given, documented) {
            (Value::Object(given), Value::Object(documented)) => {
                for (name, documented) in documented {
                    let given = given
                        .get(name)
                        .unwrap_or_else(|| panic!("there is no `{name}` at `{at}`: {given:?}"));
                    compare(given, documented, &format!("{at}.{name}"));
                }
            }
            (Value::Array(given), Value::Array(documented)) => {
                assert!(given.len() >= documented.len(), "there is too little at `{at}`: {given:?}");
                given.iter().zip(documented).for_each(|(given, documented)| compare(given, documented, at));
            }
            (given, documented) => assert_eq!(kind(given), kind(documented), "at `{at}`: {given}"),
        }
    }
    compare(given, &serde_json::from_str(documented).unwrap(), "$");
}

fn kind(value: &Value) -> &str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(text) if text.starts_with("http") => "a link",
        Value::String(text) if text.len() > 10 && text.as_bytes()[10] == b'T' => "a moment",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

const NONE: (&str, &str) = ("accept", "application/json");

#[test]
fn graph_gives_pages_links_and_items_that_are_deleted() {
    let double = Double::of(Graph::new("s", "l"));
    double.with(|list| (0..201).for_each(|_| _ = list.create("An item")));
    let path = "/v1.0/sites/s/lists/l/items/delta";
    let item = r#"{"createdDateTime": "2024-01-01T00:00:00Z", "eTag": "e", "id": "1", "lastModifiedDateTime": "2024-01-01T00:00:00Z",
        "webUrl": "http://a/b", "createdBy": {"user": {"displayName": "A"}}, "parentReference": {"id": "1", "siteId": "S"},
        "contentType": {"id": "0x01", "name": "Item"}}"#;
    let first = answer(&double, path, NONE);
    has_shape(
        &first,
        &format!(r#"{{"value": [{item}, {item}], "@odata.nextLink": "https://a/delta?token=t"}}"#),
    );
    let target = |link: &Value| link.as_str().unwrap().trim_start_matches(&double.url()).to_owned();
    let last = answer(&double, &target(&first["@odata.nextLink"]), NONE);
    has_shape(&last, &format!(r#"{{"value": [{item}], "@odata.deltaLink": "https://a/delta?token=t"}}"#));
    double.with(|list| list.delete(7));
    let gone = r#"{"id": "3", "parentReference": {"siteId": "S"}, "contentType": {"id": "0x01", "name": "Item"}, "deleted": {"state": "deleted"}}"#;
    let delta = answer(&double, &target(&last["@odata.deltaLink"]), NONE);
    has_shape(&delta, &format!(r#"{{"value": [{gone}], "@odata.deltaLink": "https://a/delta?token=t"}}"#));
    double.with(|list| list.forget());
    let error = answer(&double, &target(&last["@odata.deltaLink"]), NONE);
    assert_eq!(error["error"]["code"], "resyncChangesApplyDifferences");
}

#[test]
fn dataverse_gives_records_and_those_that_are_deleted() {
    let double = Double::of(Dataverse::new());
    double.with(|table| (0..3).for_each(|_| _ = table.create("Monte Rosa")));
    let first = answer(&double, "/api/data/v9.2/accounts", ("prefer", "odata.track-changes"));
    has_shape(
        &first,
        r#"{"@odata.context": "http://a/$metadata", "@odata.deltaLink": "http://a/accounts?$deltatoken=1%21", "value":
            [{"@odata.etag": "W/\"1\"", "name": "A", "accountnumber": null, "accountid": "60c4e274"}]}"#,
    );
    double.with(|table| table.delete(2));
    let link = first["@odata.deltaLink"].as_str().unwrap().trim_start_matches(&double.url()).to_owned();
    has_shape(
        &answer(&double, &link, NONE),
        r#"{"@odata.deltaLink": "http://a/", "value": [{"@odata.context": "http://a/", "id": "60c4e274", "reason": "deleted"}]}"#,
    );
}

#[test]
fn salesforce_gives_batches() {
    let double = Double::of(Salesforce::new());
    double.with(|object| (0..2_001).for_each(|_| _ = object.create("Merchandise 1")));
    let query =
        "SELECT+Id,+Name,+AnnualRevenue,+SystemModstamp,+IsDeleted+FROM+Account+ORDER+BY+SystemModstamp,+Id";
    let first = answer(&double, &format!("/services/data/v62.0/queryAll?q={query}"), NONE);
    let record = r#"{"attributes": {"type": "Account", "url": "/services/data"}, "Id": "001D", "Name": "A"}"#;
    has_shape(
        &first,
        &format!(
            r#"{{"totalSize": 3, "done": false, "nextRecordsUrl": "/services/data/v62.0/query/0-2", "records": [{record}]}}"#
        ),
    );
    assert_eq!((&first["done"], first["records"].as_array().unwrap().len()), (&false.into(), 2_000));
    let last = answer(&double, first["nextRecordsUrl"].as_str().unwrap(), NONE);
    assert_eq!((&last["done"], last.get("nextRecordsUrl")), (&true.into(), None));
}

#[test]
fn sharepoint_x_github_and_the_weather_answer_as_documented() {
    let double = Double::of(SharePointList::new("A"));
    double.with(|list| (0..3).for_each(|_| _ = list.create("A", 1.0)));
    let page = answer(&double, "/_api/web/lists/getbytitle('A')/items?$top=2", NONE);
    has_shape(
        &page,
        r#"{"value": [{"Id": 1, "Title": "A", "Modified": "2024-01-01T00:00:00Z"}], "odata.nextLink": "https://a"}"#,
    );
    assert!(page["odata.nextLink"].as_str().unwrap().contains("%24skiptoken=Paged%3dTRUE%26p_ID%3d2"));

    let double = Double::of(X::new());
    let target = "/2/tweets/search/recent?query=snow&max_results=10";
    assert_eq!(answer(&double, target, NONE), serde_json::json!({"meta": {"result_count": 0}}));
    double.with(|x| (0..11).for_each(|_| x.post("snow")));
    let meta = r#"{"newest_id": "2", "oldest_id": "1", "next_token": "b26v", "result_count": 10}"#;
    has_shape(
        &answer(&double, target, NONE),
        &format!(r#"{{"data": [{{"id": "2", "text": "a"}}], "meta": {meta}}}"#),
    );

    let double = Double::of(GitHub::new());
    double.with(|repository| repository.open("A"));
    has_shape(
        &answer(&double, "/repos/octo/orders/issues", NONE),
        r#"[{"id": 1, "node_id": "a", "number": 1, "state": "open", "title": "a", "user": {"login": "a", "id": 1}, "labels": [],
            "locked": false, "comments": 0, "closed_at": null, "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}]"#,
    );

    let double = Double::of(OpenMeteo::new());
    let target = "/v1/forecast?latitude=52.5&longitude=13.4&current=temperature_2m,wind_speed_10m";
    has_shape(
        &answer(&double, target, NONE),
        r#"{"latitude": 1.0, "longitude": 1.0, "elevation": 1.0, "generationtime_ms": 1.0, "utc_offset_seconds": 0, "timezone": "UTC",
            "current": {"time": "2024-01-01T00:00", "temperature_2m": 2.0, "wind_speed_10m": 1.0}}"#,
    );

    let double = Double::of(Nws::new());
    double.with(|nws| nws.observe(2.0));
    let properties = r#"{"@id": "https://a", "station": "https://a", "timestamp": "2024-01-01T00:00:00+00:00", "textDescription": "a",
        "temperature": {"unitCode": "wmoUnit:degC", "value": 1.0, "qualityControl": "V"}}"#;
    has_shape(
        &answer(&double, "/stations/KJFK/observations", NONE),
        &format!(
            r#"{{"type": "FeatureCollection", "features": [{{"id": "https://a", "type": "Feature", "properties": {properties}}}]}}"#
        ),
    );
}
