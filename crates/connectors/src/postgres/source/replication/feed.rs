//! Changes as they arrive.

use std::{fmt::Display, time::Duration};

use bytes::{Buf, Bytes};
use tidemark_engine::{Error, Result};
use tokio::{
    io::ReadHalf,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{
    Acknowledger,
    wire::{Inbox, Message, Wire, unexpected},
};
use crate::postgres::{
    connection::{ServerReport, Transport},
    lsn::Lsn,
    source::slot::RESYNC,
};

/// How long the server may take to notice that we have gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// A server is given up that has been silent for so many times as long as it would wait for us. It may be late: while it goes
/// through a large transaction of which nothing is ours, it looks for our word only when half of that time has passed.
const PATIENCES: u32 = 3;

/// What a slot streams. Dropping it ends it at once; [`close`](Self::close) lets the server know first.
///
/// Reading and acknowledging are apart: one who reads late holds the server back, and keeps the connection.
pub(in crate::postgres) struct Feed {
    inbox: Inbox,
    from_server: ReadHalf<Transport>,
    acknowledger: Acknowledger,
    voice: JoinHandle<()>,
    server: String,
    /// How long the server may be silent, which is asked for a word all the time; `None` for ever.
    longest_silence: Option<Duration>,
    /// Since when we wait for a word.
    silent_since: Option<Instant>,
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) enum Frame {
    /// A message of the output plugin. It shares the memory of what was read along with it: copy what is to be kept.
    Data {
        /// Where in the log what it tells of stands; zero for messages that stand nowhere.
        start: Lsn,
        /// How far the server's log was then.
        end: Lsn,
        message: Bytes,
    },
    /// Nothing of what we read has happened up to here, beyond what was sent before.
    Keepalive { end: Lsn },
}

impl Feed {
    pub(super) fn start(wire: Wire, server: String, from: Lsn, patience: Option<Duration>) -> Self {
        let Wire { transport, inbox } = wire;
        let (from_server, to_server) = tokio::io::split(transport);
        let acknowledger = Acknowledger::new(from);
        let voice = tokio::spawn(acknowledger.clone().speak(to_server, patience));
        let longest_silence = patience.map(|patience| patience * PATIENCES);
        Self { inbox, from_server, acknowledger, voice, server, longest_silence, silent_since: None }
    }

    /// The next frame, waiting for it. Dropped in between, it has lost nothing.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Unavailable`] when the connection ends or nothing comes over it any more, and with
    /// [`tidemark_engine::ErrorKind::Conflict`] when the server no longer has the log that is to be read.
    pub(in crate::postgres) async fn next(&mut self) -> Result<Frame> {
        loop {
            let message = self.hear().await?;
            if let Some(frame) = self.frame(message)? {
                return Ok(frame);
            }
        }
    }

    /// The next message. The system says nothing of a connection that something on the way keeps open while the server is gone.
    async fn hear(&mut self) -> Result<Message> {
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        let next = self.inbox.next(&mut self.from_server);
        let heard = match self.longest_silence {
            None => next.await,
            // What has arrived counts, however late somebody looks.
            Some(longest) => timeout_at(since + longest, next).await.unwrap_or_else(|_| {
                let (server, seconds) = (&self.server, longest.as_secs());
                Err(Error::unavailable(format!(
                    "`{server}` has sent nothing for {seconds} s over its replication stream, though asked"
                ))
                .hint("look at what is between here and the server: it keeps the connection open and passes nothing on"))
            }),
        };
        self.silent_since = None;
        heard
    }

    /// The next frame, if it has arrived with an earlier one.
    pub(in crate::postgres) fn next_ready(&mut self) -> Option<Result<Frame>> {
        loop {
            let message = self.inbox.next_ready().transpose()?;
            if let Some(frame) = message.and_then(|message| self.frame(message)).transpose() {
                return Some(frame);
            }
        }
    }

    /// Tells the server how far we are.
    pub(in crate::postgres) fn acknowledger(&self) -> Acknowledger {
        self.acknowledger.clone()
    }

    /// Sends the last acknowledgement and waits until the server has let go of the slot, for a few seconds at most.
    #[expect(clippy::disallowed_methods, reason = "the wait is for a server, which lives in real time")]
    pub(in crate::postgres) async fn close(mut self) {
        self.acknowledger.end();
        let until_closed = async { while self.inbox.next(&mut self.from_server).await.is_ok() {} };
        tokio::time::timeout(FAREWELL, until_closed).await.ok();
    }

    /// What a message is to us; nothing for what the server says on the side.
    fn frame(&self, mut message: Message) -> Result<Option<Frame>> {
        match message.tag {
            b'd' => {
                let (frame, wants_word) = replicated(&mut message.body).ok_or_else(|| unexpected(b'd'))?;
                if wants_word {
                    self.acknowledger.repeat();
                }
                Ok(Some(frame))
            }
            b'N' | b'S' => Ok(None),
            b'E' => {
                let doing = format!("`{}` ended the replication stream", self.server);
                Err(refused(doing, ServerReport::read(&message.body)))
            }
            b'c' | b'C' | b'Z' => {
                Err(Error::unavailable(format!("`{}` ended the replication stream", self.server)))
            }
            other => Err(unexpected(other)),
        }
    }
}

/// A server's refusal to stream, or to go on. It gives the same codes to a slot whose log is lost as to a setting that is wrong:
/// here both mean that what comes next is not what came last.
pub(super) fn refused(doing: impl Display, report: ServerReport) -> Error {
    let lost = matches!(report.code.as_str(), "55000" | "58P01");
    let error = report.into_error(doing);
    if !lost {
        return error;
    }
    Error::conflict(error.message())
        .hint(format!("look at the slot in `pg_replication_slots`; if its log is lost, {RESYNC}"))
}

/// What is inside a `CopyData` message (`XLogData` or a primary keepalive), and whether the server wants a word from us.
fn replicated(body: &mut Bytes) -> Option<(Frame, bool)> {
    match body.try_get_u8().ok()? {
        b'w' => {
            let (start, end) = (Lsn(body.try_get_u64().ok()?), Lsn(body.try_get_u64().ok()?));
            // The server's clock.
            body.try_get_i64().ok()?;
            Some((Frame::Data { start, end, message: body.split_off(0) }, false))
        }
        b'k' => {
            let end = Lsn(body.try_get_u64().ok()?);
            body.try_get_i64().ok()?;
            Some((Frame::Keepalive { end }, body.try_get_u8().ok()? != 0))
        }
        _ => None,
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.voice.abort();
    }
}
