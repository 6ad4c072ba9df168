//! Azure Blob Storage.
//!
//! Credentials, the first that is there: `AZURE_STORAGE_CONNECTION_STRING`; `AZURE_STORAGE_KEY`; a workload's identity
//! (`AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`); a service principal (the same with `AZURE_CLIENT_SECRET`);
//! `AZURE_STORAGE_SAS_TOKEN`; the machine's managed identity.

use object_store::{
    ClientConfigKey, ObjectStore,
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
};
use tidemark_engine::{Error, Result};

use super::{
    Environment, StoreUrl,
    connection_string::{ConnectionString, Service},
    patience::{self, CONNECT_TIMEOUT, REQUEST_TIMEOUT},
    transport,
};

const PREFIX: &str = "AZURE_";
const CONNECTION_STRING: &str = "AZURE_STORAGE_CONNECTION_STRING";
const ALLOW_HTTP: &str = "AZURE_ALLOW_HTTP";

pub(super) fn connect(url: &StoreUrl, environment: &Environment) -> Result<Box<dyn ObjectStore>> {
    let unusable = |error: object_store::Error| {
        Error::config("Azure's credentials in the environment cannot be used").source(error)
    };
    let mut builder = MicrosoftAzureBuilder::new()
        .with_config(AzureConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
        .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
    let connection = environment.get(CONNECTION_STRING);
    for (name, value) in environment.starting_with(PREFIX) {
        let key = match name.as_str() {
            // As Azure's own tools call them; the library does not know these.
            "azure_storage_account" => AzureConfigKey::AccountName,
            "azure_storage_key" => AzureConfigKey::AccessKey,
            "azure_storage_service_endpoint" => AzureConfigKey::Endpoint,
            "azure_container_name" => continue,
            name => match name.parse() {
                Ok(key) => key,
                Err(_) => continue,
            },
        };
        match &key {
            AzureConfigKey::Client(key) => transport::check_certificates(&name, key, value)?,
            // With it the library heeds no endpoint, and no rule of ours on plain http. `UseDevelopmentStorage=true` in a connection
            // string does the same in our way.
            AzureConfigKey::UseEmulator => continue,
            _ => {}
        }
        // A connection string says it all.
        if connection.is_none() || matches!(key, AzureConfigKey::Client(_)) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = environment.get("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    if let Some(connection) = connection {
        let connection = ConnectionString::parse(connection, Service::Blob, CONNECTION_STRING)?;
        builder = with_connection_string(builder, &connection, url)?;
    }
    if let Some(account) = url.account() {
        builder = builder.with_account(account);
    } else if builder.get_config_value(&AzureConfigKey::AccountName).is_none() {
        return Err(Error::config("nothing says which storage account it is in")
            .hint("write `az://container@account/folder`, or set `AZURE_STORAGE_ACCOUNT` or `AZURE_STORAGE_CONNECTION_STRING`"));
    }
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint).unwrap_or_default();
    let plain = transport::allows_http(&endpoint, ALLOW_HTTP, environment)?;
    let builder = builder.with_allow_http(plain).with_container_name(url.bucket());
    let store = builder.with_retry(patience::retries()).build().map_err(unusable)?;
    Ok(Box::new(store))
}

fn with_connection_string(
    mut builder: MicrosoftAzureBuilder,
    connection: &ConnectionString,
    url: &StoreUrl,
) -> Result<MicrosoftAzureBuilder> {
    let ConnectionString { account, key, signature, endpoint } = connection;
    if let (Some(theirs), Some(ours)) = (account, url.account())
        && theirs != ours
    {
        let message =
            format!("`AZURE_STORAGE_CONNECTION_STRING` is for the storage account `{theirs}`, not `{ours}`");
        return Err(Error::config(message).hint("leave one of the two out"));
    }
    let given = [
        (AzureConfigKey::AccountName, account),
        (AzureConfigKey::AccessKey, key),
        (AzureConfigKey::SasKey, signature),
        (AzureConfigKey::Endpoint, endpoint),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_with(url: &str, variables: &[(&str, &str)]) -> Result<String> {
        let environment = Environment::of(variables.iter().copied());
        connect(&StoreUrl::parse(url).unwrap(), &environment).map(|store| format!("{store:?}"))
    }

    #[test]
    fn the_account_comes_from_the_url_or_the_environment() {
        let key = ("AZURE_STORAGE_KEY", "a2V5");
        assert!(connect_with("az://c", &[key]).unwrap_err().to_string().contains("storage account"));
        for (url, variables) in [
            ("az://c@shop", vec![key]),
            ("az://c", vec![key, ("AZURE_STORAGE_ACCOUNT", "shop")]),
            ("az://c", vec![key, ("AZURE_STORAGE_ACCOUNT_NAME", "shop")]),
            ("az://c", vec![("AZURE_STORAGE_CONNECTION_STRING", "AccountName=shop;AccountKey=a2V5")]),
            // The machine's own identity, which nobody has asked yet.
            ("az://c@shop", vec![]),
        ] {
            let store = connect_with(url, &variables).unwrap();
            assert!(store.contains("shop.blob.core.windows.net"), "{store}");
        }
        let other = [("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=a2V5")];
        assert!(connect_with("az://c@shop", &other).unwrap_err().to_string().contains("`other`"));
    }

    #[test]
    fn the_rules_hold_whatever_the_library_takes_from_the_environment() {
        let key = ("AZURE_STORAGE_KEY", "a2V5");
        for name in ["AZURE_STORAGE_USE_EMULATOR", "AZURE_USE_EMULATOR"] {
            let store = connect_with("az://c@shop", &[key, (name, "true")]).unwrap();
            assert!(
                store.contains("shop.blob.core.windows.net") && store.contains("is_emulator: false"),
                "{store}"
            );
        }
        for (name, value) in
            [("AZURE_ALLOW_INVALID_CERTIFICATES", "y"), ("AZURE_allow_invalid_certificates", "true")]
        {
            assert!(connect_with("az://c@shop", &[key, (name, value)]).is_err(), "{name}={value}");
        }
        connect_with("az://c@shop", &[key, ("AZURE_ALLOW_INVALID_CERTIFICATES", "no")]).unwrap();
    }

    #[test]
    fn plain_http_and_unsound_keys_are_refused_without_repeating_them() {
        let endpoint = "AccountName=shop;AccountKey=a2V5;BlobEndpoint=http://10.0.0.1/shop";
        let error = connect_with("az://c", &[("AZURE_STORAGE_CONNECTION_STRING", endpoint)]).unwrap_err();
        assert!(error.hint_text().unwrap().contains(ALLOW_HTTP), "{error}");
        let error = connect_with("az://c@shop", &[("AZURE_STORAGE_KEY", "no-secret!")]).unwrap_err();
        assert!(!error.to_string().contains("no-secret"), "{error}");
    }
}
