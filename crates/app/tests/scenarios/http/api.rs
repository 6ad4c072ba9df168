//! An API that answers as a test says.

use std::sync::{Arc, Mutex, PoisonError};

use tidemark_test_servers::{Front, Request, Response, Treatment};

/// A running API, and what it was asked.
pub(super) struct Api {
    front: Front,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// One that has `answer` answer every request.
    pub(super) fn answering(answer: impl FnMut(&Asked) -> Response + Send + 'static) -> Self {
        // Nothing is behind it: it answers everything itself.
        let api = Self { front: Front::before(0), asked: Arc::default() };
        api.answers(answer);
        api
    }

    /// Has `answer` answer from now on.
    pub(super) fn answers(&self, mut answer: impl FnMut(&Asked) -> Response + Send + 'static) {
        let asked = self.asked.clone();
        self.front.treat(move |request| {
            let one = Asked::new(request);
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.target.clone());
            Treatment::Answer(answer(&one))
        });
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port())
    }

    pub(super) fn port(&self) -> u16 {
        self.front.port()
    }

    /// The targets of all requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request, taken apart.
pub(super) struct Asked {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Asked {
    fn new(request: &Request) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        let names = ["authorization", "accept", "prefer", "user-agent", "content-type", "if-none-match"];
        let header = |name: &&str| Some(((*name).to_owned(), request.header(name)?.to_owned()));
        Self {
            method: request.method.clone(),
            path: path.to_owned(),
            query: query.split('&').filter(|text| !text.is_empty()).map(pair).collect(),
            headers: names.iter().filter_map(header).collect(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        }
    }

    /// A parameter of the query, or nothing.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The same as a number, or 0.
    pub(super) fn number(&self, name: &str) -> usize {
        self.parameter(name).parse().unwrap_or(0)
    }

    /// A header, or nothing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

/// What a browser writes into a query, as it was meant.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, behind) = match (first, byte) {
            (b'%', Some(byte)) => (byte, &after[2..]),
            (b'+', _) => (b' ', after),
            (other, _) => (*other, after),
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8(bytes).unwrap()
}

/// An answer in JSON.
pub(super) fn json(body: impl AsRef<str>) -> Response {
    json_with(&[], body)
}

/// The same with more headers.
pub(super) fn json_with(headers: &[(&str, &str)], body: impl AsRef<str>) -> Response {
    let headers = [&[("content-type", "application/json")], headers].concat();
    Response::new(200, &headers, body.as_ref().as_bytes())
}

/// Records `{"id": n, "word": "w<n>"}` of the numbers, separated by commas.
pub(super) fn records(numbers: impl IntoIterator<Item = usize>) -> String {
    let record = |n: usize| format!("{{\"id\": {n}, \"word\": \"w{n}\"}}");
    numbers.into_iter().map(record).collect::<Vec<_>>().join(",")
}
