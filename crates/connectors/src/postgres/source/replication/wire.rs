//! Messages in both directions, outside the feed: one command at a time, answered in text.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tidemark_engine::{Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::postgres::connection::{ServerReport, Transport};

/// A buffer: a burst of small changes comes in few system calls.
const BUFFER: usize = 128 << 10;
/// A buffer with less room than this is left to those who still hold pieces of it, and another one begun.
const LEAST_ROOM: usize = 16 << 10;

/// One message of the server.
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Bytes,
}

/// What has arrived and has not been looked at.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: BytesMut,
}

impl Inbox {
    /// The next message, if all of it is here. Its body is a piece of the buffer, not a copy.
    pub(super) fn next_ready(&mut self) -> Result<Option<Message>> {
        let Some(length) = self.length()? else { return Ok(None) };
        if self.bytes.len() <= length {
            return Ok(None);
        }
        let mut message = self.bytes.split_to(1 + length).freeze();
        let tag = message[0];
        message.advance(5);
        Ok(Some(Message { tag, body: message }))
    }

    /// The next message, waiting for it. Dropped in between, it has lost nothing.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Unavailable`] when the connection ends.
    pub(super) async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<Message> {
        loop {
            if let Some(message) = self.next_ready()? {
                return Ok(message);
            }
            let missing = self.length()?.map_or(0, |length| 1 + length - self.bytes.len());
            if self.bytes.capacity() - self.bytes.len() < missing.max(LEAST_ROOM) {
                self.bytes.reserve(missing.max(BUFFER));
            }
            let read = from.read_buf(&mut self.bytes).await.map_err(broken)?;
            if read == 0 {
                return Err(Error::unavailable("the server closed the replication connection"));
            }
        }
    }

    /// The length of the next message without its tag, once that much is known.
    fn length(&self) -> Result<Option<usize>> {
        let Some(mut length) = self.bytes.get(1..5) else { return Ok(None) };
        match length.get_i32() {
            length @ 4.. => Ok(Some(length as usize)),
            _ => Err(Error::data("the server sent a message of an impossible length")
                .hint("check that nothing between us and the server changes what it sends")),
        }
    }
}

pub(super) fn broken(error: std::io::Error) -> Error {
    Error::unavailable("the replication connection broke").source(error)
}

/// A connection on which commands are asked.
pub(super) struct Wire {
    pub(super) transport: Transport,
    pub(super) inbox: Inbox,
}

/// The values of one row, as text.
pub(super) type Row = Vec<Option<String>>;

impl Wire {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, inbox: Inbox::default() }
    }

    /// Runs `command` and returns its rows. `doing` begins the message of a failure.
    pub(super) async fn ask(&mut self, doing: &str, command: &str) -> Result<Vec<Row>> {
        self.send(command).await?;
        let (mut rows, mut outcome) = (Vec::new(), Ok(()));
        loop {
            let message = self.receive().await?;
            match message.tag {
                b'D' => rows.push(row(message.body).ok_or_else(|| unexpected(b'D'))?),
                b'E' => outcome = Err(ServerReport::read(&message.body).into_error(doing)),
                b'Z' => return outcome.map(|()| rows),
                // The shape of the rows, the end of the command, what the server says on the side.
                b'T' | b'C' | b'N' | b'S' => {}
                other => return Err(unexpected(other)),
            }
        }
    }

    pub(super) async fn send(&mut self, command: &str) -> Result<()> {
        let mut bytes = BytesMut::new();
        frontend::query(command, &mut bytes)
            .map_err(|error| Error::internal("a replication command cannot be sent").source(error))?;
        self.transport.write_all(&bytes).await.map_err(broken)?;
        self.transport.flush().await.map_err(broken)
    }

    pub(super) async fn receive(&mut self) -> Result<Message> {
        self.inbox.next(&mut self.transport).await
    }
}

/// A `DataRow`.
fn row(mut body: Bytes) -> Option<Row> {
    let columns = body.try_get_u16().ok()?;
    let value = |_| match body.try_get_i32().ok()? {
        -1 => Some(None),
        length => {
            let length = usize::try_from(length).ok().filter(|length| *length <= body.len())?;
            Some(Some(String::from_utf8(body.split_to(length).into()).ok()?))
        }
    };
    (0..columns).map(value).collect()
}

pub(super) fn unexpected(tag: u8) -> Error {
    Error::internal(format!("a replication message `{}` came where none is due", tag.escape_ascii()))
}
