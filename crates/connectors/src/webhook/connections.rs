//! Connections, as many as there may be, each cut when it keeps the server waiting: one that says nothing, or says it a byte at a time,
//! takes a place from others.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tidemark_engine::world::World;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// How long the head of a request may take, from its first byte on.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may be silent between requests.
const SILENCE: Duration = Duration::from_secs(60);
/// How long nobody is let in after the system could not: it mostly has too many files open.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// Accepts connections.
pub(super) struct Connections {
    listener: TcpListener,
    places: Arc<Semaphore>,
    world: World,
}

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    line: Line,
    world: World,
    wait: Option<Wait>,
    _place: OwnedSemaphorePermit,
}

/// How long a connection is waited for.
struct Wait {
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether a request has begun.
    in_head: bool,
}

/// What a connection and whoever serves its requests know of each other: while a request is served, nobody waits for bytes here.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<AtomicBool>);

/// A request that is being served.
#[derive(Debug)]
pub(super) struct Serving(Line);

impl Connections {
    /// Accepts up to `most` connections at once.
    pub(super) fn new(listener: TcpListener, most: usize, world: World) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(most)), world }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let place = self.places.clone().acquire_owned().await;
            match (place, self.listener.accept().await) {
                (Ok(place), Ok((stream, address))) => {
                    // Answers are small and whole. Where this is refused they are merely later.
                    let _ = stream.set_nodelay(true);
                    let world = self.world.clone();
                    return (
                        Connection { stream, line: Line::default(), world, wait: None, _place: place },
                        address,
                    );
                }
                (_, Err(error)) if is_of_the_connection(&error) => {}
                (_, Err(error)) => {
                    tracing::warn!(%error, "no connection can be accepted: trying again");
                    self.world.sleep(AFTER_TROUBLE).await;
                }
                // The places are never closed.
                (Err(_), Ok(_)) => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether it is about the one connection, which is gone.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl Line {
    /// Nobody waits for the connection until what it returns is dropped.
    pub(super) fn serve(&self) -> Serving {
        self.0.store(true, Ordering::Relaxed);
        Serving(self.clone())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Connections>> for Line {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().line.clone()
    }
}

impl Connection {
    /// Begins to wait, unless it does already.
    fn wait(&mut self, in_head: bool) {
        if self.wait.as_ref().is_some_and(|wait| wait.in_head == in_head || !in_head) {
            return;
        }
        let (world, duration) = (self.world.clone(), if in_head { HEAD } else { SILENCE });
        let over = Box::pin(async move { world.sleep(duration).await });
        self.wait = Some(Wait { over, in_head });
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.line.0.load(Ordering::Relaxed) {
            self.wait = None;
            return read;
        }
        match read {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                self.wait(true);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                self.wait(false);
                match self.wait.as_mut().map(|wait| wait.over.as_mut().poll(cx)) {
                    Some(Poll::Ready(())) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                    _ => Poll::Pending,
                }
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the clock is tokio's own, which a test can stop")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (TcpStream, Connection) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = Connections::new(listener, 1, World::real());
        let (client, (connection, _)) = tokio::join!(TcpStream::connect(address), connections.accept());
        (client.unwrap(), connection)
    }

    /// How long the connection stays, in seconds of a clock that goes as fast as it can.
    async fn stays(connection: &mut Connection) -> u64 {
        let begin = tokio::time::Instant::now();
        let error = connection.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        begin.elapsed().as_secs()
    }

    #[tokio::test]
    async fn silence_and_slow_heads_end_a_connection_and_a_request_that_is_served_does_not() {
        let (mut client, mut connection) = pair().await;
        client.write_all(b"POST").await.unwrap();
        connection.read_exact(&mut [0; 4]).await.unwrap();
        tokio::time::pause();
        assert_eq!(stays(&mut connection).await, HEAD.as_secs());
        let serving = connection.line.serve();
        let served = tokio::time::timeout(Duration::from_secs(3_600), connection.read(&mut [0; 16])).await;
        assert!(served.is_err(), "it is still there");
        drop(serving);
        assert_eq!(stays(&mut connection).await, SILENCE.as_secs());
    }
}
