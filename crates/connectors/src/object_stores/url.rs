//! Where objects are kept, as a pipeline file says it.

use std::fmt;

use object_store::path::Path;
use tidemark_engine::{Error, Result};

/// A bucket of a cloud, and a folder in it: `s3://bucket/folder`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreUrl {
    cloud: Cloud,
    bucket: String,
    /// The storage account, where the URL names one.
    account: Option<String>,
    prefix: String,
}

/// The clouds that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Cloud {
    Azure,
    S3,
    Gcs,
}

const KNOWN: &str =
    "write `az://container/folder`, `s3://bucket/folder`, `gs://bucket/folder`, or the path of a folder";
const SCHEMES: [&str; 8] = ["az", "azure", "abfs", "abfss", "s3", "s3a", "gs", "https"];
/// What follows the account in the names of Azure's hosts.
const AZURE_HOSTS: [&str; 2] = [".blob.core.windows.net", ".dfs.core.windows.net"];

impl StoreUrl {
    /// Whether `text` is meant as a URL, and not as a path.
    pub fn is_meant(text: &str) -> bool {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        // One slash too few is a slip, and no folder that is called `s3:`.
        text.contains("://") || scheme.is_some_and(|scheme| SCHEMES.contains(&scheme.as_str()))
    }

    /// Reads `az://container/folder` (`azure`, `abfs`, `abfss`), the same with `container@account`,
    /// `https://account.blob.core.windows.net/container/folder`, `s3://bucket/folder` (`s3a`) or `gs://bucket/folder`.
    pub fn parse(text: &str) -> Result<Self> {
        let unknown = |what: &str| Error::config(what.to_owned()).hint(KNOWN);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| unknown("it is no URL"))?;
        if rest.contains(['?', '#']) || rest.split('/').next().is_some_and(|host| host.contains(':')) {
            return Err(Error::config("it holds more than a bucket and a folder")
                .hint("leave keys, signatures and ports out: they come from the environment"));
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (cloud, account, bucket, prefix) = match scheme.to_ascii_lowercase().as_str() {
            "az" | "azure" | "abfs" | "abfss" => match host.split_once('@') {
                Some((container, host)) => (Cloud::Azure, Some(account(host)), container, path),
                None => (Cloud::Azure, None, host, path),
            },
            "https" if AZURE_HOSTS.iter().any(|azure| host.ends_with(azure)) => {
                let (container, prefix) = path.split_once('/').unwrap_or((path, ""));
                (Cloud::Azure, Some(account(host)), container, prefix)
            }
            "s3" | "s3a" => (Cloud::S3, None, host, path),
            "gs" => (Cloud::Gcs, None, host, path),
            _ => return Err(unknown("its kind of store is not known")),
        };
        check_name("bucket", bucket)?;
        account.map_or(Ok(()), check_account)?;
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|_| {
            Error::config("its folder is no sound path").hint("leave out `..` and empty parts")
        })?;
        let (bucket, account) = (bucket.to_owned(), account.map(str::to_owned));
        Ok(Self { cloud, bucket, account, prefix: prefix.to_string() })
    }

    /// The folder `name` in it.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let separator = if self.prefix.is_empty() { "" } else { "/" };
        Self { prefix: format!("{}{separator}{name}", self.prefix), ..self.clone() }
    }

    pub(super) fn cloud(&self) -> Cloud {
        self.cloud
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cloud, bucket, account, prefix } = self;
        let scheme = match cloud {
            Cloud::Azure => "az",
            Cloud::S3 => "s3",
            Cloud::Gcs => "gs",
        };
        write!(f, "{scheme}://{bucket}")?;
        account.as_ref().map_or(Ok(()), |account| write!(f, "@{account}"))?;
        if prefix.is_empty() { Ok(()) } else { write!(f, "/{prefix}") }
    }
}

/// The account that a host of Azure is named after.
fn account(host: &str) -> &str {
    AZURE_HOSTS.iter().find_map(|azure| host.strip_suffix(azure)).unwrap_or(host)
}

/// An account is lowercase letters and digits, so a host of another cloud of Azure's, which is not understood, is none.
fn check_account(name: &str) -> Result<()> {
    check_name("storage account", name)?;
    if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` is no name for a storage account")).hint(
        "an account is lowercase letters and digits; for another cloud of Azure's leave it out of the URL and set \
         `AZURE_STORAGE_CONNECTION_STRING`",
    ))
}

/// Each cloud has rules of its own for names; what none of them allows is a slip.
fn check_name(what: &str, name: &str) -> Result<()> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(sound) {
        return Ok(());
    }
    let message = match name {
        "" => format!("it names no {what}"),
        name => format!("`{name}` is no name for a {what}"),
    };
    Err(Error::config(message).hint(KNOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_understood_and_written_in_one_way() {
        for (typed, shown) in [
            ("az://staging", "az://staging"),
            ("azure://staging/a/b/", "az://staging/a/b"),
            ("abfss://staging@shop.dfs.core.windows.net/a", "az://staging@shop/a"),
            ("az://staging@shop/a", "az://staging@shop/a"),
            ("https://shop.blob.core.windows.net/staging/a", "az://staging@shop/a"),
            ("s3://my.bucket/a", "s3://my.bucket/a"),
            ("S3A://bucket", "s3://bucket"),
            ("gs://bucket/a b", "gs://bucket/a b"),
        ] {
            assert_eq!(StoreUrl::parse(typed).unwrap().to_string(), shown);
        }
        assert_eq!(StoreUrl::parse("gs://b").unwrap().join("shop").to_string(), "gs://b/shop");
        assert_eq!(StoreUrl::parse("gs://b/a").unwrap().join("shop").to_string(), "gs://b/a/shop");
    }

    #[test]
    fn a_slip_is_no_folder() {
        for typed in ["s3:/bucket/x", "S3:bucket", "az:/c", "abfss:/c", "gs:b", "https:/a", "ftp://a"] {
            assert!(StoreUrl::is_meant(typed), "{typed}");
            assert!(StoreUrl::parse(typed).unwrap_err().hint_text().is_some(), "{typed}");
        }
        for typed in ["./staging", "/a:b", "s3", "c:/staging", "az/b:c"] {
            assert!(!StoreUrl::is_meant(typed), "{typed}");
        }
    }

    #[test]
    fn hosts_of_other_clouds_are_no_accounts() {
        for typed in ["abfss://c@shop.blob.core.usgovcloudapi.net", "az://c@Shop", "az://c@my-shop"] {
            let error = StoreUrl::parse(typed).unwrap_err();
            assert!(error.hint_text().unwrap().contains("AZURE_STORAGE_CONNECTION_STRING"), "{error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_without_repeating_a_secret() {
        for typed in [
            "ftp://host/a",
            "s3://",
            "s3:///a",
            "s3://bucket/a/../b",
            "s3://bucket/a//b",
            "s3://key:secret@bucket/a",
            "az://staging?sig=secret",
            "gs://bucket#secret",
            "https://example.com/secret",
            "https://shop.blob.core.windows.net",
            "az://staging@shop:secret/a",
        ] {
            let error = StoreUrl::parse(typed).unwrap_err();
            let said = format!("{error} {}", error.hint_text().unwrap());
            assert!(!said.contains("secret"), "{typed}: {said}");
        }
    }
}
