//! From a place among a stream's pages to the request for it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidemark_engine::{Error, Result};
use url::{Url, form_urlencoded::Serializer};

use super::{
    super::{
        client::{Expect, Request, Template},
        config::{Format, Method, Paging, SourceConfig, StreamConfig},
    },
    place::Place,
    values::Values,
};

/// What every request of a stream is made of.
pub(super) struct Outgoing {
    method: Method,
    base: Template,
    path: Template,
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    subscribe: Vec<Template>,
    expect: Expect,
    /// The parameter of the query that a number or a token goes into.
    parameter: Option<String>,
    /// What a number counts from.
    first: u64,
}

impl Outgoing {
    /// As the pipeline file says.
    pub(super) fn new(source: &SourceConfig, stream: &StreamConfig) -> Result<Self> {
        let templates = |texts: &indexmap::IndexMap<String, String>| {
            let template = |(name, text): (&String, &String)| Ok((name.clone(), Template::parse(text)?));
            texts.iter().map(template).collect::<Result<Vec<_>>>()
        };
        let mut headers = Vec::new();
        for (name, template) in templates(&source.headers)?.into_iter().chain(templates(&stream.headers)?) {
            let name = HeaderName::try_from(&name)
                .map_err(|_| Error::config(format!("`{name}` cannot be the name of a header")))?;
            headers.retain(|(other, _)| other != name);
            headers.push((name, template));
        }
        let (parameter, first) = match &stream.paging {
            Paging::Page { parameter, first, .. } => (Some(parameter.clone()), *first),
            Paging::Offset { parameter, .. } => (Some(parameter.clone()), 0),
            Paging::Token { parameter, .. } | Paging::Keyset { parameter, .. } => (parameter.clone(), 0),
            Paging::None | Paging::Link { .. } | Paging::LinkHeader | Paging::HeaderToken { .. } => (None, 0),
        };
        Ok(Self {
            method: stream.method,
            base: Template::parse(&source.url)?,
            path: Template::parse(&stream.path)?,
            query: templates(&stream.query)?,
            headers,
            body: stream.body.as_deref().map(Template::parse).transpose()?,
            subscribe: stream.subscribe.iter().map(|text| Template::parse(text)).collect::<Result<_>>()?,
            expect: match stream.format {
                Format::Json => Expect::Json,
                Format::Jsonl | Format::Csv | Format::Xml | Format::Sse | Format::WebSocket => Expect::Text,
            },
            parameter,
            first,
        })
    }

    /// What a page's number counts from.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The request for the page at `place`; `None` is the first.
    pub(super) fn request(&self, place: Option<&Place>, values: &Values) -> Result<Request> {
        let mut values = values.clone();
        if let Some(Place::Token(token)) = place {
            values.token.clone_from(token);
        }
        let url = match place {
            Some(Place::Url(url)) => parse(url)?,
            _ => self.url(place, &values)?,
        };
        let mut headers = HeaderMap::new();
        for (name, template) in &self.headers {
            let text = template.render(&values)?;
            if !text.is_empty() {
                let value = HeaderValue::try_from(text)
                    .map_err(|_| Error::config(format!("the header `{name}` comes out as no header")))?;
                headers.insert(name.clone(), value);
            }
        }
        let body = match &self.body {
            Some(body) => Bytes::from(body.render(&values)?),
            None => Bytes::new(),
        };
        let method = match self.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Report => report()?,
        };
        Ok(Request { method, url, headers, body, expect: self.expect })
    }

    /// What is said when a WebSocket is open.
    pub(super) fn subscribe(&self, values: &Values) -> Result<Vec<String>> {
        self.subscribe.iter().map(|message| message.render(values)).collect()
    }

    fn url(&self, place: Option<&Place>, values: &Values) -> Result<Url> {
        let (base, path) = (self.base.render(values)?, self.path.render(values)?);
        let mut url = below(&base, &path)?;
        let mut pairs = Vec::new();
        for (name, template) in &self.query {
            let text = template.render(values)?;
            if !text.is_empty() {
                pairs.push((name.clone(), text));
            }
        }
        match (place, &self.parameter) {
            (Some(Place::Parameters(parameters)), _) => pairs.extend(parameters.iter().cloned()),
            (Some(Place::Token(token)), Some(name)) => pairs.push((name.clone(), token.clone())),
            (Some(Place::Number(number)), Some(name)) => pairs.push((name.clone(), number.to_string())),
            (None, Some(name)) if self.first > 0 => pairs.push((name.clone(), self.first.to_string())),
            _ => {}
        }
        if !pairs.is_empty() {
            // A space is `%20` to every server, and `+` to some alone.
            let own = Serializer::new(String::new()).extend_pairs(pairs).finish().replace('+', "%20");
            let query = match url.query() {
                Some(query) if !query.is_empty() => format!("{query}&{own}"),
                _ => own,
            };
            url.set_query(Some(&query));
        }
        Ok(url)
    }
}

fn report() -> Result<http::Method> {
    http::Method::from_bytes(b"REPORT").map_err(|error| Error::internal("a method has no name").source(error))
}

/// `path` below `base`; a whole URL stands for itself.
pub(super) fn below(base: &str, path: &str) -> Result<Url> {
    match ["http://", "https://", "ws://", "wss://"].iter().any(|scheme| path.starts_with(scheme)) {
        true => parse(path),
        false => {
            let slash = if path.is_empty() || path.starts_with(['/', '?']) { "" } else { "/" };
            parse(&format!("{}{slash}{path}", base.trim_end_matches('/')))
        }
    }
}

fn parse(url: &str) -> Result<Url> {
    // The text may hold a token, so it is not repeated.
    let unsound = || Error::config("the URL of a request is none").hint("check `url` and `path`");
    let mut url = Url::parse(url).map_err(|error| unsound().source(error))?;
    // A WebSocket begins with a request over HTTP.
    let scheme = match url.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return Ok(url),
    };
    url.set_scheme(scheme).map_err(|()| unsound())?;
    Ok(url)
}
