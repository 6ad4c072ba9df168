//! The storage account: where it is, and how requests to it are signed.

use tidemark_engine::{Error, Result};

use super::config::{Auth, SourceConfig};
use crate::{
    azure_storage::Account,
    http::client::{AzureService, ClientConfig},
    object_stores::Service,
};

impl SourceConfig {
    /// The account.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when the pipeline file does not lead to one. No message holds a secret.
    pub(super) fn account(&self) -> Result<Account> {
        match (&self.connection_string, &self.url, &self.auth) {
            (Some(text), None, None) => Account::of_connection_string(text.expose(), Service::Table),
            (None, Some(url), Some(auth)) => {
                let auth = match auth.clone() {
                    Auth::AzureSharedKey(key) => key.auth(AzureService::Table),
                    Auth::AzureSas(sas) => sas.auth(),
                };
                Ok(Account { base: Account::base(url)?, auth })
            }
            (Some(_), ..) => Err(Error::config("`connection_string` is there beside `url` or `auth`")
                .hint("keep `connection_string` alone, or `url` and `auth`")),
            (None, ..) => Err(Error::config("nothing says which storage account to read")
                .hint("give `connection_string`, or `url` and `auth`")),
        }
    }

    /// How the account is reached.
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
