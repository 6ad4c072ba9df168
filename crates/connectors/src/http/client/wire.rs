//! One exchange with a server: a request goes out, redirects are followed, an answer begins.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use tidemark_engine::{Error, Result, world::World};
use url::{Origin, Url};

use super::{
    answer,
    budget::Permit,
    config::{ClientConfig, Limits, WebhookKeys},
    credentials::Pass,
    failure::{Failed, Failure, What},
    guard::Guard,
    redirect,
    request::Hop,
    retry::{Reaction, of_status},
    signing::sign_webhook,
    tls::tls,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of an answer that tells of an error.
const OF_ERRORS: u64 = 64 << 10;

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Its answer is read whole, in the time that a request may take.
    Whole,
    /// The same, and a redirect is an answer: logins end in one.
    Login,
    /// Its answer goes on for as long as it likes, unpacked.
    Stream,
    /// Its answer is another protocol on the same connection.
    Socket,
}

/// What speaks to servers, without credentials of its own.
pub(super) struct Wire {
    http: reqwest::Client,
    /// The same for what HTTP/1.1 alone can do: to become another protocol.
    older: reqwest::Client,
    guard: Guard,
    limits: Limits,
    signature: Option<WebhookKeys>,
    pub(super) world: World,
}

/// An answer whose body is yet to be read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) response: Response,
    /// What it answers, after redirects.
    pub(super) hop: Hop,
}

impl Opened {
    pub(super) fn what(&self) -> What<'_> {
        What { method: &self.hop.method, url: &self.hop.url }
    }
}

impl Wire {
    pub(super) fn new(config: &ClientConfig, folder: &Path, world: World) -> Result<Self> {
        let guard = Guard::new(config);
        let tls = tls(config, folder)?;
        let mut older = tls.clone();
        older.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http = Self::speaking(config, &guard, tls)?;
        let older = Self::speaking(config, &guard, older)?;
        let (limits, signature) = (config.limits.clone(), config.signature.clone());
        Ok(Self { http, older, guard, limits, signature, world })
    }

    fn speaking(config: &ClientConfig, guard: &Guard, tls: rustls::ClientConfig) -> Result<reqwest::Client> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(config.limits.idle_timeout.0.max(config.limits.timeout.0))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // A proxy would resolve names for us, past the guard.
            .no_proxy()
            .dns_resolver(guard.clone())
            .build()
            .map_err(|error| Error::internal("cannot set up HTTP").source(error))
    }

    /// Sends `hop`, with `pass` wherever it goes to the origin that this is for. Fails where the answer is no success.
    pub(super) async fn open(
        &self,
        hop: Hop,
        pass: Option<(&Pass, &Origin)>,
        manner: Manner,
    ) -> Result<Opened, Failed> {
        let opened = self.follow(hop, pass, manner).await?;
        let (status, headers) = (opened.response.status(), opened.response.headers());
        if manner == Manner::Login && status.is_redirection() {
            return Ok(opened);
        }
        if manner == Manner::Socket && status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(opened);
        }
        match of_status(status, headers, self.world.now()) {
            None if manner == Manner::Socket => {
                let message = format!("{} was answered with {status}, not with a WebSocket", opened.what());
                Err(Failed::stop(
                    Error::config(message).hint("check the address: nothing speaks WebSocket there"),
                ))
            }
            None => Ok(opened),
            Some(reaction) => Err(self.refused(opened, status, reaction).await),
        }
    }

    async fn follow(
        &self,
        mut hop: Hop,
        pass: Option<(&Pass, &Origin)>,
        manner: Manner,
    ) -> Result<Opened, Failed> {
        let first = hop.url.clone();
        for _ in 0..=redirect::MOST {
            self.guard.check(&hop.url)?;
            let response = self.exchange(&hop, pass, manner).await?;
            let next = match manner {
                Manner::Login => None,
                _ => redirect::next(&hop, response.status(), response.headers())?,
            };
            match next {
                Some(next) => hop = next,
                None => return Ok(Opened { response, hop }),
            }
        }
        let what = What { method: &hop.method, url: &first };
        let message = format!("{what} was redirected more than {} times", redirect::MOST);
        Err(Failed::stop(Error::config(message).hint("give the address that it ends at")))
    }

    async fn exchange(
        &self,
        hop: &Hop,
        pass: Option<(&Pass, &Origin)>,
        manner: Manner,
    ) -> Result<Response, Failed> {
        let mut sent = hop.clone();
        let goes_on = matches!(manner, Manner::Stream | Manner::Socket);
        let packing = if goes_on { "identity" } else { "gzip" };
        sent.headers.entry(http::header::ACCEPT_ENCODING).or_insert(http::HeaderValue::from_static(packing));
        if let Some((pass, _)) = pass.filter(|(_, origin)| **origin == sent.url.origin()) {
            pass.apply(&mut sent, self.world.now())?;
            if let Some(keys) = &self.signature {
                sign_webhook(&mut sent, keys, self.world.now())?;
            }
        }
        let mut request = reqwest::Request::new(sent.method, sent.url);
        *request.headers_mut() = sent.headers;
        if !sent.body.is_empty() {
            *request.body_mut() = Some(sent.body.into());
        }
        if !goes_on {
            *request.timeout_mut() = Some(self.limits.timeout.0);
        }
        let what = What { method: &hop.method, url: &hop.url };
        let http = if manner == Manner::Socket { &self.older } else { &self.http };
        http.execute(request).await.map_err(|error| Failed::of_transport(&what, error))
    }

    /// The body of an answer.
    pub(super) async fn body(
        &self,
        opened: Opened,
        permit: Option<&Permit>,
    ) -> Result<(Taken, Bytes), Failed> {
        let Opened { response, hop } = opened;
        let taken = Taken { status: response.status(), headers: response.headers().clone(), url: hop.url };
        let what = What { method: &hop.method, url: &taken.url };
        let body = answer::read(response, &what, self.limits.max_response.0, permit).await?;
        Ok((taken, body))
    }

    /// What an answer that is no success tells.
    async fn refused(&self, opened: Opened, status: StatusCode, reaction: Reaction) -> Failed {
        let Opened { response, hop } = opened;
        let headers = response.headers().clone();
        let what = What { method: &hop.method, url: &hop.url };
        // What cannot be read of it tells nothing, which is no other failure.
        let body = answer::read(response, &what, OF_ERRORS, None).await.unwrap_or_default();
        let code = answer::code(&headers, &body);
        let failure = Failure::of_answer(&what, status, code, reaction.is_repeat());
        Failed { failure, reaction }
    }
}

/// The head of an answer whose body was read.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
}
