//! When data and signatures may travel in the clear: to this machine, where the endpoint says `http://`. Beyond it the cloud's own
//! variable has to say so as well (`AWS_ALLOW_HTTP=true`), for that is nobody's default and no slip.

use object_store::ClientConfigKey;
use tidemark_engine::{Error, Result};

use super::Environment;

/// Whether the client may speak plain HTTP to `endpoint`; an error where it would have to and may not.
pub(super) fn allows_http(endpoint: &str, allowing: &str, environment: &Environment) -> Result<bool> {
    let Some(rest) = endpoint.strip_prefix("http://") else { return Ok(false) };
    if is_loopback(rest) || environment.says_yes(allowing) {
        return Ok(true);
    }
    Err(Error::config(format!("its endpoint `{}` is plain http, beyond this machine", shown(endpoint)))
        .hint(format!("use https; or set `{allowing}=true` where the network between is your own")))
}

/// Fails when the variable `name`, which the library takes for `key`, says that certificates are not to be looked at: whoever
/// answers would be trusted.
pub(super) fn check_certificates(name: &str, key: &ClientConfigKey, value: &str) -> Result<()> {
    let is_no = || matches!(value.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "n" | "off");
    if !matches!(key, ClientConfigKey::AllowInvalidCertificates) || is_no() {
        return Ok(());
    }
    Err(Error::config(format!("`{}` would trust whoever answers", name.to_ascii_uppercase()))
        .hint("unset it, and add the authority to the system's certificates"))
}

/// Where containers ask for their credentials, which no other machine can listen to.
const OF_CONTAINERS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Fails when credentials would come from `endpoint` in the clear.
pub(super) fn check_credentials_endpoint(name: &str, endpoint: &str) -> Result<()> {
    let is_near = |rest| is_loopback(rest) || OF_CONTAINERS.contains(&host(rest));
    if endpoint.starts_with("https://") || endpoint.strip_prefix("http://").is_some_and(is_near) {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` would fetch credentials in the clear, from beyond this machine"))
        .hint("use https, or unset it"))
}

/// The host at the beginning of what follows `http://`.
fn host(rest: &str) -> &str {
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None if host.contains('@') => "",
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(rest: &str) -> bool {
    let host = host(rest);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The endpoint without what could be a secret in it.
fn shown(endpoint: &str) -> &str {
    if endpoint.contains('@') { "http://..." } else { endpoint.split(['?', '#']).next().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::ErrorKind;

    use super::*;

    #[test]
    fn beyond_this_machine_plain_http_has_to_be_asked_for_twice() {
        let (silent, said) = (Environment::default(), Environment::of([("AWS_ALLOW_HTTP", "true")]));
        let allows = |endpoint, environment| allows_http(endpoint, "AWS_ALLOW_HTTP", environment);
        for near in ["http://127.0.0.1:9000", "http://localhost/a", "http://[::1]:9000"] {
            assert!(allows(near, &silent).unwrap(), "{near}");
        }
        for far in ["http://10.0.0.1:9000", "http://minio", "http://localhost.example.com"] {
            assert_eq!(allows(far, &silent).unwrap_err().kind(), ErrorKind::Config, "{far}");
            assert!(allows(far, &said).unwrap(), "{far}");
        }
        assert!(!allows("https://minio", &said).unwrap());
        assert!(!allows("http://me:secret@far", &silent).unwrap_err().to_string().contains("secret"));
        assert!(allows("http://localhost:1@far", &silent).is_err());
    }

    #[test]
    fn credentials_come_in_the_clear_from_this_machine_alone() {
        let check = |endpoint| check_credentials_endpoint("URI", endpoint);
        for near in
            ["http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1", "http://localhost:1/a"]
        {
            check(near).unwrap();
        }
        check("https://far/a").unwrap();
        for far in ["http://far/a", "http://169.254.170.23.far/a", "http://169.254.170.23:1@far/a", "far"] {
            assert_eq!(check(far).unwrap_err().kind(), ErrorKind::Config, "{far}");
        }
    }
}
