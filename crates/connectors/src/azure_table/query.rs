//! What is asked for: "Query Entities" of Microsoft's documentation.

use http::{HeaderValue, header::ACCEPT};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidemark_engine::{Error, Result};
use url::Url;

use super::{config::TableStream, entities::TIMESTAMP, place::Place};
use crate::http::client::Request;

/// The columns that tell entities apart.
pub(super) const KEY: [&str; 2] = ["PartitionKey", "RowKey"];
/// As many entities as the service puts on a page.
const PAGE: &str = "1000";
/// The version of the service that is spoken to.
const VERSION: &str = "2019-02-02";
/// Types that do not go without saying are said; addresses and tags of entities are left out.
const FORMAT: &str = "application/json;odata=minimalmetadata";
/// What stands for itself in a query: the rest of what may would have to be signed as it is sent.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is asked of one table.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) table: String,
    filter: Option<String>,
    /// Empty: all properties.
    select: Vec<String>,
}

impl Query {
    /// What the stream `name` asks for.
    pub(super) fn new(name: &str, stream: &TableStream) -> Self {
        let mut select = Vec::new();
        if !stream.select.is_empty() {
            select.extend(KEY.map(str::to_owned));
            select.push(TIMESTAMP.to_owned());
            select.extend(
                stream.select.iter().filter(|name| !select.contains(name)).cloned().collect::<Vec<_>>(),
            );
        }
        Self { table: stream.table(name).to_owned(), filter: stream.filter.clone(), select }
    }

    /// Asks the account at `base` for the page at `place` of what has changed `since` then.
    pub(super) fn request(&self, base: &Url, since: Option<&str>, place: Option<&Place>) -> Result<Request> {
        let mut parameters = vec![("$top", PAGE.to_owned())];
        let since = since.map(condition).transpose()?;
        let filter = match (&self.filter, since) {
            (Some(filter), Some(since)) => Some(format!("({filter}) and {since}")),
            (filter, since) => since.or_else(|| filter.clone()),
        };
        parameters.extend(filter.map(|filter| ("$filter", filter)));
        if !self.select.is_empty() {
            parameters.push(("$select", self.select.join(",")));
        }
        if let Some(Place { partition, row }) = place {
            parameters.push(("NextPartitionKey", partition.clone()));
            parameters.extend(row.as_ref().map(|row| ("NextRowKey", row.clone())));
        }
        Ok(request(base, &format!("{}()", self.table), &parameters))
    }
}

/// Asks the account at `base` for the list of its tables from `next` on.
pub(super) fn tables(base: &Url, next: Option<String>) -> Request {
    let parameters: Vec<_> = next.map(|next| ("NextTableName", next)).into_iter().collect();
    request(base, "Tables", &parameters)
}

fn request(base: &Url, resource: &str, parameters: &[(&str, String)]) -> Request {
    let mut url = base.clone();
    url.set_path(&format!("{}/{resource}", base.path().trim_end_matches('/')));
    let encoded = |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, ENCODED));
    if !parameters.is_empty() {
        url.set_query(Some(&parameters.iter().map(encoded).collect::<Vec<_>>().join("&")));
    }
    let mut request = Request::get(url);
    for (name, value) in [
        (ACCEPT.as_str(), FORMAT),
        ("x-ms-version", VERSION),
        ("dataserviceversion", "3.0"),
        ("maxdataserviceversion", "3.0;NetFx"),
    ] {
        request.headers.insert(name_of(name), HeaderValue::from_static(value));
    }
    request
}

fn name_of(name: &'static str) -> http::HeaderName {
    http::HeaderName::from_static(name)
}

/// What holds for entities that have changed since `mark`.
fn condition(mark: &str) -> Result<String> {
    let is_time = |byte: u8| byte.is_ascii_digit() || b"-:.TZ+ ".contains(&byte);
    match mark.bytes().all(is_time) {
        true => Ok(format!("{TIMESTAMP} ge datetime'{mark}'")),
        false => Err(Error::conflict("the mark that a table was read to is no time")
            .hint("have the stream read anew: `tidemark resync FILE --stream NAME`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(stream: &str, since: Option<&str>, place: Option<&Place>) -> String {
        let base = "http://127.0.0.1:10002/devstoreaccount1".parse().unwrap();
        let query = Query::new("orders", &serde_json::from_str(stream).unwrap());
        let url = query.request(&base, since, place).unwrap().url;
        assert!(!url.query().unwrap_or_default().contains(['+', ' ']), "{url}");
        let pairs = url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        format!("{} {}", url.path(), pairs.join(" & "))
    }

    #[test]
    fn filters_are_joined_and_names_are_listed() {
        assert_eq!(asked("{}", None, None), "/devstoreaccount1/orders() $top=1000");
        let filtered = r#"{"table": "Orders", "filter": "a eq 1 or b eq 'x+y'", "select": ["a", "RowKey"]}"#;
        assert_eq!(
            asked(filtered, Some("2013-01-01T00:00:00.1234567Z"), None),
            "/devstoreaccount1/Orders() $top=1000 & $filter=(a eq 1 or b eq 'x+y') and Timestamp ge \
             datetime'2013-01-01T00:00:00.1234567Z' & $select=PartitionKey,RowKey,Timestamp,a"
        );
        assert!(
            Query::new("orders", &TableStream::default())
                .request(&"https://a.table.x".parse().unwrap(), Some("' or true or '"), None)
                .is_err()
        );
    }

    #[test]
    fn it_goes_on_where_the_page_before_says() {
        let place = |row: Option<&str>| Place { partition: "1!4!YQ--".into(), row: row.map(str::to_owned) };
        assert!(
            asked("{}", None, Some(&place(Some("")))).ends_with("NextPartitionKey=1!4!YQ-- & NextRowKey=")
        );
        assert!(asked("{}", None, Some(&place(None))).ends_with("NextPartitionKey=1!4!YQ--"));
        let token = place(Some("a/b")).to_token().unwrap();
        assert_eq!(Place::from_token(&token).unwrap(), place(Some("a/b")));
    }
}
