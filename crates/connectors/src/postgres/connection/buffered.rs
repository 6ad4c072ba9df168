//! A connection that is read from in large pieces.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::Transport;

/// tokio-postgres asks for 8 KiB at a time. A server that sends a table has more ready, and each question costs the same.
const BYTES: usize = 64 << 10;

/// A transport of which more is read than is asked for.
pub(super) struct Buffered(BufReader<Transport>);

impl Buffered {
    pub(super) fn new(transport: Transport) -> Self {
        Self(BufReader::with_capacity(BYTES, transport))
    }
}

impl TlsStream for Buffered {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.get_ref().channel_binding()
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
