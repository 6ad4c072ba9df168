//! The bytes' way to a server: a socket, with TLS around it where the server has to prove itself.

use std::{
    error, io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::CertificateError;
use socket2::{SockRef, TcpKeepalive};
use tidemark_engine::{Error, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    server::{Host, Server, Verification},
    trust,
};

/// A peer that says nothing for this long, though asked, is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// An open connection to a server that has proved itself. Nobody is logged in yet.
pub(in crate::postgres) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Tls>),
}

type Tls = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::Stream;

/// Bytes in both directions.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Server {
    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Transport> {
        match &self.host {
            Host::Folder(folder) => self.open_unix(folder).await,
            Host::Network(name) => {
                let socket = self.open_tcp(name).await.map_err(|error| self.out_of_reach(error))?;
                match &self.verification {
                    Verification::None => Ok(Transport::Tcp(socket)),
                    Verification::Certificate { authorities, name: by_name } => {
                        let tls = match self.tls.get() {
                            Some(tls) => tls,
                            None => {
                                let tls = trust::tls(authorities, *by_name)?;
                                self.tls.get_or_init(|| tls)
                            }
                        };
                        self.secure(socket, name, tls.clone()).await
                    }
                }
            }
        }
    }

    async fn open_unix(&self, folder: &Path) -> Result<Transport> {
        let file = folder.join(format!(".s.PGSQL.{}", self.port));
        let socket = UnixStream::connect(file).await.map_err(|error| self.out_of_reach(error))?;
        Ok(Transport::Unix(socket))
    }

    /// A socket that notices when the other side has gone without a word.
    async fn open_tcp(&self, name: &str) -> io::Result<TcpStream> {
        let socket = TcpStream::connect((name, self.port)).await?;
        socket.set_nodelay(true)?;
        let settings = SockRef::from(&socket);
        settings.set_tcp_keepalive(
            &TcpKeepalive::new().with_time(SILENCE / 2).with_interval(SILENCE / 6).with_retries(3),
        )?;
        #[cfg(target_os = "linux")]
        settings.set_tcp_user_timeout(Some(SILENCE))?;
        Ok(socket)
    }

    fn out_of_reach(&self, error: io::Error) -> Error {
        Error::unavailable(format!("cannot reach `{}`", self.place()))
            .hint("check the host and the port, and that the server listens there")
            .source(error)
    }

    /// Asks for TLS and verifies who answers.
    /// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
    async fn secure(
        &self,
        mut socket: TcpStream,
        name: &str,
        mut tls: MakeRustlsConnect,
    ) -> Result<Transport> {
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        let lost =
            |error| Error::unavailable(format!("`{}` closed the connection", self.place())).source(error);
        socket.write_all(&request).await.map_err(lost)?;
        // Exactly one byte: whatever came behind it in the clear would be somebody else's.
        match socket.read_u8().await.map_err(lost)? {
            b'S' => {}
            b'N' => return Err(self.without_tls()),
            _ => return Err(Error::unavailable(format!("`{}` takes no connections now", self.place()))),
        }
        let handshake = match MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, name) {
            Ok(connect) => connect.connect(socket),
            Err(never) => match never {},
        };
        match handshake.await {
            Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
            Err(error) => Err(self.distrusted(error)),
        }
    }

    fn without_tls(&self) -> Error {
        Error::config(format!("`{}` offers no TLS", self.place())).hint(
            "set `ssl = on` at the server, with a certificate; it is needed beyond one machine, and where `sslmode` or \
             `sslrootcert` asks for it",
        )
    }

    fn distrusted(&self, error: io::Error) -> Error {
        let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(flaw)) = reason else {
            return Error::unavailable(format!("the TLS handshake with `{}` failed", self.place()))
                .source(error);
        };
        let hint = match flaw {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "name the authority that signed the server's certificate by `sslrootcert=/path/to/ca.pem`"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "connect by a name that the certificate is for, or, where the authority is your own, use \
                 `sslmode=verify-ca`"
            }
            _ => "give the server a valid certificate",
        };
        Error::config(format!("the certificate of `{}` is not to be trusted", self.place()))
            .hint(hint)
            .source(error)
    }
}

/// What ties a login to this very connection, so that nobody in the middle can pass it on.
impl TlsStream for Transport {
    fn channel_binding(&self) -> ChannelBinding {
        match self {
            Self::Tls(stream) => stream.channel_binding(),
            Self::Tcp(_) | Self::Unix(_) => ChannelBinding::none(),
        }
    }
}

/// Hands tokio-postgres a stream that is already open.
pub(in crate::postgres) struct Opened<S>(pub(in crate::postgres) S);

impl<S: TlsStream + Unpin> TlsConnect<tokio::io::Empty> for Opened<S> {
    type Stream = S;
    type Error = Box<dyn error::Error + Send + Sync>;
    type Future = std::future::Ready<Result<S, Self::Error>>;

    fn connect(self, _: tokio::io::Empty) -> Self::Future {
        std::future::ready(Ok(self.0))
    }
}

impl Transport {
    fn bytes(self: Pin<&mut Self>) -> Pin<&mut dyn Duplex> {
        let bytes: &mut dyn Duplex = match self.get_mut() {
            Self::Tcp(socket) => socket,
            Self::Unix(socket) => socket,
            Self::Tls(stream) => stream,
        };
        Pin::new(bytes)
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.bytes().poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.bytes().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes().poll_shutdown(cx)
    }
}
