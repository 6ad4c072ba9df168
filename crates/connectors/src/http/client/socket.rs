//! A connection on which both sides speak: WebSocket (RFC 6455), opened by a request like any other, so that guard, credentials,
//! certificates and budget are those of the client.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Upgraded;
use tidemark_engine::{Error, Result, world::World};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use url::Url;

use super::{budget::Permit, failure::Failed, shown::Shown, wire::Opened};

/// A WebSocket to a server.
pub(crate) struct Socket {
    socket: WebSocketStream<Upgraded>,
    url: Url,
    /// A server that says nothing for so long, not even that it is there, is none.
    silence: Duration,
    permit: Permit,
    world: World,
}

/// What a request says that asks for a WebSocket, and the word that the answer has to repeat in its way.
pub(super) struct Handshake {
    pub(super) headers: HeaderMap,
    accept: String,
}

impl Handshake {
    pub(super) fn new(world: &World) -> Self {
        // Any 16 bytes will do: they keep caches from answering, and are no secret.
        let nonce = BASE64_STANDARD.encode(&blake3::hash(world.name(26).as_bytes()).as_bytes()[..16]);
        let accept = derive_accept_key(nonce.as_bytes());
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(nonce) = HeaderValue::try_from(nonce) {
            headers.insert(header::SEC_WEBSOCKET_KEY, nonce);
        }
        Self { headers, accept }
    }

    /// Whether an answer with these headers agrees.
    fn is_met(&self, headers: &HeaderMap) -> bool {
        let is = |name: HeaderName, value: &str| {
            headers.get(name).is_some_and(|header| header.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        };
        let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
        is(header::UPGRADE, "websocket")
            && accept.is_some_and(|accept| accept.as_bytes() == self.accept.as_bytes())
    }
}

impl Socket {
    /// The connection of an answer that agrees to `handshake`. A message may take `most` bytes.
    pub(super) async fn new(
        (opened, permit): (Opened, Permit),
        handshake: &Handshake,
        (most, silence): (u64, Duration),
        world: World,
    ) -> Result<Self, Failed> {
        if !handshake.is_met(opened.response.headers()) {
            let message = format!("{} was answered by no WebSocket", opened.what());
            return Err(Failed::stop(
                Error::config(message).hint("check the address, and what stands in between"),
            ));
        }
        let Opened { response, hop } = opened;
        let upgraded = response.upgrade().await.map_err(|error| {
            let message = format!("the WebSocket to `{}` was not opened", Shown(&hop.url));
            Failed::again(Error::unavailable(message).source(error.without_url()))
        })?;
        let most = usize::try_from(most).ok();
        let limits = WebSocketConfig::default().max_message_size(most).max_frame_size(most);
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await;
        Ok(Self { socket, url: hop.url, silence, permit, world })
    }

    /// Says `text`.
    pub(crate) async fn say(&mut self, text: String) -> Result<()> {
        let sent = self.socket.send(Message::text(text)).await;
        sent.map_err(|error| self.broken(error))
    }

    /// The messages of text as they arrive. It ends where the server ends it in good order; any other end is an error, of the kind
    /// unavailable where another connection may be better.
    pub(crate) fn messages(self) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::try_unfold(
            self,
            |mut socket| async move { Ok(socket.next().await?.map(|text| (text, socket))) },
        )
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut asked = false;
        loop {
            let heard = tokio::select! {
                biased;
                heard = self.socket.next() => heard,
                () = self.world.sleep(self.silence / 2) => {
                    if asked {
                        return Err(Error::unavailable(format!("`{}` has been silent for too long", Shown(&self.url))));
                    }
                    asked = true;
                    let sent = self.socket.send(Message::Ping(Bytes::new())).await;
                    sent.map_err(|error| self.broken(error))?;
                    continue;
                }
            };
            asked = false;
            match heard {
                Some(Ok(Message::Text(text))) => {
                    self.permit.received(text.len());
                    return Ok(Some(text.into()));
                }
                // Pings are answered beneath, and what is said of them is that somebody is there.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    let message = format!("`{}` sends messages that are no text", Shown(&self.url));
                    return Err(Error::data(message).hint("ask the server for JSON as text, if it has both"));
                }
                Some(Ok(Message::Close(frame))) => return self.closed(frame.map(|frame| frame.code)),
                Some(Err(error)) => return Err(self.broken(error)),
                None => return self.closed(None),
            }
        }
    }

    /// What the server's last word means (RFC 6455, section 7.4). Its reason is not repeated: it may hold anything.
    fn closed(&self, code: Option<CloseCode>) -> Result<Option<Bytes>> {
        let url = Shown(&self.url);
        let Some(code) = code else {
            return Err(Error::unavailable(format!("`{url}` has ended the WebSocket without a word")));
        };
        let message = format!("`{url}` has closed the WebSocket with the code {}", u16::from(code));
        Err(match code {
            CloseCode::Normal | CloseCode::Away => return Ok(None),
            CloseCode::Policy => {
                Error::denied(message).hint("check `auth` and `subscribe`: the server does not allow this")
            }
            CloseCode::Protocol
            | CloseCode::Unsupported
            | CloseCode::Invalid
            | CloseCode::Size
            | CloseCode::Extension => Error::config(message)
                .hint("check `subscribe`: the server does not understand what it was told"),
            _ => Error::unavailable(message),
        })
    }

    fn broken(&self, error: tungstenite::Error) -> Error {
        let url = Shown(&self.url);
        match error {
            tungstenite::Error::Capacity(_) => {
                Error::data(format!("a message of `{url}` is longer than may be"))
                    .hint("raise `limits.max_response` if it may be")
            }
            tungstenite::Error::Utf8(_) => Error::data(format!("a message of `{url}` is not in UTF-8")),
            // What the library says of it may repeat what was sent.
            _ => Error::unavailable(format!("the WebSocket to `{url}` broke")),
        }
    }
}
