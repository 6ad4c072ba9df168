//! Publishes messages.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use tidemark_engine::{Error, Result, change::Op, world::World};
use tokio::sync::Mutex;

use super::DestinationConfig;
use crate::{
    broker::Broker,
    messages::{Limits, Message, Post, Undelivered},
    mqtt::session::{Answer, Event, Introduction, Publication, Session},
};

/// How long the broker may take to acknowledge anything.
const PATIENCE: Duration = Duration::from_secs(15);
/// Messages that wait to be acknowledged, where the broker does not want fewer.
const IN_FLIGHT: usize = 256;
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 4 << 20;
/// The largest packet of the protocol, less what is not payload.
const LARGEST: usize = (256 << 20) - (128 << 10);
/// What a packet holds besides what [`Message::bytes`] counts: names of properties, lengths.
const OVERHEAD: usize = 256;
/// The longest topic: a length has two bytes.
const LONGEST_TOPIC: usize = 65_535;

/// The way to a broker.
pub(super) struct Publisher {
    broker: Broker,
    introduction: Introduction,
    is_retained: bool,
    /// In seconds.
    expiry: Option<u32>,
    world: World,
    limits: Limits,
    session: Mutex<Option<Session>>,
}

impl Publisher {
    /// As the pipeline file says; relative paths begin at `folder`. The broker ends an earlier connection of the same `client_id`, and with
    /// it all that was still on its way there.
    pub(super) fn new(
        config: &DestinationConfig,
        folder: &Path,
        client_id: &str,
        world: World,
    ) -> Result<Self> {
        let introduction = Introduction {
            version: config.version,
            client_id: client_id.to_owned(),
            username: config.username.clone(),
            password: config.password.clone(),
            expiry: 0,
        };
        let expiry =
            config.message_expiry.map(|expiry| u32::try_from(expiry.0.as_secs()).unwrap_or(u32::MAX));
        let limits = Limits {
            messages: BATCH,
            bytes: BATCH_BYTES,
            message_bytes: LARGEST,
            in_flight: 1,
            one_place: false,
        };
        Ok(Self {
            broker: config.broker(folder)?,
            introduction,
            is_retained: config.retain,
            expiry,
            world,
            limits,
            session: Mutex::default(),
        })
    }

    async fn connect(&self) -> Result<Session> {
        let session = Session::open(&self.broker, &self.introduction, &self.world).await?;
        let (origin, welcome) = (&self.broker.address, session.welcome);
        if !welcome.takes_qos_1 {
            return Err(Error::config(format!("`{origin}` acknowledges no messages (QoS 1)"))
                .hint("allow QoS 1 at the broker"));
        }
        if self.is_retained && !welcome.retains {
            return Err(Error::config(format!("`{origin}` keeps no messages for later"))
                .hint("leave `retain` out, or allow retained messages at the broker"));
        }
        Ok(session)
    }

    /// What is to be published of `message`. A topic whose record is gone keeps nothing: that is what an empty message says to a broker.
    #[expect(clippy::result_large_err, reason = "it goes on as it is")]
    fn publications(&self, message: &Message) -> Result<Vec<Publication>, Undelivered> {
        let topic = &message.place;
        if topic.is_empty() || topic.len() > LONGEST_TOPIC || topic.contains(['+', '#', '\0']) {
            let error =
                Error::data(format!("the change goes to no topic that there can be ({} bytes)", topic.len()));
            return Err(Undelivered::message(
                0,
                error.hint("use values without `+` and `#` in `topic`, and no more than 65535 bytes"),
            ));
        }
        let of_ours = [
            ("tidemark-id", message.id.as_str()),
            ("tidemark-op", message.op.as_str()),
            ("tidemark-stream", message.stream.as_str()),
        ];
        let of_envelope = message.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let user = of_ours.into_iter().chain(of_envelope);
        let is_gone = message.op == Op::Delete;
        let publication = Publication {
            topic: topic.clone(),
            payload: message.body.clone().unwrap_or_default(),
            is_retained: self.is_retained && !is_gone && message.op != Op::Truncate,
            expiry: self.expiry,
            content_type: message.body.is_some().then_some(message.content_type),
            user: user.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        };
        let nothing = (self.is_retained && is_gone).then(|| Publication {
            payload: bytes::Bytes::new(),
            is_retained: true,
            expiry: None,
            content_type: None,
            ..publication.clone()
        });
        Ok([publication].into_iter().chain(nothing).collect())
    }

