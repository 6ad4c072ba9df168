//! Telling the server how far we are, from a task of its own: whoever reads may be busy for minutes, and the server ends the
//! connection of one that says nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut, BytesMut};
use postgres_protocol::message::frontend::{self, CopyData};
use tokio::{
    io::{AsyncWriteExt, WriteHalf},
    sync::Notify,
};

use crate::postgres::{connection::Transport, lsn::Lsn};

/// Acknowledgements that come in a burst are sent as one.
const PAUSE: Duration = Duration::from_millis(100);
/// A word from us every so often, news or not.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// Tells the server that it may forget its log up to a place. Cheap; clones speak for the same feed.
#[derive(Debug, Clone, Default)]
pub(in crate::postgres) struct Acknowledger(Arc<State>);

#[derive(Debug, Default)]
struct State {
    durable: AtomicU64,
    news: Notify,
    end: Notify,
}

impl Acknowledger {
    pub(super) fn new(from: Lsn) -> Self {
        let state = State { durable: AtomicU64::new(from.0), ..State::default() };
        Self(Arc::new(state))
    }

    /// Everything that commits before `to` is durable with us: the server will not send it again after a restart. A place
    /// before an earlier one changes nothing.
    pub(in crate::postgres) fn acknowledge(&self, to: Lsn) {
        if self.0.durable.fetch_max(to.0, Ordering::AcqRel) < to.0 {
            self.0.news.notify_one();
        }
    }

    /// How far it has been acknowledged.
    pub(in crate::postgres) fn acknowledged(&self) -> Lsn {
        Lsn(self.0.durable.load(Ordering::Acquire))
    }

    /// Says again how far it is: the server has asked.
    pub(super) fn repeat(&self) {
        self.0.news.notify_one();
    }

    /// Asks for the last word and the end of the stream.
    pub(super) fn end(&self) {
        self.0.end.notify_one();
    }

    /// Speaks until the connection breaks or [`end`](Self::end) is called; whoever reads notices a break by itself.
    #[expect(clippy::disallowed_methods, reason = "a server's patience runs in real time")]
    pub(super) async fn speak(self, mut to_server: WriteHalf<Transport>, patience: Option<Duration>) {
        let silence = patience.map_or(LONGEST_SILENCE, |patience| LONGEST_SILENCE.min(patience / 3));
        let mut asks = false;
        loop {
            if send(&mut to_server, &self.status(asks)).await.is_err() {
                return;
            }
            let pause = async {
                tokio::time::sleep(PAUSE.min(silence)).await;
                // With or without news: the server has heard nothing for long enough.
                tokio::time::timeout(silence, self.0.news.notified()).await.is_err()
            };
            tokio::select! {
                // Whoever reads wants to know that it is there still.
                is_quiet = pause => asks = is_quiet,
                () = self.0.end.notified() => break,
            }
        }
        let mut last = self.status(false);
        frontend::copy_done(&mut last);
        frontend::terminate(&mut last);
        // Nobody is left to tell that this failed; the server will send again what it has not heard of.
        send(&mut to_server, &last).await.ok();
    }

    /// A standby status update, to which the server answers where it `asks`: written, flushed and applied are one to us, durable.
    /// <https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-STANDBY-STATUS-UPDATE>
    fn status(&self, asks: bool) -> BytesMut {
        let durable = self.acknowledged().0;
        let mut body = BytesMut::with_capacity(34);
        body.put_u8(b'r');
        (0..3).for_each(|_| body.put_u64(durable));
        // Our clock, which the server only shows.
        body.put_i64(0);
        body.put_u8(asks.into());
        let mut message = BytesMut::new();
        if let Ok(data) = CopyData::new(body) {
            data.write(&mut message);
        }
        message
    }
}

async fn send(to_server: &mut WriteHalf<Transport>, message: &[u8]) -> std::io::Result<()> {
    to_server.write_all(message).await?;
    to_server.flush().await
}
