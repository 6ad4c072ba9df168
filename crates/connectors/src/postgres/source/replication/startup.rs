//! How a session becomes one for replication.
//!
//! tokio-postgres knows every way to log in, but cannot ask for replication, and keeps its connection. So it logs in over a
//! stream that is only lent to it, which puts the wish into the first message; afterwards we take the stream back.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use tidemark_engine::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use crate::postgres::connection::{Server, Transport};

/// Logs in for logical replication and hands over the connection, ready for commands.
pub(super) async fn log_in(server: &Server, purpose: &str) -> Result<Transport> {
    let owner = Owner::default();
    let lend = |transport| Lent { transport: owner.clone().holding(transport), startup: Startup::Expected };
    let session = server.log_in(purpose, lend).await?;
    // The client would say goodbye only over its connection, which is never run.
    drop(session);
    owner.take().ok_or_else(|| Error::internal("the connection for replication was not given back"))
}

/// Who a lent stream belongs to.
#[derive(Clone, Default)]
struct Owner(Arc<Mutex<Option<Transport>>>);

impl Owner {
    fn holding(self, transport: Transport) -> Self {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(transport);
        self
    }

    fn take(&self) -> Option<Transport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Uses the stream; one that has been taken back is closed for everybody else.
    fn with<T>(&self, act: impl FnOnce(Pin<&mut Transport>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(transport) => act(Pin::new(transport)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

struct Lent {
    transport: Owner,
    startup: Startup,
}

/// Where the first message is.
enum Startup {
    /// Nobody has written yet.
    Expected,
    /// What of it, with our wish inside, is still to be sent, and how long it was without.
    Sending(BytesMut, usize),
    /// The server has it.
    Sent,
}

/// The `StartupMessage` with `replication=database` among its parameters.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-STARTUPMESSAGE>
fn for_replication(startup: &[u8]) -> io::Result<BytesMut> {
    const WISH: &[u8] = b"replication\0database\0";
    let whole = startup.len() >= 4 && (&startup[..4]).get_u32() as usize == startup.len();
    let Some((&0, parameters)) = startup.split_last().filter(|_| whole) else {
        return Err(io::Error::other("the first message is not in one piece"));
    };
    let mut message = BytesMut::with_capacity(startup.len() + WISH.len());
    message.put_u32((startup.len() + WISH.len()) as u32);
    message.put_slice(&parameters[4..]);
    message.put_slice(WISH);
    message.put_u8(0);
    Ok(message)
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { transport, startup } = &mut *self;
        if let Startup::Expected = startup {
            *startup = Startup::Sending(for_replication(buf)?, buf.len());
        }
        match startup {
            Startup::Sending(message, length) => {
                while message.has_remaining() {
                    let written = ready!(transport.with(|stream| stream.poll_write(cx, message)))?;
                    message.advance(written);
                }
                let length = *length;
                *startup = Startup::Sent;
                Poll::Ready(Ok(length))
            }
            _ => transport.with(|stream| stream.poll_write(cx, buf)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.with(|stream| stream.poll_shutdown(cx))
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.transport.with(|stream| stream.poll_read(cx, buf))
    }
}

impl TlsStream for Lent {
    fn channel_binding(&self) -> ChannelBinding {
        let transport = self.transport.0.lock().unwrap_or_else(PoisonError::into_inner);
        transport.as_ref().map_or_else(ChannelBinding::none, TlsStream::channel_binding)
    }
}
