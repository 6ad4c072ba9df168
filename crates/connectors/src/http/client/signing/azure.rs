//! Azure Storage: "Authorize with Shared Key" and shared access signatures.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use tidemark_engine::{Error, Result, Time};
use url::Url;

use super::{mac, set};
use crate::{
    config::Secret,
    http::client::{
        config::{AzureService, AzureSharedKey},
        request::Hop,
    },
};

/// The version of the service that is asked for, where the request asks for none.
const VERSION: &str = "2021-08-06";

const DATE: HeaderName = HeaderName::from_static("x-ms-date");
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-ms-version");

/// Signs `hop` with the account's key.
pub(in crate::http::client) fn sign_shared_key(
    hop: &mut Hop,
    config: &AzureSharedKey,
    now: Time,
) -> Result<()> {
    let date = DateTime::from_timestamp_micros(now.as_micros()).unwrap_or_default();
    set(hop, DATE, &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string())?;
    if !hop.headers.contains_key(VERSION_HEADER) {
        set(hop, VERSION_HEADER, VERSION)?;
    }
    let text = match config.service {
        AzureService::Table => table_string(hop, &config.account),
        AzureService::Blob | AzureService::Queue => storage_string(hop, &config.account),
    };
    let unsound =
        |_| Error::config("the key of the storage account is not Base64").hint("copy it from the portal");
    let key = BASE64_STANDARD.decode(config.key.expose()).map_err(unsound)?;
    let signature = BASE64_STANDARD.encode(mac::sha256(&key, text.as_bytes())?);
    set(hop, AUTHORIZATION, &format!("SharedKey {}:{signature}", config.account))
}

/// Adds a shared access signature to the query.
pub(in crate::http::client) fn append_sas(hop: &mut Hop, token: &Secret) {
    let token = token.expose().trim().trim_start_matches('?');
    let query = match hop.url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&{token}"),
        None => token.to_owned(),
    };
    hop.url.set_query(Some(&query));
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// "Table service (Shared Key authorization)": the date stands in its own line, whichever header carries it, and of the query
/// `comp` alone is signed.
fn table_string(hop: &Hop, account: &str) -> String {
    let Hop { method, url, headers, .. } = hop;
    let comp = url.query_pairs().find(|(name, _)| name == "comp");
    let comp = comp.map(|(_, value)| format!("?comp={value}")).unwrap_or_default();
    let [md5, kind, date] = ["content-md5", "content-type", "x-ms-date"].map(|name| header(headers, name));
    format!("{method}\n{md5}\n{kind}\n{date}\n/{account}{}{comp}", url.path())
}

/// "Blob, Queue, and File services (Shared Key authorization)", version 2015-02-21 and later: a length of zero is an empty line.
/// The date stands among the headers.
fn storage_string(hop: &Hop, account: &str) -> String {
    let Hop { method, url, headers, body } = hop;
    let length = if body.is_empty() { String::new() } else { body.len().to_string() };
    let [encoding, language, md5, kind] =
        ["content-encoding", "content-language", "content-md5", "content-type"]
            .map(|name| header(headers, name));
    let mut text = format!("{method}\n{encoding}\n{language}\n{length}\n{md5}\n{kind}\n\n");
    for name in ["if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"] {
        text.push_str(header(headers, name));
        text.push('\n');
    }
    let mut own: Vec<&HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-ms-")).collect();
    own.sort_by_key(|name| name.as_str());
    for name in own {
        text.push_str(&format!("{name}:{}\n", header(headers, name.as_str()).trim()));
    }
    text.push_str(&resource(url, account));
    text
}

/// "Constructing the canonicalized resource string": every parameter by its name in small letters, its values sorted.
fn resource(url: &Url, account: &str) -> String {
    let mut parameters: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
    parameters.sort();
    let mut text = format!("/{account}{}", url.path());
    let mut last = None;
    for (name, value) in &parameters {
        if last == Some(name) {
            text.push_str(&format!(",{value}"));
        } else {
            text.push_str(&format!("\n{name}:{value}"));
        }
        last = Some(name);
    }
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;

    fn hop(method: Method, url: &str, headers: &[(&'static str, &str)], body: &'static str) -> Hop {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Hop {
            method,
            url: url.parse().unwrap(),
            headers: headers.collect(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// The examples of the documentation.
    #[test]
    fn strings_are_those_of_the_documentation() {
        let date = ("x-ms-date", "Sun, 11 Oct 2009 19:52:39 GMT");
        let table = "https://testaccount1.table.core.windows.net/Tables";
        let create = hop(Method::POST, table, &[date, ("content-type", "application/atom+xml")], "");
        let wanted = "POST\n\napplication/atom+xml\nSun, 11 Oct 2009 19:52:39 GMT\n/testaccount1/Tables";
        assert_eq!(table_string(&create, "testaccount1"), wanted);
        let properties =
            hop(Method::GET, "https://a.table.core.windows.net/?restype=service&comp=properties", &[], "");
        assert!(table_string(&properties, "a").ends_with("\n/a/?comp=properties"));

        let blob =
            "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let headers = [("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"), ("x-ms-version", "2015-02-21")];
        let wanted = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                      /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
        assert_eq!(storage_string(&hop(Method::GET, blob, &headers, ""), "myaccount"), wanted);
        let list = "https://myaccount.blob.core.windows.net/c?restype=container&comp=list&include=snapshots&include=metadata";
        let wanted = "/myaccount/c\ncomp:list\ninclude:metadata,snapshots\nrestype:container";
        assert_eq!(resource(&list.parse().unwrap(), "myaccount"), wanted);
    }

    #[test]
    fn a_shared_access_signature_joins_the_query() {
        let mut plain = hop(Method::GET, "https://a.table.core.windows.net/T", &[], "");
        append_sas(&mut plain, &Secret::new("?sv=1&sig=a%2Bb"));
        append_sas(&mut plain, &Secret::new("x=1"));
        assert_eq!(plain.url.query(), Some("sv=1&sig=a%2Bb&x=1"));
    }
}
