//! A line to a PostgreSQL server that a test can slow down, cut or silence, and on which the answer to a commit gets lost.
//!
//! It is between the two programs, so it knows what a network does not: which bytes are a commit, and whether the server has
//! carried it out. <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::{
    io::{ErrorKind, Read, Result, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;

/// What the line does to all that goes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It passes everything on.
    Good,
    /// Every piece arrives so much later.
    Slow(Duration),
    /// It takes everything and passes nothing on, and nobody is told. A connection that was open meanwhile stays so for good.
    Silent,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// The server carries it out, and the answer comes back.
    Answered,
    /// The server carries it out, and the connection is reset before the answer.
    Unanswered,
    /// The server gets it, and the connection is reset at once: nobody knows which is first.
    Unknown,
    /// The connection is reset before the server gets it.
    Lost,
}

type Treat = Box<dyn FnMut(&str) -> Commit + Send>;

/// A line. Dropping it resets what is open.
pub struct Line {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    condition: Mutex<Condition>,
    treat: Mutex<Treat>,
    /// Those who carry a connection keep it: where they let go of it, its ends are closed.
    open: Mutex<Vec<Weak<Connection>>>,
    ended: AtomicBool,
}

/// The two ends of one connection.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Whether the answer to a commit is not to come back.
    unanswered: AtomicBool,
    silent: AtomicBool,
    is_reset: AtomicBool,
}

/// How often somebody who waits for bytes looks at what else has happened.
const TICK: Duration = Duration::from_millis(20);

impl Line {
    /// A line to the server at `server` of this machine; it is good.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            condition: Mutex::new(Condition::Good),
            treat: Mutex::new(Box::new(|_| Commit::Answered)),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                // Where the server does not answer, the client hears of it by losing its connection.
                let _ = connect(&accepting, client);
            }
        });
        Self { port, shared }
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it is like this.
    pub fn is(&self, condition: Condition) {
        let open = locked(&self.shared.open);
        *locked(&self.shared.condition) = condition;
        if condition == Condition::Silent {
            let open = open.iter().filter_map(Weak::upgrade);
            open.for_each(|connection| connection.silent.store(true, Ordering::Relaxed));
        }
    }

    /// Resets every connection that is open now.
    pub fn cut(&self) {
        let open = locked(&self.shared.open);
        open.iter().filter_map(Weak::upgrade).for_each(|connection| connection.reset());
    }

    /// Has `treat` say what becomes of each commit from now on, of which it gets the query.
    pub fn treat_commits(&self, treat: impl FnMut(&str) -> Commit + Send + 'static) {
        *locked(&self.shared.treat) = Box::new(treat);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the one who listens.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream) -> Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server))?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(TICK))?;
    }
    let connection = Arc::new(Connection {
        client,
        server,
        unanswered: AtomicBool::new(false),
        silent: AtomicBool::new(false),
        is_reset: AtomicBool::new(false),
    });
    let mut open = locked(&shared.open);
    open.retain(|other| other.strong_count() > 0);
    connection.silent.store(*locked(&shared.condition) == Condition::Silent, Ordering::Relaxed);
    open.push(Arc::downgrade(&connection));
    for carry in [to_server, to_client] {
        let (shared, connection) = (shared.clone(), connection.clone());
        thread::spawn(move || {
            // Who reads notices how it ended, as from a network.
            let _ = carry(&shared, &connection);
            connection.close();
        });
    }
    Ok(())
}

/// What the client says, message by message where it could be a commit.
fn to_server(shared: &Shared, connection: &Connection) -> Result<()> {
    let mut messages = Messages::default();
    let mut buffer = vec![0; 64 << 10];
    while let Some(read) = connection.read(&connection.client, &mut buffer)? {
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let (taken, commit) = messages.take(rest);
            let (piece, later) = rest.split_at(taken);
            rest = later;
            let commit = commit.map_or(Commit::Answered, |query| locked(&shared.treat)(&query));
            match commit {
                Commit::Answered => {}
                Commit::Lost => return connection.reset_here(),
                Commit::Unanswered => connection.unanswered.store(true, Ordering::Release),
                Commit::Unknown => {
                    (&connection.server).write_all(piece)?;
                    return connection.reset_here();
                }
            }
            connection.pass_on(shared, &connection.server, piece)?;
        }
    }
    Ok(())
}

/// What the server says, but for the answer to a commit that is not to come back.
fn to_client(shared: &Shared, connection: &Connection) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while let Some(read) = connection.read(&connection.server, &mut buffer)? {
        let piece = &buffer[..read];
        if connection.unanswered.load(Ordering::Acquire) {
            // `ReadyForQuery`, outside of a transaction: the commit has been carried out.
            if piece.ends_with(b"Z\0\0\0\x05I") {
                return connection.reset_here();
            }
        } else {
            connection.pass_on(shared, &connection.client, piece)?;
        }
    }
    Ok(())
}

