//! The storage account: where its queues and blobs are, and how requests to them are authorized.

use std::collections::BTreeMap;

use tidemark_engine::{Error, Result};
use url::Url;

use super::{Auth, DestinationConfig, Entra};
use crate::{
    azure_storage::Account,
    http::client::{self, Address, AzureService, ClientConfig, CredentialsIn, Grant, OAuth2},
    object_stores::Service,
};

/// Whom tokens are for: all of Azure Storage.
const SCOPE: &str = "https://storage.azure.com/.default";

impl DestinationConfig {
    /// The account's queues.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when the pipeline file does not lead to them. No message holds a secret.
    pub(super) fn queues(&self) -> Result<Account> {
        match (&self.connection_string, &self.url, &self.auth) {
            (Some(text), None, None) => Account::of_connection_string(text.expose(), Service::Queue),
            (None, Some(url), Some(auth)) => account(&url.0, auth, AzureService::Queue),
            (Some(_), ..) => Err(Error::config("`connection_string` is there beside `url` or `auth`")
                .hint("keep `connection_string` alone, or `url` and `auth`")),
            (None, ..) => Err(Error::config("nothing says which storage account to write to")
                .hint("give `connection_string`, or `url` and `auth`")),
        }
    }

    /// Its blobs.
    pub(super) fn blobs(&self) -> Result<Account> {
        let named = self.claim_check.as_ref().and_then(|claim| claim.url.as_ref());
        let unknown = || {
            Error::config("nothing says where the account's blobs are")
                .hint("give `claim_check: {url: https://account.blob.core.windows.net, ...}`")
        };
        match (&self.connection_string, &self.url, &self.auth) {
            (Some(text), ..) => {
                let account = Account::of_connection_string(text.expose(), Service::Blob)?;
                match named {
                    Some(url) => Ok(Account { base: Account::base(url.0.as_str())?, ..account }),
                    None => Ok(account),
                }
            }
            (None, Some(queues), Some(auth)) => {
                let beside = || {
                    let host = queues.0.host_str().filter(|host| host.contains(".queue."))?;
                    let mut url = queues.0.clone();
                    url.set_host(Some(&host.replacen(".queue.", ".blob.", 1))).ok()?;
                    Some(url)
                };
                let url = named.map(|url| url.0.clone()).or_else(beside).ok_or_else(unknown)?;
                account(&url, auth, AzureService::Blob)
            }
            _ => Err(unknown()),
        }
    }

    /// How one of the two is reached.
    pub(super) fn client(&self, account: &Account) -> ClientConfig {
        ClientConfig {
            auth: account.auth.clone(),
            limits: self.limits.clone(),
            retry: self.retry.clone(),
            allow_private_addresses: self.allow_private_addresses,
            allow_hosts: self.allow_hosts.clone(),
            ..ClientConfig::default()
        }
    }
}

fn account(url: &Url, auth: &Auth, service: AzureService) -> Result<Account> {
    let auth = match auth.clone() {
        Auth::AzureSharedKey(key) => key.auth(service),
        Auth::AzureSas(sas) => sas.auth(),
        Auth::Entra(entra) => client::Auth::OAuth2(Box::new(entra.oauth2()?)),
    };
    Ok(Account { base: Account::base(url.as_str())?, auth })
}

impl Entra {
    /// "Microsoft identity platform and the OAuth 2.0 client credentials flow".
    fn oauth2(self) -> Result<OAuth2> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        if self.tenant.is_empty() || !self.tenant.chars().all(is_name) {
            return Err(Error::config(format!("`{}` is no tenant", self.tenant))
                .hint("give the directory's id, or one of its domains"));
        }
        let authority = self.authority.0.as_str().trim_end_matches('/');
        let url = format!("{authority}/{}/oauth2/v2.0/token", self.tenant);
        let url = url.parse().map_err(|error| Error::config("`authority` is no URL").source(error))?;
        Ok(OAuth2 {
            token_url: Address(url),
            client_id: self.client_id,
            client_secret: Some(self.client_secret),
            grant: Grant::ClientCredentials,
            refresh_token: None,
            scope: Some(SCOPE.to_owned()),
            audience: None,
            params: BTreeMap::new(),
            credentials_in: CredentialsIn::Body,
        })
    }
}
