//! Azure's connection strings: "Configure Azure Storage connection strings" in its documentation.

use tidemark_engine::{Error, Result};

/// The account and key that every emulator of Azure's storage has.
const EMULATOR: [&str; 2] = [
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
];

/// A service of a storage account that a connection string leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Blob,
    Queue,
    Table,
}

impl Service {
    /// The part of its host's name.
    fn host(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Queue => "queue",
            Self::Table => "table",
        }
    }

    /// Where an emulator listens for it.
    fn emulated(self) -> &'static str {
        match self {
            Self::Blob => "http://127.0.0.1:10000/devstoreaccount1",
            Self::Queue => "http://127.0.0.1:10001/devstoreaccount1",
            Self::Table => "http://127.0.0.1:10002/devstoreaccount1",
        }
    }
}

/// What a connection string says of one service.
#[derive(Default)]
pub(crate) struct ConnectionString {
    pub(crate) account: Option<String>,
    pub(crate) key: Option<String>,
    /// The query of a shared access signature.
    pub(crate) signature: Option<String>,
    pub(crate) endpoint: Option<String>,
}

impl ConnectionString {
    /// Reads `Name=value;...` for `service`. `name` is what people call the text; no message repeats a value of it.
    pub(crate) fn parse(text: &str, service: Service, name: &str) -> Result<Self> {
        let unsound = |what: String| {
            Error::config(format!("`{name}` {what}")).hint(
                "copy it anew from the storage account, under `Access keys` or `Shared access signature`",
            )
        };
        let own_endpoint = format!("{}endpoint", service.host());
        let (mut read, mut protocol, mut suffix) = (Self::default(), "https", "core.windows.net");
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(unsound("holds a part that is no `Name=value`".into()));
            };
            match key.to_ascii_lowercase().as_str() {
                "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                    let [account, key] = EMULATOR.map(|value| Some(value.to_owned()));
                    let endpoint = Some(service.emulated().to_owned());
                    read = Self { account, key, endpoint, signature: None };
                }
                "accountname" => read.account = Some(value.to_owned()),
                "accountkey" => read.key = Some(value.to_owned()),
                "sharedaccesssignature" => read.signature = Some(value.to_owned()),
                key if key == own_endpoint => read.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "defaultendpointsprotocol" => protocol = value,
                "endpointsuffix" => suffix = value,
                // Of other services.
                _ => {}
            }
        }
        if read.endpoint.is_none()
            && let Some(account) = &read.account
        {
            read.endpoint = Some(format!("{protocol}://{account}.{}.{suffix}", service.host()));
        }
        if read.account.is_none() {
            read.account = read
                .endpoint
                .as_deref()
                .and_then(|endpoint| account_of(endpoint, service))
                .map(str::to_owned);
        }
        match (&read.account, &read.key, &read.signature) {
            (None, ..) => Err(unsound("names no storage account".into())),
            (_, None, None) => Err(unsound("holds neither `AccountKey` nor `SharedAccessSignature`".into())),
            _ => Ok(read),
        }
    }
}

/// The account that an endpoint is named after: `https://account.blob.core.windows.net`.
fn account_of(endpoint: &str, service: Service) -> Option<&str> {
    let (account, host) = endpoint.split_once("://")?.1.split_once('.')?;
    host.strip_prefix(service.host())?.starts_with('.').then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> [Option<String>; 4] {
        let read = ConnectionString::parse(text, Service::Blob, "it").unwrap();
        let ConnectionString { account, key, signature, endpoint } = read;
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
        assert_eq!(read("UseDevelopmentStorage=true")[3].as_deref(), Some(Service::Blob.emulated()));
    }

    #[test]
    fn each_service_has_an_endpoint_of_its_own() {
        let endpoint = |text| ConnectionString::parse(text, Service::Table, "it").unwrap().endpoint.unwrap();
        assert_eq!(endpoint("AccountName=shop;AccountKey=k"), "https://shop.table.core.windows.net");
        assert_eq!(endpoint("UseDevelopmentStorage=true"), "http://127.0.0.1:10002/devstoreaccount1");
        let both =
            "BlobEndpoint=https://a.blob.x/;TableEndpoint=https://a.table.x/;SharedAccessSignature=sig=s";
        assert_eq!(endpoint(both), "https://a.table.x");
        assert_eq!(
            ConnectionString::parse(both, Service::Table, "it").unwrap().account.as_deref(),
            Some("a")
        );
    }

    #[test]
    fn what_is_wanting_is_named_and_no_value_repeated() {
        for text in ["AccountKey=secret", "AccountName=shop", "secret", "SharedAccessSignature=secret"] {
            let error = ConnectionString::parse(text, Service::Blob, "it").err().unwrap();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