impl Connection {
    /// Some bytes from one end; `None` when there will be no more.
    fn read(&self, mut from: &TcpStream, buffer: &mut [u8]) -> Result<Option<usize>> {
        loop {
            if self.is_reset.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match from.read(buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => return Ok(Some(read)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn pass_on(&self, shared: &Shared, mut to: &TcpStream, piece: &[u8]) -> Result<()> {
        let condition = *locked(&shared.condition);
        if let Condition::Slow(time) = condition {
            thread::sleep(time);
        }
        if self.silent.load(Ordering::Relaxed) { Ok(()) } else { to.write_all(piece) }
    }

    /// Ends it as a network does that has lost the other side.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::Relaxed);
        for end in [&self.client, &self.server] {
            // Closing it is a reset now, and it is closed when the last who reads lets go of it.
            let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
        }
    }

    fn reset_here(&self) -> Result<()> {
        self.reset();
        Ok(())
    }

    /// One side has closed it: the other hears of it, unless nobody is told anything any more.
    fn close(&self) {
        if self.is_reset.load(Ordering::Relaxed) || self.silent.load(Ordering::Relaxed) {
            return;
        }
        for end in [&self.client, &self.server] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// The client's messages, as far as it takes to find commits among them.
#[derive(Default)]
struct Messages {
    /// Whether the session has begun: what comes before has no tag.
    has_begun: bool,
    /// The beginning of a message, until it is known what it is, or all of a query.
    held: Vec<u8>,
    /// How much is still to come of a message that is no query.
    left: usize,
}

/// `SSLRequest`, which is followed by a startup message in its turn.
const SSL_REQUEST: u32 = 80_877_103;

impl Messages {
    /// How many of these bytes belong together, and the query that commits with the last of them.
    fn take(&mut self, bytes: &[u8]) -> (usize, Option<String>) {
        if self.left > 0 {
            let taken = self.left.min(bytes.len());
            self.left -= taken;
            return (taken, None);
        }
        // The tag stands before the length; a session's first messages have none, but a code behind it.
        let tag = usize::from(self.has_begun);
        let head = if self.has_begun { 5 } else { 8 };
        for (index, byte) in bytes.iter().enumerate() {
            self.held.push(*byte);
            if self.held.len() < head {
                continue;
            }
            let length = u32::from_be_bytes(self.held[tag..tag + 4].try_into().unwrap());
            let whole = length as usize + tag;
            let is_query = self.has_begun && self.held[0] == b'Q';
            if is_query && self.held.len() < whole {
                continue;
            }
            let query = is_query.then(|| String::from_utf8_lossy(&self.held[head..]).into_owned());
            self.left = whole - self.held.len();
            if !self.has_begun {
                let code = u32::from_be_bytes(self.held[4..8].try_into().unwrap());
                self.has_begun = code != SSL_REQUEST;
            }
            self.held.clear();
            return (index + 1, query.filter(|query| commits(query)));
        }
        (bytes.len(), None)
    }
}

/// Whether the text of a query ends a transaction well.
fn commits(query: &str) -> bool {
    let text = query.to_uppercase();
    text.trim_end_matches(['\0', ';', ' ', '\n']).ends_with("COMMIT")
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Messages;

    #[test]
    fn commits_are_found_however_the_bytes_come() {
        let query =
            |text: &str| [b"Q", &(text.len() as u32 + 5).to_be_bytes()[..], text.as_bytes(), b"\0"].concat();
        let startup = [&16_u32.to_be_bytes()[..], &196_608_u32.to_be_bytes(), b"user\0me\0"].concat();
        let bytes = [
            &[8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat()[..],
            &startup,
            &query("BEGIN"),
            b"d\0\0\0\x0bCOMMIT\0",
            &query("SET CONSTRAINTS ALL IMMEDIATE; COMMIT"),
            &query("SELECT 'COMMIT'"),
            &query("commit;"),
        ]
        .concat();
        for size in 1..bytes.len() {
            let (mut messages, mut passed, mut commits) = (Messages::default(), 0, Vec::new());
            for mut piece in bytes.chunks(size) {
                while !piece.is_empty() {
                    let (taken, commit) = messages.take(piece);
                    piece = &piece[taken..];
                    passed += taken;
                    commits.extend(commit.map(|_| passed));
                }
            }
            assert_eq!(passed, bytes.len());
            let second = bytes.len();
            let first = second - query("commit;").len() - query("SELECT 'COMMIT'").len();
            assert_eq!(commits, [first, second], "in pieces of {size}");
        }
    }
}
