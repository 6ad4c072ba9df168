use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use proptest::prelude::*;

use super::*;

/// The vector that the reference libraries of Standard Webhooks are tested with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_c2VjcmV0LW9mLXNvbWVib2R5LWVsc2U=";
const BODY: &[u8] = b"{\"test\": 2432232314}";
const SENT: i64 = 1_614_265_330;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn verifier(json: &str) -> Verifier {
    let config: VerifyConfig = serde_json::from_str(json).unwrap();
    assert_eq!(config.problems(&[]), []);
    Verifier::new(&config).unwrap()
}

fn standard(secrets: &str) -> Verifier {
    verifier(&format!(r#"{{"type": "standard-webhooks", "secret": {secrets}}}"#))
}

fn at(seconds: i64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

fn is_good(verifier: &Verifier, uri: &str, headers: &[(&str, &str)], body: &[u8], now: Time) -> bool {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let uri: Uri = uri.parse().unwrap();
    verifier.verify(&Request { uri: &uri, headers: &map, body }, now).is_ok()
}

fn headers<'a>(id: &'a str, sent: &'a str, signature: &'a str) -> [(&'a str, &'a str); 3] {
    [("webhook-id", id), ("webhook-timestamp", sent), ("Webhook-Signature", signature)]
}

#[test]
fn the_vector_of_standard_webhooks_verifies() {
    let (id, sent) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", SENT.to_string());
    let verifier = standard(&format!("{SECRET:?}"));
    let good = |signature: &str, now| is_good(&verifier, "/", &headers(id, &sent, signature), BODY, now);
    assert!(good(SIGNATURE, at(SENT)));
    assert!(good(SIGNATURE, at(SENT + 300)) && good(SIGNATURE, at(SENT - 300)));
    assert!(!good(SIGNATURE, at(SENT + 301)) && !good(SIGNATURE, at(SENT - 301)), "replayed");
    // Several signatures, of other keys and schemes.
    assert!(good(&format!("v1a,abcd v1,AAAA v2,{SIGNATURE} {SIGNATURE}"), at(SENT)));
    for signature in ["", "v1,", "v1", "v1,AAAA", &SIGNATURE[3..], &SIGNATURE.replace("v1,", "v2,")] {
        assert!(!good(signature, at(SENT)), "{signature}");
    }
    let any = |id: &str, sent: &str, body: &[u8]| {
        is_good(&verifier, "/", &headers(id, sent, SIGNATURE), body, at(SENT))
    };
    assert!(
        !any("msg_2", &sent, BODY)
            && !any(id, "1614265331", BODY)
            && !any(id, &sent, b"{\"test\": 2432232315}")
    );
    for sent in ["", "+1614265330", " 1614265330", "01614265330.0", "99999999999999999999"] {
        assert!(!any(id, sent, BODY), "{sent}");
    }
    let doubled = [&headers(id, &sent, SIGNATURE)[..], &[("webhook-signature", SIGNATURE)]].concat();
    assert!(!is_good(&verifier, "/", &doubled, BODY, at(SENT)), "a header twice");
    assert!(!is_good(&verifier, "/", &doubled[..2], BODY, at(SENT)), "no signature");
}

#[test]
fn while_a_secret_takes_the_place_of_another_both_are_good() {
    let sent = SENT.to_string();
    let headers = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", &sent, SIGNATURE);
    assert!(is_good(&standard(&format!("[{OTHER:?}, {SECRET:?}]")), "/", &headers, BODY, at(SENT)));
    assert!(!is_good(&standard(&format!("[{OTHER:?}]")), "/", &headers, BODY, at(SENT)));
}

/// The example of GitHub's "Validating webhook deliveries".
#[test]
fn githubs_example_verifies() {
    let verifier = verifier(
        r#"{"type": "hmac", "header": "X-Hub-Signature-256", "secret": "It's a Secret to Everybody", "prefix": "sha256="}"#,
    );
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let good = |signature: &str, body: &[u8]| {
        is_good(&verifier, "/", &[("x-hub-signature-256", signature)], body, at(0))
    };
    assert!(good(signature, b"Hello, World!"));
    assert!(
        !good(signature, b"Hello, World")
            && !good(&signature[7..], b"Hello, World!")
            && !good("sha256=", b"")
    );
}

/// The example of Slack's "Verifying requests from Slack".
#[test]
fn slacks_example_verifies() {
    let verifier = verifier(
        r#"{"type": "hmac", "header": "X-Slack-Signature", "secret": "8f742231b10e8888abcd99yyyzzz85a5", "prefix": "v0=",
            "signed": "v0:{{ timestamp }}:{{ body }}", "timestamp_header": "X-Slack-Request-Timestamp"}"#,
    );
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let headers = [
        ("X-Slack-Request-Timestamp", "1531420618"),
        ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    assert!(is_good(&verifier, "/", &headers, body, at(1_531_420_618)));
    assert!(!is_good(&verifier, "/", &headers, body, at(1_531_421_618)), "replayed");
    assert!(!is_good(&verifier, "/", &headers[1..], body, at(1_531_420_618)), "without the time");
}

#[test]
fn shared_secrets_stand_in_a_header_or_in_the_address() {
    let header = verifier(r#"{"type": "shared-secret", "header": "X-Token", "secret": ["old", "new"]}"#);
    let good = |headers: &[(&str, &str)]| is_good(&header, "/?X-Token=new", headers, b"", at(0));
    assert!(good(&[("x-token", "old")]) && good(&[("x-token", "new")]));
    assert!(!good(&[("x-token", "neW")]) && !good(&[]) && !good(&[("x-token", "")]));
    let query = verifier(r#"{"type": "shared-secret", "query": "key", "secret": "a b"}"#);
    let good = |uri: &str| is_good(&query, uri, &[("key", "a b")], b"", at(0));
    assert!(good("/?x=1&key=a%20b") && !good("/?key=a") && !good("/") && !good("/?key=a+b&key=a+b"));
}

#[test]
fn basic_authentication_takes_the_user_and_a_password() {
    let basic = verifier(r#"{"type": "basic", "user": "Aladdin", "password": "open:sesame"}"#);
    let good = |text: &str, scheme: &str| {
        let value = format!("{scheme} {}", STANDARD.encode(text));
        is_good(&basic, "/", &[("authorization", &value)], b"", at(0))
    };
    assert!(good("Aladdin:open:sesame", "Basic") && good("Aladdin:open:sesame", "basic"));
    assert!(
        !good("aladdin:open:sesame", "Basic") && !good("Aladdin:open", "Basic") && !good("Aladdin", "Basic")
    );
    assert!(!good("Aladdin:open:sesame", "Bearer"));
}

#[test]
fn without_verification_pages_in_a_browser_are_refused_still() {
    let nobody = verifier(r#"{"type": "none"}"#);
    assert!(is_good(&nobody, "/", &[], b"", at(0)));
    assert!(!is_good(&nobody, "/", &[("origin", "https://example.com")], b"", at(0)));
}

#[test]
fn what_cannot_verify_is_told_before_anything_is_sent() {
    let problems = |json: &str| {
        let config: VerifyConfig = serde_json::from_str(json).unwrap();
        let problems = config.problems(&["verify".to_owned()]);
        problems
            .into_iter()
            .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        problems(r#"{"type": "standard-webhooks", "secret": "whsec_secret!"}"#),
        ["verify.secret: a secret is not base64 behind `whsec_`"]
    );
    assert_eq!(
        problems(
            r#"{"type": "hmac", "header": "a b", "secret": [], "signed": "{{ body }}", "timestamp_header": "T"}"#
        ),
        [
            "verify.secret: a secret is empty",
            "verify.header: `a b` is no header's name",
            "verify.timestamp_header: the timestamp in `T` is not signed, so anybody can write another",
        ]
    );
    assert_eq!(
        problems(r#"{"type": "hmac", "header": "h", "secret": "s", "signed": "{{ timestamp }}{{ body }}"}"#),
        ["verify.timestamp_header: a timestamp is signed, but no header is said to hold it"]
    );
    assert_eq!(
        problems(r#"{"type": "shared-secret", "header": "h", "query": "q", "secret": ""}"#),
        ["verify.secret: a secret is empty", "verify.header: a shared secret stands in one place"]
    );
    assert_eq!(problems(r#"{"type": "basic", "user": "a:b", "password": "p"}"#).len(), 1);
}

proptest! {
    /// Of all there is to change, nothing may be changed.
    #[test]
    fn nothing_that_is_signed_can_be_changed(
        secret in prop::collection::vec(any::<u8>(), 1..80), id in "[a-z0-9_]{1,12}", body in prop::collection::vec(any::<u8>(), 0..80),
        place in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let verifier = standard(&format!("\"whsec_{}\"", STANDARD.encode(&secret)));
        let mut mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(&secret).unwrap();
        hmac::Mac::update(&mut mac, &[format!("{id}.{SENT}.").as_bytes(), &body].concat());
        let code: Vec<u8> = hmac::Mac::finalize(mac).into_bytes().to_vec();
        let sent = SENT.to_string();
        let good = |id: &str, code: &[u8], body: &[u8]| {
            is_good(&verifier, "/", &headers(id, &sent, &format!("v1,{}", STANDARD.encode(code))), body, at(SENT))
        };
        prop_assert!(good(&id, &code, &body));
        let flipped = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            if !bytes.is_empty() {
                let at = place.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            bytes
        };
        prop_assert!(!good(&id, &flipped(&code), &body));
        prop_assert!(body.is_empty() || !good(&id, &code, &flipped(&body)));
        let other = format!("{id}x");
        prop_assert!(!good(&other, &code, &body));
    }
}
