//! AWS Signature Version 4 ("Create a signed AWS API request").

use chrono::DateTime;
use http::{HeaderName, header::AUTHORIZATION};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use tidemark_engine::{Result, Time};
use url::{Position, Url};

use super::{mac, set};
use crate::http::client::{config::AwsSigV4, request::Hop};

/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Headers that servers and proxies on the way may change.
const UNSIGNED: [&str; 5] = ["authorization", "user-agent", "accept-encoding", "connection", "expect"];

/// Signs `hop` with all of its headers and its body.
pub(in crate::http::client) fn sign_v4(hop: &mut Hop, config: &AwsSigV4, now: Time) -> Result<()> {
    let now = DateTime::from_timestamp_micros(now.as_micros()).unwrap_or_default();
    let (day, moment) = (now.format("%Y%m%d").to_string(), now.format("%Y%m%dT%H%M%SZ").to_string());
    set(hop, HeaderName::from_static("x-amz-date"), &moment)?;
    if let Some(token) = &config.session_token {
        set(hop, HeaderName::from_static("x-amz-security-token"), token.expose())?;
    }
    let payload = mac::hash(&hop.body);
    let is_s3 = config.service.starts_with("s3");
    if is_s3 || config.service == "aoss" {
        set(hop, HeaderName::from_static("x-amz-content-sha256"), &payload)?;
    }

    let headers = headers(hop);
    let signed: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let signed = signed.join(";");
    let mut request = format!("{}\n{}\n{}\n", hop.method, path(&hop.url, is_s3), query(&hop.url));
    for (name, value) in &headers {
        request.push_str(&format!("{name}:{value}\n"));
    }
    request.push_str(&format!("\n{signed}\n{payload}"));

    let scope = format!("{day}/{}/{}/aws4_request", config.region, config.service);
    let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", mac::hash(request.as_bytes()));
    let mut key = format!("AWS4{}", config.secret_access_key.expose()).into_bytes();
    for part in [day.as_str(), &config.region, &config.service, "aws4_request"] {
        key = mac::sha256(&key, part.as_bytes())?;
    }
    let signature = mac::hex(&mac::sha256(&key, text.as_bytes())?);
    let id = &config.access_key_id;
    let value =
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
    set(hop, AUTHORIZATION, &value)
}

/// The path as it travels, encoded; once more where the service is not S3.
fn path(url: &Url, is_s3: bool) -> String {
    let encode = |segment: &str| {
        let once = percent_encode(&percent_decode_str(segment).collect::<Vec<u8>>(), ENCODED).to_string();
        if is_s3 { once } else { utf8_percent_encode(&once, ENCODED).to_string() }
    };
    url.path().split('/').map(encode).collect::<Vec<_>>().join("/")
}

fn query(url: &Url) -> String {
    let encode =
        |text: &str| percent_encode(&percent_decode_str(text).collect::<Vec<u8>>(), ENCODED).to_string();
    let pairs = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(a, b)| (encode(a), encode(b)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The headers that are signed, by name, blanks in their values drawn together.
fn headers(hop: &Hop) -> Vec<(String, String)> {
    let mut headers =
        vec![("host".to_owned(), hop.url[Position::BeforeHost..Position::AfterPort].to_owned())];
    for name in
        hop.headers.keys().filter(|name| !UNSIGNED.contains(&name.as_str()) && name.as_str() != "host")
    {
        let values = hop.headers.get_all(name).iter();
        let plain = values.map(|value| {
            String::from_utf8_lossy(value.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" ")
        });
        headers.push((name.to_string(), plain.collect::<Vec<_>>().join(",")));
    }
    headers.sort();
    headers
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;
    use crate::config::Secret;

    fn signed(
        config: &AwsSigV4,
        now: &str,
        method: &str,
        url: &str,
        headers: &[(&'static str, &str)],
        body: &'static str,
    ) -> String {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut hop =
            Hop { method, url: url.parse().unwrap(), headers, body: Bytes::from_static(body.as_bytes()) };
        sign_v4(&mut hop, config, Time::parse(now).unwrap()).unwrap();
        hop.headers["authorization"].to_str().unwrap().to_owned()
    }

    fn config(id: &str, key: &str, service: &str) -> AwsSigV4 {
        AwsSigV4 {
            access_key_id: id.into(),
            secret_access_key: Secret::new(key),
            session_token: None,
            region: "us-east-1".into(),
            service: service.into(),
        }
    }

    /// AWS's own test suite for Signature Version 4.
    #[test]
    fn signatures_are_those_of_the_test_suite() {
        let suite = config("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "service");
        let host = "https://example.amazonaws.com";
        let sign = |config: &AwsSigV4, method, path: &str, headers: &[(&'static str, &str)]| {
            signed(config, "2015-08-30T12:36:00Z", method, &format!("{host}{path}"), headers, "")
        };
        let vanilla = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                       SignedHeaders=host;x-amz-date, \
                       Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert_eq!(sign(&suite, "GET", "/", &[]), vanilla);
        let unreserved = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for (method, path, headers, signature) in [
            ("POST", "/", vec![], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                vec![],
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            ("GET", "/?ሴ=bar", vec![], "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
            ("GET", unreserved, vec![], "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
            (
                "POST",
                "/",
                vec![("my-header1", "value1")],
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
        ] {
            let found = sign(&suite, method, path, &headers);
            assert!(found.ends_with(signature), "{method} {path}: {found}");
        }
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let temporary = AwsSigV4 { session_token: Some(Secret::new(token)), ..suite };
        let signature = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8";
        assert!(sign(&temporary, "GET", "/", &[]).ends_with(signature));
    }

    /// The examples of S3's reference ("Signature Calculations for the Authorization Header").
    #[test]
    fn signatures_for_s3_are_those_of_its_reference() {
        let s3 = config("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s3");
        let sign = |method, path: &str, headers: &[(&'static str, &str)], body| {
            let url = format!("https://examplebucket.s3.amazonaws.com{path}");
            signed(&s3, "2013-05-24T00:00:00Z", method, &url, headers, body)
        };
        let found = sign("GET", "/test.txt", &[("range", "bytes=0-9")], "");
        assert!(
            found.ends_with("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            "{found}"
        );
        let headers =
            [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let found = sign("PUT", "/test$file.text", &headers, "Welcome to Amazon S3.");
        assert!(
            found.ends_with("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            "{found}"
        );
    }

    #[test]
    fn paths_of_other_services_are_encoded_twice() {
        let url = "https://a.example/a%20b/c$d".parse().unwrap();
        assert_eq!(path(&url, true), "/a%20b/c%24d");
        assert_eq!(path(&url, false), "/a%2520b/c%2524d");
    }
}
