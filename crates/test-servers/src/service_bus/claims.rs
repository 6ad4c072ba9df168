//! Tokens that clients show at the node `$cbs`.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{KEY, POLICY, message::Sections, value::Value};

/// What the service thinks of a request, and which place it lets its client send to from now on.
pub(super) fn answer(request: &Sections) -> (i32, Option<String>) {
    let text = |name: &str| request.application(name).and_then(Value::as_text);
    // Microsoft's client for Python says "jwt" of any token.
    let is_known = matches!(text("type"), Some("servicebus.windows.net:sastoken" | "jwt"));
    if text("operation") != Some("put-token") || !is_known {
        return (400, None);
    }
    let token = request.value.as_ref().and_then(Value::as_text);
    match token.zip(text("name")) {
        Some((token, audience)) if is_sound(token, audience) => (202, Some(path(audience))),
        Some(_) => (401, None),
        None => (400, None),
    }
}

/// Whether the policy's key has signed it, it is for that place, and its time has not passed. A clock that a test has put back does not
/// make a token last longer than the one that is put forward.
fn is_sound(token: &str, audience: &str) -> bool {
    let Some(parts) = token.strip_prefix("SharedAccessSignature ") else { return false };
    let part = |name: &str| {
        parts
            .split('&')
            .find_map(|part| part.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, it)| it)
    };
    let (Some(place), Some(signature), Some(end), Some(policy)) =
        (part("sr"), part("sig"), part("se"), part("skn"))
    else {
        return false;
    };
    let signed =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), format!("{place}\n{end}").as_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    unescaped(place) == audience
        && unescaped(signature) == STANDARD.encode(signed.as_ref())
        && policy == POLICY
        && end.parse().is_ok_and(|end: u64| end > now)
}

/// The path of a queue in the URI of its audience.
fn path(audience: &str) -> String {
    let rest = audience.split_once("://").map_or(audience, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    path.trim_end_matches('/').to_owned()
}

fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
