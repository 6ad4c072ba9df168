//! What an error of a store asks for.

use object_store::Error as StoreError;

use crate::ErrorKind::{self, Config, Denied, Unavailable};

/// What to do about it, and what the store said where it said so itself.
pub(super) struct Reaction {
    pub(super) kind: ErrorKind,
    pub(super) hint: Option<&'static str>,
    pub(super) said: Option<String>,
}

pub(super) const GRANT: &str = "grant this user the right to read, write, list and delete there";
pub(super) const FULL: &str = "free space (`df -h`) or inodes (`df -i`) on the staging disk, or raise this user's quota: Tidemark goes on by itself";
const NO_BUCKET: &str = "make the bucket or container, or correct its URL in the pipeline file";
const REGION: &str = "set the region that the bucket is in, for S3 `AWS_REGION`";
const CLOCK: &str = "set the clock of this machine";
const RENEW: &str =
    "renew the credentials (or set the clock of this machine, where it is wrong), then start again";
const CREDENTIALS: &str =
    "give credentials in the environment: no others were found, and this machine has no identity of its own";

/// What services call things. A library knows some of them by their status alone, and those of who gives credentials not at all.
const SAID: [(&str, ErrorKind, &str); 24] = [
    ("NoSuchBucket", Config, NO_BUCKET),
    ("ContainerNotFound", Config, NO_BUCKET),
    ("InvalidBucketName", Config, NO_BUCKET),
    ("AuthorizationHeaderMalformed", Config, REGION),
    ("PermanentRedirect", Config, REGION),
    ("RequestTimeTooSkewed", Denied, CLOCK),
    // Rights, which somebody can give while this process runs.
    ("AccessDenied", Denied, GRANT),
    ("AccountIsDisabled", Denied, GRANT),
    ("401", Denied, GRANT),
    ("403", Denied, GRANT),
    // Credentials, which were read once: this process will have no others.
    ("ExpiredToken", Denied, RENEW),
    ("ExpiredTokenException", Denied, RENEW),
    ("InvalidToken", Denied, RENEW),
    ("InvalidAccessKeyId", Denied, RENEW),
    ("SignatureDoesNotMatch", Denied, RENEW),
    ("AuthenticationFailed", Denied, RENEW),
    ("InvalidClientTokenId", Denied, RENEW),
    ("InvalidIdentityToken", Denied, RENEW),
    ("IDPRejectedClaim", Denied, RENEW),
    ("invalid_client", Denied, RENEW),
    ("unauthorized_client", Denied, RENEW),
    ("invalid_grant", Denied, RENEW),
    ("access_denied", Denied, RENEW),
    // What the library makes of a redirect of S3's, which names no place.
    (BARE_REDIRECT, Config, REGION),
];
const BARE_REDIRECT: &str = "Received redirect without LOCATION";
/// Where machines in a cloud ask for their credentials. Whoever comes there has none.
const METADATA: [&str; 3] =
    ["http://169.254.169.254/", "http://169.254.170.2/", "http://metadata.google.internal/"];

impl Reaction {
    /// To an error of reading or writing an object, or of listing. `finds_its_place`: that nothing is found says nothing of the bucket.
    pub(super) fn to(error: &StoreError, finds_its_place: bool) -> Self {
        let texts = chain(error);
        let said = texts.iter().find_map(|text| said(answer(text)?));
        let code = texts.iter().find_map(|text| code(text));
        let is_metadata = || texts.iter().any(|text| METADATA.iter().any(|place| text.contains(place)));
        let (kind, hint) = match SAID.iter().find(|(word, ..)| code.as_deref() == Some(word)) {
            _ if is_metadata() => (Unavailable, Some(CREDENTIALS)),
            Some((_, kind, hint)) => (*kind, Some(*hint)),
            // Whoever writes or lists and finds nothing has no place to do it in.
            None if !finds_its_place && matches!(error, StoreError::NotFound { .. }) => {
                (Config, Some(NO_BUCKET))
            }
            None => by_kind(error),
        };
        Self { kind, hint, said }
    }
}

/// Whether it is the bucket that is missing, and not the object alone.
pub(super) fn misses_bucket(error: &StoreError) -> bool {
    let code = chain(error).iter().find_map(|text| code(text));
    code.is_some_and(|code| ["NoSuchBucket", "ContainerNotFound"].contains(&code.as_str()))
}

fn by_kind(error: &StoreError) -> (ErrorKind, Option<&'static str>) {
    match error {
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            return (Denied, Some(GRANT));
        }
        StoreError::NotSupported { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::InvalidPath { .. } => {
            return (Config, None);
        }
        _ => {}
    }
    io_cause(error).map_or((Unavailable, None), reaction_to)
}

/// What an error of the system asks for.
pub(in crate::log) fn reaction_to(error: std::io::ErrorKind) -> (ErrorKind, Option<&'static str>) {
    use std::io::ErrorKind::{
        InvalidFilename, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };

    match error {
        PermissionDenied | ReadOnlyFilesystem => (Denied, Some(GRANT)),
        StorageFull | QuotaExceeded => (Unavailable, Some(FULL)),
        InvalidFilename => (Config, Some("give the stream a shorter name")),
        _ => (Unavailable, None),
    }
}

