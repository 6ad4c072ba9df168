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

pub(super) fn connect(url: &StoreUrl, environment: &Environment) -> Result<Box<dyn ObjectStore>> {
    transport::check_certificates(PREFIX, environment)?;
    let mut builder = AmazonS3Builder::new()
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
    for (name, value) in environment.starting_with(PREFIX) {
        // The bucket is the URL's, and whether puts have conditions is no matter of taste.
        let owned = ["aws_bucket", "aws_bucket_name", "aws_conditional_put"].contains(&name.as_str());
        if let (false, Ok(key)) = (owned, name.parse()) {
            builder = builder.with_config(key, value);
        }
    }
    builder = with_profile(builder, environment)?;
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
    let has_keys = environment.get("AWS_ACCESS_KEY_ID").is_some()
        || environment.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
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
        assert!(
            connect_with(&[("AWS_SECRET_ACCESS_KEY", "s3cret")])
                .is_err_and(|it| !it.to_string().contains("s3cret"))
        );
    }
}
