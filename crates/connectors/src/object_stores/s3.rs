//! Amazon S3, and what speaks its language.
//!
//! Credentials, the first that is there: `AWS_ACCESS_KEY_ID`; a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`); the
//! profile (`AWS_PROFILE`, else `default`); the container's; the instance's.

use object_store::{
    ClientConfigKey, ObjectStore,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
};
use tidemark_engine::{Error, Result};

use super::{
    Environment, StoreUrl,
    patience::{self, CONNECT_TIMEOUT, REQUEST_TIMEOUT},
    profile::Profile,
    transport,
};

const PREFIX: &str = "AWS_";
const ALLOW_HTTP: &str = "AWS_ALLOW_HTTP";
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const WEB_IDENTITY: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"];

pub(super) fn connect(url: &StoreUrl, environment: &Environment) -> Result<Box<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new()
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
    for (name, value) in environment.starting_with(PREFIX) {
        let Ok(key) = name.parse() else { continue };
        match &key {
            // The bucket is the URL's, and whether puts have conditions is no matter of taste.
            AmazonS3ConfigKey::Bucket | AmazonS3ConfigKey::ConditionalPut => continue,
            // Without the key that they belong to they are another's: what a session left behind, beside a profile.
            AmazonS3ConfigKey::AccessKeyId
            | AmazonS3ConfigKey::SecretAccessKey
            | AmazonS3ConfigKey::Token
                if environment.get(KEY_ID).is_none() =>
            {
                continue;
            }
            AmazonS3ConfigKey::Client(key) => transport::check_certificates(&name, key, value)?,
            _ => {}
        }
        builder = builder.with_config(key, value);
    }
    builder = with_profile(builder, environment)?;
    check_container(&builder, environment)?;
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = endpoint.iter().find_map(|key| builder.get_config_value(key)).unwrap_or_default();
    let plain = transport::allows_http(&endpoint, ALLOW_HTTP, environment)?;
    let builder = builder.with_allow_http(plain).with_bucket_name(url.bucket());
    let store = builder
        .with_retry(patience::retries())
        .build()
        .map_err(|error| Error::config("AWS's settings in the environment cannot be used").source(error))?;
    Ok(Box::new(store))
}

/// What the environment leaves open is the profile's to say.
fn with_profile(mut builder: AmazonS3Builder, environment: &Environment) -> Result<AmazonS3Builder> {
    let profile = Profile::read(environment)?;
    let has_keys = environment.get(KEY_ID).is_some() || has_web_identity(environment);
    if !has_keys && let Some([id, secret, token]) = profile.keys()? {
        let keys =
            [AmazonS3ConfigKey::AccessKeyId, AmazonS3ConfigKey::SecretAccessKey, AmazonS3ConfigKey::Token];
        for (key, value) in keys.into_iter().zip([id, secret, token]) {
            if let Some(value) = value {
                builder = builder.with_config(key, value);
            }
        }
    }
    let named = |names: &[&str]| names.iter().any(|name| environment.get(name).is_some());
    if let (Some(region), false) = (profile.get("region"), named(&["AWS_REGION", "AWS_DEFAULT_REGION"])) {
        builder = builder.with_region(region);
    }
    if let (Some(endpoint), false) =
        (profile.get("endpoint_url"), named(&["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"]))
    {
        builder = builder.with_endpoint(endpoint);
    }
    Ok(builder)
}

/// Whether a token stands for a role: neither says anything without the other.
fn has_web_identity(environment: &Environment) -> bool {
    WEB_IDENTITY.iter().all(|name| environment.get(name).is_some())
}