/// The error and all that is underneath, as texts.
fn chain(error: &StoreError) -> Vec<String> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source()).map(ToString::to_string).collect()
}

/// What a service said, where `text` is that alone: beside it the library names the object, and a stream may be called anything.
fn answer(text: &str) -> Option<&str> {
    text.strip_prefix("Server returned non-2xx status code: ")
        .or_else(|| text.strip_prefix("Server returned error response: "))
}

/// What the service calls it: the code of its XML, the `error` of who gives credentials, else its status where that says enough.
fn code(text: &str) -> Option<String> {
    if text.starts_with(BARE_REDIRECT) {
        return Some(BARE_REDIRECT.to_owned());
    }
    // Of one object among many that were to be deleted.
    if text.starts_with("DeleteObjects request failed for key ")
        || text.starts_with("Bulk delete request failed for key ")
    {
        let (_, code) = text.rsplit_once("(code: ")?;
        return Some(code.trim_end_matches(')').to_owned());
    }
    let answer = answer(text)?;
    if let Some(code) = within(answer, "Code") {
        return Some(code.to_owned());
    }
    let json = answer.find('{').and_then(|at| serde_json::from_str::<serde_json::Value>(&answer[at..]).ok());
    if let Some(code) = json.as_ref().and_then(|json| json.get("error")?.as_str()) {
        return Some(code.to_owned());
    }
    answer.split(' ').next().map(str::to_owned)
}

fn within<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// The code and the first line of the message in the XML that services answer with. The whole of it fills a screen.
fn said(text: &str) -> Option<String> {
    let (code, message) = (within(text, "Code")?, within(text, "Message").unwrap_or_default());
    let message = message.lines().next().unwrap_or_default().trim_end_matches('.');
    Some(if message.is_empty() { format!("`{code}`") } else { format!("`{code}`: {message}") })
}

/// The system's own error at the bottom, where there is one.
pub(super) fn io_cause(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> StoreError {
        StoreError::Generic { store: "S3", source: text.to_owned().into() }
    }

    /// As the library says what a service answered.
    fn answered(status: &str, body: &str) -> StoreError {
        generic(&format!("Server returned non-2xx status code: {status}: {body}"))
    }

    #[test]
    fn services_are_understood_by_their_own_words() {
        let denied =
            StoreError::PermissionDenied { path: "a".into(), source: "<Code>AccessDenied</Code>".into() };
        for (error, kind, hint) in [
            (
                answered(
                    "404 Not Found",
                    "<Error><Code>NoSuchBucket</Code><Message>The bucket does not exist.</Message></Error>",
                ),
                Config,
                Some(NO_BUCKET),
            ),
            (
                answered("400 Bad Request", "<Error><Code>AuthorizationHeaderMalformed</Code></Error>"),
                Config,
                Some(REGION),
            ),
            (
                generic(
                    "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
                ),
                Config,
                Some(REGION),
            ),
            (
                generic("Error performing PUT http://169.254.169.254/latest/api/token"),
                Unavailable,
                Some(CREDENTIALS),
            ),
            (generic("connection refused"), Unavailable, None),
            (denied, Denied, Some(GRANT)),
            // Whoever gives credentials, and lists, are denied without the library saying so.
            (
                answered(
                    "401 Unauthorized",
                    r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret."}"#,
                ),
                Denied,
                Some(RENEW),
            ),
            (answered("400 Bad Request", r#"{"error": "invalid_grant"}"#), Denied, Some(RENEW)),
            (answered("400 Bad Request", "<Code>InvalidIdentityToken</Code>"), Denied, Some(RENEW)),
            (answered("403 Forbidden", ""), Denied, Some(GRANT)),
            (answered("503 Service Unavailable", "<Code>SlowDown</Code>"), Unavailable, None),
            (
                generic("DeleteObjects request failed for key a: Access Denied (code: AccessDenied)"),
                Denied,
                Some(GRANT),
            ),
        ] {
            let reaction = Reaction::to(&error, true);
            assert_eq!((reaction.kind, reaction.hint), (kind, hint), "{error}");
        }
        let missing = || StoreError::NotFound { path: "a".into(), source: "404".into() };
        assert_eq!(Reaction::to(&missing(), false).kind, Config);
        let said = said("403: <Code>A</Code><Message>One.\nRequestId:7</Message>");
        assert_eq!(said.as_deref(), Some("`A`: One"));
    }

    #[test]
    fn what_a_stream_is_called_says_nothing() {
        for stream in ["NoSuchBucket", "AccessDenied", "169.254.169.254", "(code: ExpiredToken)"] {
            let error =
                generic(&format!("Error performing GET http://s3/bucket/{stream}/1 - connection reset"));
            assert!(!misses_bucket(&error));
            assert_eq!(Reaction::to(&error, true).hint, None, "{stream}");
            let body = format!("<Code>SlowDown</Code><Resource>/bucket/{stream}/1</Resource>");
            assert_eq!(Reaction::to(&answered("503 Slow Down", &body), true).hint, None, "{stream}");
            let error =
                generic(&format!("DeleteObjects request failed for key {stream}: No (code: InternalError)"));
            assert_eq!(Reaction::to(&error, true).hint, None, "{stream}");
        }
    }
}
