//! Frames of AMQP 1.0 on a socket: part 2.3 of the specification, and 5.3 for SASL.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::value::Value;

pub(super) const SASL: &[u8; 8] = b"AMQP\x03\x01\x00\x00";
pub(super) const AMQP: &[u8; 8] = b"AMQP\x00\x01\x00\x00";
/// How long a look at the socket may take.
const GLANCE: Duration = Duration::from_millis(10);

/// A connection to a client.
pub(super) struct Wire {
    socket: TcpStream,
    read: Vec<u8>,
    /// What the client takes in one frame.
    pub(super) largest: usize,
}

/// A frame with something in it.
pub(super) struct Frame {
    pub(super) channel: u16,
    pub(super) performative: Value,
    pub(super) payload: Vec<u8>,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(GLANCE))?;
        Ok(Self { socket, read: Vec::new(), largest: 512 })
    }

    /// The eight bytes that begin a protocol.
    pub(super) fn header(&mut self) -> io::Result<[u8; 8]> {
        self.fill(8)?;
        let header = self.read.drain(..8).collect::<Vec<_>>();
        header.try_into().map_err(|_| io::Error::from(ErrorKind::InvalidData))
    }

    pub(super) fn write_header(&mut self, header: &[u8; 8]) -> io::Result<()> {
        self.socket.write_all(header)
    }

    /// The next frame, if there is one by now; one without content is only a sign of life.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let size = self.read.first_chunk().map(|size| u32::from_be_bytes(*size) as usize);
            match size.filter(|size| self.read.len() >= *size) {
                None if !self.look()? => return Ok(None),
                None => {}
                Some(size) => {
                    let frame: Vec<u8> = self.read.drain(..size).collect();
                    if let Some(frame) = parse(&frame)? {
                        return Ok(Some(frame));
                    }
                }
            }
        }
    }

    /// Waits for a frame.
    pub(super) fn wait(&mut self) -> io::Result<Frame> {
        for _ in 0..500 {
            if let Some(frame) = self.next()? {
                return Ok(frame);
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    pub(super) fn send(&mut self, channel: u16, performative: &Value) -> io::Result<()> {
        self.frame(0, channel, performative, &[])
    }

    pub(super) fn send_sasl(&mut self, performative: &Value) -> io::Result<()> {
        self.frame(1, 0, performative, &[])
    }

    /// A transfer, in as many frames as it takes. `fields` are those of its first.
    pub(super) fn transfer(&mut self, channel: u16, fields: &[Value], payload: &[u8]) -> io::Result<()> {
        const ROOM: usize = 128;
        let chunks: Vec<_> = payload.chunks(self.largest.saturating_sub(ROOM)).collect();
        for (at, chunk) in chunks.iter().enumerate() {
            let mut fields = fields.to_vec();
            fields.resize(6, Value::Null);
            fields[5] = Value::Bool(at + 1 < chunks.len());
            self.frame(0, channel, &Value::described(0x14, fields), chunk)?;
        }
        Ok(())
    }

    /// A frame without content.
    pub(super) fn sign_of_life(&mut self) -> io::Result<()> {
        self.socket.write_all(&[0, 0, 0, 8, 2, 0, 0, 0])
    }

    fn frame(&mut self, kind: u8, channel: u16, performative: &Value, payload: &[u8]) -> io::Result<()> {
        let mut body = vec![2, kind];
        body.extend(channel.to_be_bytes());
        performative.write(&mut body);
        body.extend(payload);
        let mut frame = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
        frame.extend(body);
        self.socket.write_all(&frame)
    }

    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        for _ in 0..500 {
            if self.read.len() >= bytes {
                return Ok(());
            }
            self.look()?;
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Whether there was anything to be read.
    fn look(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 64 << 10];
        match self.socket.read(&mut chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.read.extend(&chunk[..count]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn parse(frame: &[u8]) -> io::Result<Option<Frame>> {
    let invalid = || io::Error::from(ErrorKind::InvalidData);
    let offset = usize::from(*frame.get(4).ok_or_else(invalid)?) * 4;
    let channel = u16::from_be_bytes([frame[6], frame[7]]);
    let mut body = frame.get(offset..).ok_or_else(invalid)?;
    if body.is_empty() {
        return Ok(None);
    }
    let performative = Value::read(&mut body).ok_or_else(invalid)?;
    Ok(Some(Frame { channel, performative, payload: body.to_vec() }))
}
