//! Where requests may go.
//!
//! A URL comes from the pipeline file, from a redirect or from an answer (`next` links), and whoever writes it could have us
//! read what only this machine can reach: services of the private network, or the credentials that clouds keep at link-local
//! addresses. So a host's addresses are looked at where they are resolved, in the same step that connects to them: no answer
//! of a name server can change in between.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tidemark_engine::{Error, Result};
use url::{Host, Url};

use super::{
    addresses::{Region, region},
    config::ClientConfig,
    shown::Shown,
};

/// What may be reached.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    private: bool,
    hosts: Vec<String>,
}

impl Guard {
    pub(super) fn new(config: &ClientConfig) -> Self {
        let plain = |host: &String| host.trim().trim_matches(['[', ']']).to_ascii_lowercase();
        Self {
            private: config.allow_private_addresses,
            hosts: config.allow_hosts.iter().map(plain).collect(),
        }
    }

    /// Fails when `url` cannot be asked, or names an address out of bounds. Names are looked at when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<()> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::config(format!("`{}` is no HTTP address", Shown(url)))
                .hint("begin it with `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::config(format!("the address `{}` holds a user name", Shown(url)))
                .hint("give it as `auth: {type: basic, ...}`: addresses are shown in messages"));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.allows(&address.to_string(), address).map_err(|refused| refused.error())
    }

    /// The same for one of the pipeline file, which credentials go to: they travel encrypted, or no further than asked for.
    pub(super) fn check_carries(&self, url: &Url, credentials: bool) -> Result<()> {
        self.check(url)?;
        let host = bare_host(url);
        let near = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        if !credentials || url.scheme() == "https" || near || self.hosts.contains(&host) {
            return Ok(());
        }
        Err(Error::config(format!("credentials would go to `{}` in the clear", Shown(url))).hint(format!(
            "use https; or name the host under `allow_hosts: [{host}]` where the network between is your own"
        )))
    }

    fn allows(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let region = region(address);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let open = match region {
            Region::Public => true,
            Region::Private => self.private,
            Region::Guarded => false,
        };
        if open || self.hosts.contains(&host) { Ok(()) } else { Err(Refused { host, address, region }) }
    }
}

/// The host of `url`, an IPv6 address without its brackets.
fn bare_host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase()
}

/// A host whose address may not be reached.
#[derive(Debug)]
pub(super) struct Refused {
    host: String,
    address: IpAddr,
    region: Region,
}

impl Refused {
    /// The same for people, with the key that would let it through.
    pub(super) fn error(&self) -> Error {
        let hint = match self.region {
            Region::Private => format!(
                "where that is what you want, name it under `allow_hosts: [{}]`, or set `allow_private_addresses: true`",
                self.host
            ),
            _ => format!("where that is what you want, name it under `allow_hosts: [{}]`", self.host),
        };
        Error::config(self.to_string()).hint(hint)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.region {
            Region::Private => "an address of a private network or of this machine",
            _ => "an address of no server",
        };
        if self.host == self.address.to_string() {
            write!(f, "`{}` is {what}", self.host)
        } else {
            write!(f, "`{}` is at `{}`, {what}", self.host, self.address)
        }
    }
}

impl std::error::Error for Refused {}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            // One bad address is enough: whoever mixes them into a name's answers waits for us to take that one.
            for address in &found {
                guard.allows(host, address.ip())?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(json: serde_json::Value) -> Guard {
        Guard::new(&serde_json::from_value(json).unwrap())
    }

    fn check(guard: &Guard, url: &str) -> Result<()> {
        guard.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn addresses_are_seen_through_however_they_are_written() {
        let closed = guard(serde_json::json!({}));
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest",
            "http://10.1.2.3/",
            "http://0.0.0.0/",
            "http://[64:ff9b::7f00:1]/",
            "ftp://example.com/",
            "https://me:secret@example.com/",
        ] {
            let error = check(&closed, url).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        check(&closed, "https://93.184.216.34/").unwrap();
        check(&closed, "https://example.com/").unwrap();
    }

    #[test]
    fn what_is_opened_is_open_and_no_more() {
        let private = guard(serde_json::json!({"allow_private_addresses": true}));
        check(&private, "http://10.0.0.1/").unwrap();
        let error = check(&private, "http://169.254.169.254/").unwrap_err();
        assert!(error.hint_text().unwrap().contains("allow_hosts: [169.254.169.254]"), "{error}");
        let one = guard(serde_json::json!({"allow_hosts": ["127.0.0.1", "[::1]"]}));
        check(&one, "http://127.0.0.1:8080/").unwrap();
        check(&one, "http://[::1]/").unwrap();
        let error = check(&one, "http://127.0.0.2/").unwrap_err();
        assert!(error.hint_text().unwrap().contains("allow_private_addresses"), "{error}");
    }

    #[test]
    fn credentials_travel_encrypted_beyond_what_is_near() {
        let guard = guard(serde_json::json!({"allow_hosts": ["api.intern"]}));
        let check = |url, credentials| guard.check_carries(&Url::parse(url).unwrap(), credentials);
        check("https://api.example.com/", true).unwrap();
        check("http://api.example.com/", false).unwrap();
        check("http://api.intern/", true).unwrap();
        check("http://localhost:1/", true).unwrap();
        assert!(check("http://api.example.com/", true).unwrap_err().to_string().contains("in the clear"));
    }

    #[tokio::test]
    async fn names_are_looked_at_where_they_are_resolved() {
        let name = || "localhost".parse::<Name>().unwrap();
        let closed = guard(serde_json::json!({}));
        let error = Resolve::resolve(&closed, name()).await.err().unwrap();
        assert!(error.downcast_ref::<Refused>().is_some(), "{error}");
        let open = guard(serde_json::json!({"allow_hosts": ["localhost"]}));
        assert!(Resolve::resolve(&open, name()).await.is_ok());
    }
}
