//! The namespace that the pipeline file names, or another broker of AMQP 1.0.

use std::{path::Path, time::Duration};

use fe2o3_amqp::{Connection, sasl_profile::SaslProfile};
use tidemark_engine::{Result, world::World};

use super::{Authentication, DestinationConfig, refusal, session::Session, signature::Policy};
use crate::broker::Broker;

/// How long the service may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Milliseconds without a sign of life after which the connection counts as lost.
const IDLE: u32 = 120_000;

/// A namespace that can be connected to.
#[derive(Debug, Clone)]
pub(super) struct Namespace {
    pub(super) broker: Broker,
    pub(super) policy: Policy,
    pub(super) authentication: Authentication,
    pub(super) world: World,
}

impl Namespace {
    /// The one that the pipeline file names; relative paths begin at `folder`.
    pub(super) fn new(config: &DestinationConfig, folder: &Path, world: World) -> Result<Self> {
        let policy =
            Policy { name: config.shared_access_key_name.clone(), key: config.shared_access_key.clone() };
        Ok(Self {
            broker: Broker::new(config.address()?, config.trust(folder)),
            policy,
            authentication: config.authentication,
            world,
        })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Session> {
        let stream = self.broker.open(&self.world).await?;
        let profile = match self.authentication {
            Authentication::Cbs => SaslProfile::Anonymous,
            Authentication::Plain => SaslProfile::Plain {
                username: self.policy.name.clone(),
                password: self.policy.key.expose().to_owned(),
            },
        };
        let host = self.broker.address.host();
        let connecting = Connection::builder()
            .container_id(format!("tidemark-{}", self.world.name(16)))
            .hostname(host)
            .sasl_hostname(host)
            .idle_time_out(IDLE)
            .sasl_profile(profile)
            .open_with_stream(stream);
        let connection =
            self.in_time(connecting).await?.map_err(|error| refusal::of_connection(self, error))?;
        self.in_time(Session::begin(self, connection)).await?
    }

    /// What a token for `entity` is for.
    pub(super) fn audience(&self, entity: &str) -> String {
        format!("sb://{}/{entity}", self.broker.address.host())
    }

    /// What `answer` becomes, should the service be as quick as it may be expected to be.
    pub(super) async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            answer = answer => Ok(answer),
            () = self.world.sleep(PATIENCE) => Err(refusal::too_late(self)),
        }
    }
}
