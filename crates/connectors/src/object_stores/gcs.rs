//! Google Cloud Storage.
//!
//! Credentials, the first that is there: `GOOGLE_SERVICE_ACCOUNT_KEY` (the key's JSON); `GOOGLE_APPLICATION_CREDENTIALS` (its file);
//! what `gcloud auth application-default login` left behind; the machine's metadata server. `STORAGE_EMULATOR_HOST` leads to an
//! emulator, which asks for none.

use std::sync::Arc;

use object_store::{
    ClientConfigKey, ObjectStore, StaticCredentialProvider,
    gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey},
};
use tidemark_engine::{Error, Result};

use super::{
    Environment, StoreUrl,
    patience::{self, CONNECT_TIMEOUT, REQUEST_TIMEOUT},
    transport,
};

const PREFIX: &str = "GOOGLE_";
const ALLOW_HTTP: &str = "GOOGLE_ALLOW_HTTP";

pub(super) fn connect(url: &StoreUrl, environment: &Environment) -> Result<Box<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_config(GoogleConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
    for (name, value) in environment.starting_with(PREFIX) {
        let owned = ["google_bucket", "google_bucket_name"].contains(&name.as_str());
        if let (false, Ok(key)) = (owned, name.parse()) {
            if let GoogleConfigKey::Client(key) = &key {
                transport::check_certificates(&name, key, value)?;
            }
            builder = builder.with_config(key, value);
        }
    }
    if let Some(host) = environment.get("STORAGE_EMULATOR_HOST") {
        let endpoint = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
        let nobody = GcpCredential { bearer: String::new() };
        builder = builder
            .with_base_url(endpoint.trim_end_matches('/'))
            .with_credentials(Arc::new(StaticCredentialProvider::new(nobody)))
            .with_skip_signature(true);
    }
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl).unwrap_or_default();
    let plain = transport::allows_http(&endpoint, ALLOW_HTTP, environment)?;
    let builder = builder
        .with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), plain.to_string())
        .with_bucket_name(url.bucket());
    let store =
        builder.with_retry(patience::retries()).build().map_err(|error| unusable(error, environment))?;
    Ok(Box::new(store))
}

/// The error of credentials that cannot be read. What is wrong with JSON is told by repeating it, and that may be the private key.
fn unusable(error: object_store::Error, environment: &Environment) -> Error {
    const KEY: &str = "GOOGLE_SERVICE_ACCOUNT_KEY";
    let hint = "set `GOOGLE_APPLICATION_CREDENTIALS` to the file of a service account's key";
    if environment.starting_with(PREFIX).any(|(name, _)| name == KEY.to_ascii_lowercase()) {
        return Error::config(format!("the key in `{KEY}` cannot be used"))
            .hint(format!("give the key's JSON as it is, not quoted once more; or {hint}"));
    }
    let unusable = Error::config("Google's credentials cannot be used").hint(hint);
    let first: &(dyn std::error::Error + 'static) = &error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    if causes.any(|error| error.is::<serde_json::Error>()) {
        let file = environment.get("GOOGLE_APPLICATION_CREDENTIALS").unwrap_or("the file that holds them");
        return unusable.context(format!("`{file}` is not the JSON of a key"));
    }
    unusable.source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_with(variables: &[(&str, &str)]) -> Result<String> {
        let environment = Environment::of(variables.iter().copied());
        connect(&StoreUrl::parse("gs://shop/a").unwrap(), &environment).map(|store| format!("{store:?}"))
    }

    #[test]
    fn an_emulator_needs_no_credentials_and_has_to_be_near() {
        for host in ["127.0.0.1:4443", "http://127.0.0.1:4443"] {
            let store = connect_with(&[("STORAGE_EMULATOR_HOST", host)]).unwrap();
            assert!(store.contains("\"http://127.0.0.1:4443\""), "{store}");
        }
        assert!(connect_with(&[("STORAGE_EMULATOR_HOST", "10.0.0.1:4443")]).is_err());
    }

    #[test]
    fn a_key_that_cannot_be_read_is_refused() {
        let missing = [("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")];
        assert!(connect_with(&missing).unwrap_err().hint_text().is_some());
        assert!(connect_with(&[("GOOGLE_ALLOW_INVALID_CERTIFICATES", "y")]).is_err());
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_repeated() {
        // Quoted once more than it should be, so that the whole of it is a text.
        let quoted = r#""{\"private_key\": \"s3cret\"}""#;
        let error = connect_with(&[("GOOGLE_SERVICE_ACCOUNT_KEY", quoted)]).unwrap_err();
        assert!(error.to_string().contains("GOOGLE_SERVICE_ACCOUNT_KEY"), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), quoted).unwrap();
        let file = [("GOOGLE_APPLICATION_CREDENTIALS", file.path().to_str().unwrap())];
        let error = connect_with(&file).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}
