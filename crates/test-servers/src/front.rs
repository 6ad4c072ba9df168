//! A front before an HTTP server, which treats requests as a bad network or a bad server would.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;

use crate::http::{self, Response};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Treatment {
    /// It reaches the server, and the answer comes back.
    Pass,
    /// The same, so much later.
    Delay(Duration),
    /// The connection is cut before the server hears of it.
    Cut,
    /// The server does what is asked, and the connection is closed before the answer.
    LoseAnswer,
    /// The same, and the connection is reset.
    Reset,
    /// Nothing comes back, and nothing says so.
    Silence,
    /// It reaches the server without these headers.
    Without(&'static [&'static str]),
    /// This is the answer, whatever the server would have said.
    Answer(Response),
}

/// A request, whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// Such as `PUT`.
    pub method: String,
    /// Path and query.
    pub target: String,
    headers: Vec<(String, String)>,
    /// What it carries.
    pub body: Vec<u8>,
}

type Treat = Box<dyn FnMut(&Request) -> Treatment + Send>;

/// A running front. Dropping it ends it.
pub struct Front {
    port: u16,
    treat: Arc<Mutex<Treat>>,
    ended: Arc<AtomicBool>,
}

impl Front {
    /// A front before the server at `server` of this machine, which passes everything on.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let treat: Arc<Mutex<Treat>> = Arc::new(Mutex::new(Box::new(|_| Treatment::Pass)));
        let ended = Arc::new(AtomicBool::new(false));
        let (treating, ending) = (treat.clone(), ended.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                let (treating, ending) = (treating.clone(), ending.clone());
                // Whoever was cut off hears of it; a front has nobody to tell.
                thread::spawn(move || drop(serve(client, server, &treating, &ending)));
            }
        });
        Self { port, treat, ended }
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has `treat` say what becomes of each request from now on.
    pub fn treat(&self, treat: impl FnMut(&Request) -> Treatment + Send + 'static) {
        *self.treat.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(treat);
    }

    /// Every request is treated so from now on.
    pub fn treat_all(&self, treatment: Treatment) {
        self.treat(move |_| treatment.clone());
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the one who listens.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl Request {
    /// The value of a header; its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Reads one to its end; `None` when the client has left.
    fn read(client: &mut TcpStream) -> std::io::Result<Option<Self>> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 64 << 10]);
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            match client.read(&mut buffer)? {
                0 => return Ok(None),
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let header = |line: &str| {
            line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        let mut request = Self { method, target, headers, body: bytes.split_off(end + 4) };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        while request.body.len() < length {
            match client.read(&mut buffer)? {
                0 => return Ok(None),
                read => request.body.extend_from_slice(&buffer[..read]),
            }
        }
        Ok(Some(request))
    }

    fn pass_on(&self, server: u16, without: &[&str]) -> std::io::Result<Response> {
        let left_out = |name: &str| ["connection", "host"].contains(&name) || without.contains(&name);
        let headers = self.headers.iter().filter(|(name, _)| !left_out(name));
        let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        // Some servers listen to their own name alone.
        let head =
            format!("{} {} HTTP/1.1\r\nhost: 127.0.0.1:{server}\r\n{headers}", self.method, self.target);
        http::exchange(server, head.as_bytes(), &self.body)
    }
}

fn serve(
    mut client: TcpStream,
    server: u16,
    treat: &Mutex<Treat>,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let Some(request) = Request::read(&mut client)? else { return Ok(()) };
    let treatment = treat.lock().unwrap_or_else(PoisonError::into_inner)(&request);
    let response = match treatment {
        Treatment::Pass => request.pass_on(server, &[])?,
        Treatment::Without(headers) => request.pass_on(server, headers)?,
        Treatment::Answer(response) => response,
        Treatment::Delay(time) => {
            thread::sleep(time);
            request.pass_on(server, &[])?
        }
        Treatment::Cut => return Ok(()),
        Treatment::LoseAnswer => return request.pass_on(server, &[]).map(drop),
        Treatment::Reset => {
            request.pass_on(server, &[])?;
            return SockRef::from(&client).set_linger(Some(Duration::ZERO));
        }
        Treatment::Silence => {
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
            return Ok(());
        }
    };
    client.write_all(&response.bytes)
}
