//! The way to a broker of messages: where it is, and who vouches for it.

mod address;
mod trust;

use std::{fmt, io, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tidemark_engine::{Error, Result, world::World};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

pub(crate) use address::{Address, Protocol};
pub(crate) use trust::Trust;

/// How long reaching a broker may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// Some libraries want to be able to show what they speak over.
impl fmt::Debug for dyn Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Duplex")
    }
}

/// A broker that can be connected to.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    pub(crate) address: Address,
    trust: Trust,
}

impl Broker {
    /// The one at `address`, as far as `trust` goes.
    pub(crate) fn new(address: Address, trust: Trust) -> Self {
        Self { address, trust }
    }

    /// Opens a connection to the broker, which has proved itself where it has to. Nothing is said yet.
    pub(crate) async fn open(&self, world: &World) -> Result<Box<dyn Duplex>> {
        let too_late = || {
            Error::unavailable(format!("`{}` does not answer", self.address))
                .hint("check the host and the port, and that the broker listens there")
        };
        tokio::select! {
            opened = self.reach() => opened,
            () = world.sleep(PATIENCE) => Err(too_late()),
        }
    }

    async fn reach(&self) -> Result<Box<dyn Duplex>> {
        let (host, port) = (self.address.host(), self.address.port());
        let out_of_reach = |error: io::Error| {
            Error::unavailable(format!("cannot reach `{}`", self.address))
                .hint("check the host and the port, and that the broker listens there")
                .source(error)
        };
        let socket = TcpStream::connect((host, port)).await.map_err(out_of_reach)?;
        socket.set_nodelay(true).map_err(out_of_reach)?;
        if !self.address.is_secure() {
            return Ok(Box::new(socket));
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Error::config(format!("`{host}` is no name of a host")).source(error))?;
        let connector = TlsConnector::from(Arc::new(self.trust.tls()?));
        let stream = connector.connect(name, socket).await.map_err(|error| self.distrusted(error))?;
        Ok(Box::new(stream))
    }

    fn distrusted(&self, error: io::Error) -> Error {
        let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if !matches!(reason, Some(rustls::Error::InvalidCertificate(_))) {
            return Error::unavailable(format!("the TLS handshake with `{}` failed", self.address))
                .source(error);
        }
        Error::config(format!("the certificate of `{}` is not to be trusted", self.address))
            .hint("name the authority that signed it by `ca`, and connect by a name that it is for")
            .source(error)
    }
}
