//! An address as messages show it.

use std::fmt;

use url::Url;

/// `url` without its query, its fragment and whoever's name is in it: any of them may hold a secret.
pub(super) struct Shown<'u>(pub(super) &'u Url);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_left() {
        let url = Url::parse("https://me:pass@example.com:8443/a/b?key=secret#token").unwrap();
        assert_eq!(Shown(&url).to_string(), "https://example.com:8443/a/b");
    }
}
