//! When data and signatures may travel in the clear: to this machine, where the endpoint says `http://`. Beyond it the cloud's own
//! variable has to say so as well (`AWS_ALLOW_HTTP=true`), for that is nobody's default and no slip.

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

/// Fails when certificates are not to be looked at: whoever answers would be trusted.
pub(super) fn check_certificates(prefix: &str, environment: &Environment) -> Result<()> {
    let name = format!("{prefix}ALLOW_INVALID_CERTIFICATES");
    if !environment.says_yes(&name) {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` would trust whoever answers"))
        .hint("unset it, and add the authority to the system's certificates"))
}

fn is_loopback(rest: &str) -> bool {
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
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
        let blind = Environment::of([("AWS_ALLOW_INVALID_CERTIFICATES", "true")]);
        assert_eq!(check_certificates("AWS_", &blind).unwrap_err().kind(), ErrorKind::Config);
    }
}
