//! Where a broker listens.

use std::{fmt, net::IpAddr};

use tidemark_engine::{Error, Result};

/// How URLs of a protocol are written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// For people: `MQTT`.
    pub(crate) name: &'static str,
    /// The scheme with TLS, and the port that goes without saying.
    pub(crate) secure: &'static str,
    pub(crate) secure_port: u16,
    /// Those without TLS.
    pub(crate) plain: &'static str,
    pub(crate) plain_port: u16,
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    protocol: &'static Protocol,
    is_secure: bool,
    host: String,
    port: u16,
}

impl Address {
    /// Reads the URL of a broker that speaks `protocol`. Without TLS it has to be on this machine.
    pub(crate) fn parse(protocol: &'static Protocol, text: &str) -> Result<Self> {
        let example = format!("write `{}://broker:{}`", protocol.secure, protocol.secure_port);
        // What is no URL may still hold a password: it is not repeated.
        let url =
            url::Url::parse(text).map_err(|_| Error::config("the URL cannot be read").hint(&*example))?;
        let is_secure = match url.scheme() {
            scheme if scheme == protocol.secure => true,
            scheme if scheme == protocol.plain => false,
            _ => {
                let message = format!("the URL is not one of {}", protocol.name);
                return Err(Error::config(message).hint(&*example));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::config("the URL holds a name or a password")
                .hint("write them as `username` and `password`"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::config("the URL goes on after the port").hint(&*example));
        }
        let host = url
            .host_str()
            .map(|host| host.trim_matches(['[', ']']).to_lowercase())
            .filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Error::config("the URL names no host").hint(&*example))?;
        let port = url.port().unwrap_or(if is_secure { protocol.secure_port } else { protocol.plain_port });
        let address = Self { protocol, is_secure, host, port };
        if !address.is_secure && !address.is_loopback() {
            return Err(Error::config(format!("`{address}` would be spoken to without TLS"))
                .hint(format!("use `{}://`, with `ca` where the authority is your own", protocol.secure)));
        }
        Ok(address)
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Host and port, as a URL has them.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// A name or an address, the latter without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { self.protocol.secure } else { self.protocol.plain };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MQTT: Protocol =
        Protocol { name: "MQTT", secure: "mqtts", secure_port: 8883, plain: "mqtt", plain_port: 1883 };

    #[test]
    fn addresses_read_and_need_tls_beyond_this_machine() {
        let read = |text: &str| {
            Address::parse(&MQTT, text)
                .map(|address| address.to_string())
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(read("mqtts://Broker.example.com"), Ok("mqtts://broker.example.com:8883".to_owned()));
        assert_eq!(read("mqtt://localhost:1884/"), Ok("mqtt://localhost:1884".to_owned()));
        assert_eq!(read("mqtt://[::1]"), Ok("mqtt://[::1]:1883".to_owned()));
        assert_eq!(
            read("mqtt://10.0.0.1"),
            Err("`mqtt://10.0.0.1:1883` would be spoken to without TLS".to_owned())
        );
        assert_eq!(read("mqtts://u:p@broker"), Err("the URL holds a name or a password".to_owned()));
        assert_eq!(read("mqtts://broker/a?b"), Err("the URL goes on after the port".to_owned()));
        assert_eq!(read("http://broker"), Err("the URL is not one of MQTT".to_owned()));
        assert_eq!(read("broker"), Err("the URL cannot be read".to_owned()));
        assert_eq!(read("mqtt://"), Err("the URL names no host".to_owned()));
    }
}
