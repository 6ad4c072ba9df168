//! A connection to the service, and its links to queues and topics.

use std::{sync::Arc, time::Duration};

use fe2o3_amqp::{
    Sender, Session as Amqp,
    connection::ConnectionHandle,
    session::SessionHandle,
    types::{
        definitions::SenderSettleMode,
        messaging::{Source, Target},
        primitives::{Symbol, Value},
    },
};
use tidemark_engine::{Result, Time};
use tokio::sync::Mutex;

use super::{Authentication, claims::Claims, namespace::Namespace, parcel::Capacity, refusal};

/// Links that are open at a time: a session of Service Bus has up to 256.
const LINKS: usize = 64;
/// "Service Bus quotas": what a batch may have in every tier, and in the one that takes large messages.
const USUAL_BATCH: u64 = 256 << 10;
const LARGEST_BATCH: u64 = 1 << 20;
/// What may stand in a batch beside its messages.
const ENVELOPE: u64 = 2 << 10;
const BATCH: usize = 500;
/// How often the connection is looked at while an answer is waited for.
const GLANCE: Duration = Duration::from_millis(50);
/// Service Bus tells how large a batch may be where messages may be larger.
const LARGEST_BATCH_PROPERTY: &str = "com.microsoft:max-message-batch-size";

/// An open connection.
pub(super) struct Session {
    state: Mutex<State>,
    connection: Mutex<ConnectionHandle<()>>,
}

struct State {
    /// In the order in which they were last used.
    links: Vec<Arc<Link>>,
    claims: Option<Claims>,
    session: SessionHandle<()>,
}

/// The way to a queue or topic.
pub(super) struct Link {
    entity: String,
    pub(super) sender: Mutex<Sender>,
    pub(super) capacity: Capacity,
    /// When a token has to be shown again that lets us send there.
    renewal: Mutex<Option<Time>>,
}

impl Session {
    pub(super) async fn begin(namespace: &Namespace, mut connection: ConnectionHandle<()>) -> Result<Self> {
        let begun = Amqp::begin(&mut connection).await;
        let mut session = begun.map_err(|error| refusal::lost(namespace).source(error))?;
        let claims = match namespace.authentication {
            Authentication::Cbs => Some(Claims::open(namespace, &mut session).await?),
            Authentication::Plain => None,
        };
        let state = Mutex::new(State { links: Vec::new(), claims, session });
        Ok(Self { state, connection: Mutex::new(connection) })
    }

    /// Whether it can still be used.
    pub(super) async fn is_alive(&self) -> bool {
        !self.connection.lock().await.is_closed() && !self.state.lock().await.session.is_ended()
    }

    /// What `answer` becomes, in time. The library leaves those waiting whose connection was lost.
    pub(super) async fn answered<T>(
        &self,
        namespace: &Namespace,
        answer: impl Future<Output = T>,
    ) -> Result<T> {
        let lost = async {
            while !self.connection.lock().await.is_closed() {
                namespace.world.sleep(GLANCE).await;
            }
        };
        tokio::select! {
            answer = namespace.in_time(answer) => answer,
            () = lost => Err(refusal::lost(namespace)),
        }
    }

    /// The link to `entity`, which we may send to.
    pub(super) async fn link(&self, namespace: &Namespace, entity: &str) -> Result<Arc<Link>> {
        let mut state = self.state.lock().await;
        if let Some(at) = state.links.iter().position(|link| link.entity == entity) {
            let link = state.links.remove(at);
            state.renew(namespace, &link).await?;
            state.links.push(link.clone());
            return Ok(link);
        }
        if state.links.len() >= LINKS {
            // It ends when nothing is under way on it any more.
            state.links.remove(0);
        }
        let link = Arc::new(state.attach(namespace, entity).await?);
        state.links.push(link.clone());
        Ok(link)
    }

    /// Forgets a link that does not work any more.
    pub(super) async fn give_up(&self, link: &Arc<Link>) {
        self.state.lock().await.links.retain(|kept| !Arc::ptr_eq(kept, link));
    }

    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.links.clear();
        // Everything was accepted: whoever is gone already need not be told goodbye.
        let _ = state.session.end().await;
        let _ = self.connection.lock().await.close().await;
    }
}

impl State {
    async fn attach(&mut self, namespace: &Namespace, entity: &str) -> Result<Link> {
        let renewal = self.show_token(namespace, entity).await?;
        let name = format!("tidemark-{}", namespace.world.name(16));
        let sender = Sender::builder()
            .name(name.clone())
            .source(Source::builder().address(name).build())
            .target(Target::builder().address(entity).build())
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .attach(&mut self.session)
            .await
            .map_err(|error| refusal::of_attach(namespace, entity, error))?;
        let capacity = capacity(&sender, namespace.authentication);
        let (sender, renewal) = (Mutex::new(sender), Mutex::new(renewal));
        Ok(Link { entity: entity.to_owned(), sender, capacity, renewal })
    }

    async fn renew(&mut self, namespace: &Namespace, link: &Link) -> Result<()> {
        let mut renewal = link.renewal.lock().await;
        if renewal.is_some_and(|renewal| renewal <= namespace.world.now()) {
            *renewal = self.show_token(namespace, &link.entity).await?;
        }
        Ok(())
    }

    /// Returns when it has to be shown again.
    async fn show_token(&mut self, namespace: &Namespace, entity: &str) -> Result<Option<Time>> {
        let Some(claims) = &mut self.claims else { return Ok(None) };
        let audience = namespace.audience(entity);
        let token = namespace.policy.token(&audience, namespace.world.now())?;
        claims.put(namespace, entity, audience, &token).await?;
        Ok(Some(token.renewal))
    }
}

fn capacity(sender: &Sender, authentication: Authentication) -> Capacity {
    let largest_message = sender.max_message_size().filter(|bytes| *bytes > 0).unwrap_or(USUAL_BATCH);
    let told = sender.properties(|told| {
        let told = told.as_ref()?.get(&Symbol::from(LARGEST_BATCH_PROPERTY))?;
        match told {
            Value::Ulong(bytes) => Some(*bytes),
            Value::Uint(bytes) => Some(u64::from(*bytes)),
            Value::Long(bytes) => u64::try_from(*bytes).ok(),
            Value::Int(bytes) => u64::try_from(*bytes).ok(),
            _ => None,
        }
    });
    let bytes = told.unwrap_or(LARGEST_BATCH).min(largest_message).saturating_sub(ENVELOPE);
    let messages = if authentication == Authentication::Cbs { BATCH } else { 1 };
    Capacity { messages, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) }
}