/// Fails when the container's credentials are meant and the library would pass over them, for those of the whole machine.
fn check_container(builder: &AmazonS3Builder, environment: &Environment) -> Result<()> {
    const URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    let has_others = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some()
        || has_web_identity(environment)
        || environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some();
    let Some(uri) = environment.get(URI).filter(|_| !has_others) else { return Ok(()) };
    if environment.get(TOKEN_FILE).is_none() {
        let message = format!("`{URI}` is understood with `{TOKEN_FILE}` alone, which is not set");
        return Err(Error::config(message)
            .hint("give the keys in the environment: `aws configure export-credentials --format env`"));
    }
    transport::check_credentials_endpoint(URI, uri)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn connect_with(variables: &[(&str, &str)]) -> Result<String> {
        let environment = Environment::of(variables.iter().copied());
        connect(&StoreUrl::parse("s3://shop/a").unwrap(), &environment).map(|store| format!("{store:?}"))
    }

    #[test]
    fn the_environment_wins_over_the_profile() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let profile = "[default]\naws_access_key_id=profile\naws_secret_access_key=s\nregion=eu-north-1\n";
        fs::write(home.path().join(".aws/credentials"), profile).unwrap();
        let home = ("HOME", home.path().to_str().unwrap());
        let by_profile = connect_with(&[home]).unwrap();
        assert!(by_profile.contains("s3.eu-north-1.amazonaws.com/shop"), "{by_profile}");
        let keys =
            [home, ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "eu-west-1")];
        let by_environment = connect_with(&keys).unwrap();
        assert!(by_environment.contains("s3.eu-west-1.amazonaws.com/shop"), "{by_environment}");
        assert!(connect_with(&[("AWS_PROFILE", "other"), home]).unwrap_err().to_string().contains("`other`"));
    }

    #[test]
    fn what_a_session_left_behind_is_not_mixed_with_a_profile() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let profile = "[default]\naws_access_key_id=profile\naws_secret_access_key=s\n";
        fs::write(home.path().join(".aws/credentials"), profile).unwrap();
        let home = ("HOME", home.path().to_str().unwrap());
        for stale in
            ["AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"]
        {
            let store = connect_with(&[home, (stale, "stale")]).unwrap();
            assert!(
                store.contains("key_id: \"profile\"") && !store.contains("\"stale\""),
                "{stale}: {store}"
            );
        }
    }

    #[test]
    fn the_credentials_of_a_container_are_used_or_refused() {
        let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
        let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token");
        let error = connect_with(&[uri]).unwrap_err();
        assert!(error.to_string().contains(token.0), "{error}");
        connect_with(&[uri, token]).unwrap();
        connect_with(&[uri, (KEY_ID, "id"), ("AWS_SECRET_ACCESS_KEY", "s")]).unwrap();
        assert!(connect_with(&[(uri.0, "http://10.0.0.1/"), token]).is_err());
    }

    #[test]
    fn certificates_are_always_looked_at() {
        for (name, value) in [
            ("AWS_ALLOW_INVALID_CERTIFICATES", "true"),
            ("AWS_ALLOW_INVALID_CERTIFICATES", "y"),
            ("AWS_allow_invalid_certificates", "1"),
        ] {
            let error = connect_with(&[(name, value)]).unwrap_err();
            assert!(error.to_string().contains("AWS_ALLOW_INVALID_CERTIFICATES"), "{error}");
        }
        connect_with(&[("AWS_ALLOW_INVALID_CERTIFICATES", "false")]).unwrap();
    }

    #[test]
    fn endpoints_are_taken_and_plain_http_refused_beyond_this_machine() {
        for (name, endpoint) in [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"),
            ("AWS_ENDPOINT_URL_S3", "https://minio.example.com"),
        ] {
            let store = connect_with(&[(name, endpoint)]).unwrap();
            assert!(store.contains(&format!("{endpoint}/shop")), "{store}");
        }
        let error = connect_with(&[("AWS_ENDPOINT_URL", "http://minio:9000")]).unwrap_err();
        assert!(error.hint_text().unwrap().contains(ALLOW_HTTP), "{error}");
        assert!(connect_with(&[(KEY_ID, "s3cret")]).is_err_and(|it| !it.to_string().contains("s3cret")));
    }
}
