//! A request as services see it, and the answers they make.

use serde_json::Value;

use crate::{
    front::Request,
    http::{Response, percent_decoded},
};

/// A request to a double.
#[derive(Debug)]
pub struct Call<'r> {
    request: &'r Request,
    /// Where the double listens: what absolute links begin with.
    pub base: &'r str,
    /// The path, decoded.
    pub path: String,
    /// The parameters of the query, decoded.
    pub query: Vec<(String, String)>,
}

impl<'r> Call<'r> {
    pub(super) fn new(request: &'r Request, base: &'r str) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        Self { request, base, path: percent_decoded(path), query: pairs(query) }
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A header; its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.header(name)
    }

    /// A field of a form in the body.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let body = String::from_utf8_lossy(&self.request.body).into_owned();
        pairs(&body).into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }
}

/// `a=1&b=x+y`, decoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// An answer in JSON.
pub(super) fn json(status: u16, headers: &[(&str, &str)], body: &Value) -> Response {
    let headers = [&[("content-type", "application/json; charset=utf-8")], headers].concat();
    Response::new(status, &headers, body.to_string().as_bytes())
}
