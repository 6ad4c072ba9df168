//! Azure's connection strings: "Configure Azure Storage connection strings" in its documentation.

use tidemark_engine::{Error, Result};

/// The account and key that every emulator of Azure's storage has, and where it listens.
const EMULATOR: [(&str, &str); 3] = [
    ("AccountName", "devstoreaccount1"),
    (
        "AccountKey",
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    ),
    ("BlobEndpoint", "http://127.0.0.1:10000/devstoreaccount1"),
];

/// What a connection string says of blobs.
#[derive(Default)]
pub(super) struct ConnectionString {
    pub(super) account: Option<String>,
    pub(super) key: Option<String>,
    /// The query of a shared access signature.
    pub(super) signature: Option<String>,
    pub(super) endpoint: Option<String>,
}

impl ConnectionString {
    /// Reads `Name=value;...`. No message repeats a value.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let unsound = |what: String| {
            Error::config(format!("`AZURE_STORAGE_CONNECTION_STRING` {what}")).hint(
                "copy it anew from the storage account, under `Access keys` or `Shared access signature`",
            )
        };
        let (mut read, mut protocol, mut suffix) = (Self::default(), "https", "core.windows.net");
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(unsound("holds a part that is no `Name=value`".into()));
            };
            match name.to_ascii_lowercase().as_str() {
                "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                    let [account, key, endpoint] = EMULATOR.map(|(_, value)| Some(value.to_owned()));
                    read = Self { account, key, endpoint, signature: None };
                }
                "accountname" => read.account = Some(value.to_owned()),
                "accountkey" => read.key = Some(value.to_owned()),
                "sharedaccesssignature" => read.signature = Some(value.to_owned()),
                "blobendpoint" => read.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "defaultendpointsprotocol" => protocol = value,
                "endpointsuffix" => suffix = value,
                // Of queues, tables and files.
                _ => {}
            }
        }
        if read.endpoint.is_none()
            && let Some(account) = &read.account
        {
            read.endpoint = Some(format!("{protocol}://{account}.blob.{suffix}"));
        }
        if read.account.is_none() {
            read.account = read.endpoint.as_deref().and_then(account_of).map(str::to_owned);
        }
        match (&read.account, &read.key, &read.signature) {
            (None, ..) => Err(unsound("names no storage account".into())),
            (_, None, None) => Err(unsound("holds neither `AccountKey` nor `SharedAccessSignature`".into())),
            _ => Ok(read),
        }
    }
}

/// The account that an endpoint is named after: `https://account.blob.core.windows.net`.
fn account_of(endpoint: &str) -> Option<&str> {
    let (account, _) = endpoint.split_once("://")?.1.split_once(".blob.")?;
    Some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> [Option<String>; 4] {
        let ConnectionString { account, key, signature, endpoint } = ConnectionString::parse(text).unwrap();
        [account, key, signature, endpoint]
    }

    #[test]
    fn every_form_of_the_documentation_is_read() {
        let some = |texts: [&str; 4]| texts.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        assert_eq!(
            read(
                "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=a2V5==;EndpointSuffix=core.windows.net"
            ),
            some(["shop", "a2V5==", "", "https://shop.blob.core.windows.net"])
        );
        assert_eq!(
            read(
                "BlobEndpoint=https://shop.blob.core.chinacloudapi.cn/;SharedAccessSignature=sv=2024&sig=a%3D"
            ),
            some(["shop", "", "sv=2024&sig=a%3D", "https://shop.blob.core.chinacloudapi.cn"])
        );
        assert_eq!(
            read("AccountName=a;AccountKey=k;BlobEndpoint=http://127.0.0.1:1/a;")[3].as_deref(),
            Some("http://127.0.0.1:1/a")
        );
        assert_eq!(read("UseDevelopmentStorage=true")[3].as_deref(), Some(EMULATOR[2].1));
    }

    #[test]
    fn what_is_wanting_is_named_and_no_value_repeated() {
        for text in ["AccountKey=secret", "AccountName=shop", "secret", "SharedAccessSignature=secret"] {
            let error = ConnectionString::parse(text).err().unwrap();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