    /// Publishes `batch` and waits for every answer. Fails with how many messages, from the first on, were taken for certain.
    async fn publish(&self, session: &mut Session, batch: &[Message]) -> Result<(), Undelivered> {
        let mut unfit = None;
        let mut all: Vec<(usize, Option<Publication>)> = Vec::with_capacity(batch.len());
        for (at, message) in batch.iter().enumerate() {
            match self.publications(message) {
                Ok(publications) => all.extend(publications.into_iter().map(|it| (at, Some(it)))),
                Err(undelivered) => {
                    unfit = Some(Undelivered { taken: at, ..undelivered });
                    break;
                }
            }
        }
        let window = session.welcome.in_flight.map_or(IN_FLIGHT, usize::from).clamp(1, IN_FLIGHT);
        // Identifiers come round again long after they were answered: at most a window of them is out.
        let id_of = |at: usize| u16::try_from(at % usize::from(u16::MAX)).unwrap_or_default() + 1;
        let (mut said, mut answered, mut ahead) = (0, 0, Vec::<usize>::new());
        while answered < all.len() {
            while said < all.len() && said < answered + window {
                if let Some(publication) = all[said].1.take() {
                    session.publish(id_of(said), publication);
                }
                said += 1;
            }
            let lost = |error: Error| Undelivered { taken: all[answered].0, is_the_message: false, error };
            let (id, answer) = self.answer(session).await.map_err(lost)?;
            let Some(at) = (answered..said).find(|at| id_of(*at) == id) else {
                return Err(lost(Error::unavailable(format!(
                    "`{}` has acknowledged what nobody has published",
                    self.broker.address
                ))));
            };
            if answer != Answer::Taken {
                let message = &batch[all[at].0];
                let refused = self.refused(message, answer);
                return Err(match all[at].0 == all[answered].0 {
                    true => Undelivered { taken: all[at].0, ..refused },
                    // Something before it is not answered yet.
                    false => lost(refused.error),
                });
            }
            // In order, as section 4.6 wants; some brokers are not.
            ahead.push(at);
            while let Some(next) = ahead.iter().position(|at| *at == answered) {
                ahead.swap_remove(next);
                answered += 1;
            }
        }
        unfit.map_or(Ok(()), Err)
    }

    async fn answer(&self, session: &mut Session) -> Result<(u16, Answer)> {
        loop {
            let event = tokio::select! {
                event = session.next() => event?,
                () = self.world.sleep(PATIENCE) => {
                    return Err(Error::unavailable(format!("`{}` acknowledges nothing", self.broker.address))
                        .hint("look at the broker's log"));
                }
            };
            if let Event::Answered(id, answer) = event {
                return Ok((id, answer));
            }
        }
    }

    fn refused(&self, message: &Message, answer: Answer) -> Undelivered {
        let (origin, topic) = (&self.broker.address, &message.place);
        match answer {
            Answer::Denied => Error::denied(format!("`{origin}` does not let us publish to `{topic}`"))
                .hint("allow it in the broker's list of access rights")
                .of_stream(&message.stream)
                .into(),
            Answer::Unfit => Undelivered::message(
                0,
                Error::data(format!("`{origin}` does not take the message")).hint("look at the broker's log"),
            ),
            Answer::Taken | Answer::Busy => {
                Error::unavailable(format!("`{origin}` has not taken a message of `{topic}`"))
                    .hint("look at the broker's quotas and at its log")
                    .into()
            }
        }
    }
}

#[async_trait]
impl Post for Publisher {
    fn limits(&self) -> Limits {
        self.limits
    }

    async fn open(&mut self) -> Result<()> {
        *self.session.get_mut() = None;
        let session = self.connect().await?;
        let packet = session.welcome.packet_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(LARGEST));
        self.limits.message_bytes =
            packet.map_or(LARGEST, |bytes| bytes.saturating_sub(OVERHEAD).min(LARGEST));
        *self.session.get_mut() = Some(session);
        Ok(())
    }

    async fn send(&self, batch: &[Message]) -> Result<(), Undelivered> {
        let mut place = self.session.lock().await;
        // Whoever fails, or is dropped on the way, leaves answers behind that the next would take for its own.
        let mut session = match place.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        self.publish(&mut session, batch).await?;
        *place = Some(session);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some(session) = self.session.get_mut().take() {
            session.close().await;
        }
        Ok(())
    }
}
