//! One request, from its head to its answer.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, Response, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt,
    future::{self, Either},
};
use tidemark_engine::{Stop, world::World};
use tokio::sync::{mpsc, oneshot};

use super::{
    answers::Refusal,
    connections::Line,
    door::{Door, Inside, Outside},
    hook::{Hook, Unfit},
    register::{Delivery, Reply, Verdict},
};

/// How long a body may take.
const BODY: Duration = Duration::from_secs(30);
/// The same when the server is about to stop.
const BODY_AT_THE_END: Duration = Duration::from_secs(2);

/// Where requests come in.
pub(super) struct Reception {
    /// By path.
    pub(super) desks: HashMap<String, Desk>,
    pub(super) door: Arc<Door>,
    /// Bytes that a body may have.
    pub(super) max_body: u32,
    /// How long a message may take to be durable.
    pub(super) patience: Duration,
    pub(super) stop: Stop,
    pub(super) world: World,
}

/// Where the requests for one path come in.
pub(super) struct Desk {
    pub(super) hook: Arc<Hook>,
    pub(super) deliveries: mpsc::Sender<Delivery>,
    /// Requests that did not verify.
    pub(super) unverified: AtomicU64,
}

/// Serves one request.
pub(super) async fn receive(
    State(reception): State<Arc<Reception>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response<Body> {
    let _serving = line.serve();
    reception.answer(request).await.unwrap_or_else(|refusal| refusal.response())
}

impl Reception {
    async fn answer(&self, request: Request) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let desk = self.desks.get(head.uri.path()).ok_or(Refusal::Path)?;
        let hook = &desk.hook;
        let handshake =
            hook.handshake.as_ref().and_then(|handshake| handshake.answer(&head.method, &head.uri));
        if let Some(answer) = handshake {
            return Ok(answer);
        }
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        if self.stop.is_stopped() {
            return Err(Refusal::Unavailable);
        }
        if is_encoded(&head.headers) || !hook.body.is_of(head.headers.get(header::CONTENT_TYPE)) {
            return Err(Refusal::Type);
        }
        let most = self.declared(&head.headers)?;
        let mut inside = self.door.enter(most).map_err(|outside| match outside {
            Outside::Full => Refusal::Many,
            Outside::Shut => Refusal::Unavailable,
        })?;
        let body = self.read(body).await?;
        inside.needs(body.len());
        let verdict = self.deliver(desk, head, body, inside).await?;
        match future::select(pin!(verdict), pin!(self.world.sleep(self.patience))).await {
            Either::Left((Ok(Verdict::Durable), _)) => Ok(hook.answer.response()),
            Either::Left((Ok(Verdict::Unfit), _)) => Err(Refusal::Unreadable),
            // It may still become durable: whoever sends it again is told so then, by its id.
            Either::Left((Err(_), _)) | Either::Right(_) => Err(Refusal::Unavailable),
        }
    }

    /// How many bytes the body may have at most.
    fn declared(&self, headers: &HeaderMap) -> Result<u32, Refusal> {
        let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(self.max_body) };
        let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        let length = length.and_then(|length| u32::try_from(length).ok()).ok_or(Refusal::Large)?;
        if length <= self.max_body { Ok(length) } else { Err(Refusal::Large) }
    }

    /// The whole body.
    async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        let whole = async {
            let mut chunks = body.into_data_stream();
            let mut whole = BytesMut::new();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|_| Refusal::Cut)?;
                if whole.len() + chunk.len() > self.max_body as usize {
                    return Err(Refusal::Large);
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(whole.freeze())
        };
        let too_long = async {
            let stopped = async {
                self.stop.stopped().await;
                self.world.sleep(BODY_AT_THE_END).await;
            };
            future::select(pin!(self.world.sleep(BODY)), pin!(stopped)).await;
        };
        match future::select(pin!(whole), pin!(too_long)).await {
            Either::Left((whole, _)) => whole,
            Either::Right(_) => Err(Refusal::Slow),
        }
    }

    /// Hands what a request says to the one who takes it into the log, if it is what it should be.
    async fn deliver(
        &self,
        desk: &Desk,
        head: Parts,
        body: Bytes,
        inside: Inside,
    ) -> Result<oneshot::Receiver<Verdict>, Refusal> {
        let (hook, now, bytes) = (desk.hook.clone(), self.world.now(), body.len());
        let read = move || hook.read(&head.uri, &head.headers, &body, now);
        let read = self.world.compute_on(bytes, read).await.map_err(|_| Refusal::Unavailable)?;
        let (id, message) = read.map_err(|unfit| desk.refuse(unfit))?;
        let (sender, verdict) = oneshot::channel();
        let delivery = Delivery { id, message, bytes, reply: Reply { sender, inside } };
        // There is room for as many as come in through the door; without it, nobody takes them any more.
        desk.deliveries.try_send(delivery).map_err(|_| Refusal::Unavailable)?;
        Ok(verdict)
    }
}

impl Desk {
    /// Notes a request that is not taken. Of those that anybody can send, only ever fewer are told.
    fn refuse(&self, unfit: Unfit) -> Refusal {
        let (stream, path) = (&self.hook.outline.name, &self.hook.path);
        match unfit {
            Unfit::Unverified => {
                let count = self.unverified.fetch_add(1, Ordering::Relaxed) + 1;
                if count.is_power_of_two() {
                    tracing::warn!(%stream, %path, count, "requests did not verify, and were refused");
                }
                Refusal::Unverified(self.hook.verifier.asks_for())
            }
            Unfit::Unreadable(error) => {
                tracing::warn!(%stream, %error, hint = error.hint_text(), "a message was refused");
                Refusal::Unreadable
            }
        }
    }
}

/// Whether the body is compressed: what is signed would be another thing than what is read.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn reception() -> Reception {
        Reception {
            desks: HashMap::new(),
            door: Arc::new(Door::new(1)),
            max_body: 4,
            patience: Duration::from_secs(1),
            stop: Stop::new(),
            world: World::real(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_whole_or_not_at_all() {
        let reception = reception();
        assert_eq!(reception.read(Body::from("four")).await, Ok(Bytes::from("four")));
        assert_eq!(reception.read(Body::from("fives")).await, Err(Refusal::Large));
        let cut = stream::iter([Ok(Bytes::from("a")), Err("cut")]);
        assert_eq!(reception.read(Body::from_stream(cut)).await, Err(Refusal::Cut));
        let slow = || Body::from_stream(stream::pending::<Result<Bytes, &str>>());
        assert_eq!(reception.read(slow()).await, Err(Refusal::Slow));
        reception.stop.stop();
        assert_eq!(reception.read(slow()).await, Err(Refusal::Slow));
    }

    #[test]
    fn what_a_body_may_take_is_known_before_it_comes() {
        let length = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_LENGTH, text.parse().unwrap());
            reception().declared(&headers)
        };
        assert_eq!([length("0"), length("4"), length("5")], [Ok(0), Ok(4), Err(Refusal::Large)]);
        assert_eq!(
            [length("99999999999999999999"), length("-1")],
            [Err(Refusal::Large), Err(Refusal::Large)]
        );
        assert_eq!(reception().declared(&HeaderMap::new()), Ok(4));
    }
}
