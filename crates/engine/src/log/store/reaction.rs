//! What an error of a store asks for.

use object_store::Error as StoreError;

use crate::ErrorKind::{self, Config, Denied, Unavailable};

/// What to do about it, and what the store said where it said so itself.
pub(super) struct Reaction {
    pub(super) kind: ErrorKind,
    pub(super) hint: Option<&'static str>,
    pub(super) said: Option<String>,
}

pub(super) const GRANT: &str =
    "grant this user the right to read, write, list and delete in the staging store";
pub(super) const FULL: &str = "free space (`df -h`) or inodes (`df -i`) on the staging disk, or raise this user's quota: Tidemark goes on by itself";
const NO_BUCKET: &str = "make the bucket or container, or correct `url` under `staging`";
const REGION: &str = "set the region that the bucket is in, for S3 `AWS_REGION`";
const CLOCK: &str = "set the clock of this machine";
const RENEW: &str = "renew the credentials, then start again";
const CREDENTIALS: &str =
    "give credentials in the environment: no others were found, and this machine has no identity of its own";

/// What services call things, wherever it stands in what they say. The first that is found counts.
const SAID: [(&str, ErrorKind, &str); 12] = [
    ("NoSuchBucket", Config, NO_BUCKET),
    ("ContainerNotFound", Config, NO_BUCKET),
    ("AuthorizationHeaderMalformed", Config, REGION),
    ("PermanentRedirect", Config, REGION),
    // What the library makes of a redirect of S3's, which names no place.
    ("incorrectly configured region", Config, REGION),
    ("RequestTimeTooSkewed", Denied, CLOCK),
    ("ExpiredToken", Denied, RENEW),
    // Where machines in a cloud ask for their credentials. Whoever comes there has none.
    ("169.254.169.254", Unavailable, CREDENTIALS),
    ("169.254.170.2", Unavailable, CREDENTIALS),
    ("metadata.google.internal", Unavailable, CREDENTIALS),
    ("InvalidBucketName", Config, NO_BUCKET),
    ("AccountIsDisabled", Denied, GRANT),
];

impl Reaction {
    /// To an error of reading or writing an object, or of listing. `finds_its_place`: that nothing is found says nothing of the bucket.
    pub(super) fn to(error: &StoreError, finds_its_place: bool) -> Self {
        let text = chain(error);
        let said = said(&text);
        let (kind, hint) = match SAID.iter().find(|(word, ..)| text.contains(word)) {
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
    let text = chain(error);
    text.contains("NoSuchBucket") || text.contains("ContainerNotFound")
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

/// The error and all that is underneath, as text.
fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = text + "\n" + &error.to_string();
        cause = error.source();
    }
    text
}

/// The code and the first line of the message in the XML that services answer with. The whole of it fills a screen.
fn said(text: &str) -> Option<String> {
    let within = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    let (code, message) = (within("Code")?, within("Message").unwrap_or_default());
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

    #[test]
    fn services_are_understood_by_their_own_words() {
        let denied =
            StoreError::PermissionDenied { path: "a".into(), source: "<Code>AccessDenied</Code>".into() };
        for (error, kind) in [
            (
                generic(
                    "<Error><Code>NoSuchBucket</Code><Message>The bucket does not exist.</Message></Error>",
                ),
                Config,
            ),
            (generic("<Error><Code>AuthorizationHeaderMalformed</Code></Error>"), Config),
            (
                generic(
                    "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
                ),
                Config,
            ),
            (generic("Error performing PUT http://169.254.169.254/latest/api/token"), Unavailable),
            (generic("connection refused"), Unavailable),
            (denied, Denied),
        ] {
            assert_eq!(Reaction::to(&error, true).kind, kind, "{error}");
        }
        let missing = || StoreError::NotFound { path: "a".into(), source: "404".into() };
        assert_eq!(Reaction::to(&missing(), false).kind, Config);
        let said = said("403: <Code>A</Code><Message>One.\nRequestId:7</Message>");
        assert_eq!(said.as_deref(), Some("`A`: One"));
    }
}
