//! One service of a storage account: where it is, and how requests to it are signed.

use tidemark_engine::{Error, Result};
use url::Url;

use super::{AccountKey, Signature};
use crate::{
    config::Secret,
    http::client::{Auth, AzureSas, AzureService, AzureSharedKey},
    object_stores::{ConnectionString, Service},
};

/// A service of a storage account, as the pipeline file leads to it.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Where it is, without a slash at the end.
    pub(crate) base: Url,
    pub(crate) auth: Auth,
}

impl Account {
    /// That of a connection string. No message holds a secret.
    pub(crate) fn of_connection_string(text: &str, service: Service) -> Result<Self> {
        let read = ConnectionString::parse(text, service, "connection_string")?;
        let unsound =
            || Error::config("`connection_string` leads to no service").hint("copy it anew from the portal");
        let endpoint = read.endpoint.ok_or_else(unsound)?;
        let auth = match (read.account, read.key, read.signature) {
            (Some(account), Some(key), _) => {
                AccountKey { account, key: Secret::new(key) }.auth(signed_as(service))
            }
            (_, None, Some(token)) => Signature { token: Secret::new(token) }.auth(),
            _ => return Err(unsound()),
        };
        Ok(Self { base: Self::base(&endpoint)?, auth })
    }

    /// Where a service is that a pipeline file names by its URL.
    pub(crate) fn base(text: &str) -> Result<Url> {
        let url = Url::parse(text.trim_end_matches('/')).ok();
        let url = url.filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
        });
        url.ok_or_else(|| {
            Error::config("the account's URL cannot be read")
                .hint("write it as the portal shows it, such as `https://account.table.core.windows.net`; a signature belongs under `auth`")
        })
    }
}

impl AccountKey {
    pub(crate) fn auth(self, service: AzureService) -> Auth {
        Auth::AzureSharedKey(AzureSharedKey { account: self.account, key: self.key, service })
    }
}

impl Signature {
    pub(crate) fn auth(self) -> Auth {
        Auth::AzureSas(AzureSas { token: self.token })
    }
}

fn signed_as(service: Service) -> AzureService {
    match service {
        Service::Blob => AzureService::Blob,
        Service::Queue => AzureService::Queue,
        Service::Table => AzureService::Table,
    }
}
