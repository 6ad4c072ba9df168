//! A connection to the server, and the channels that are open on it.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties,
    options::ConfirmSelectOptions,
    runtime,
    tcp::{AMQPUriTcpExt, RustlsConnector, TLSConfig},
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use tidemark_engine::{Result, world::World};

use super::{DestinationConfig, refusal};
use crate::broker::{Address, Trust};

/// How long the server may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Seconds between two signs of life.
const HEARTBEAT: u16 = 30;
/// What servers are set up with that were not asked for anything else.
const USUAL_USER: &str = "guest";

/// A server that can be connected to.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) virtual_host: String,
    user: AMQPUserInfo,
    trust: Trust,
    world: World,
}

/// An open connection. Each batch under way has a channel for itself: what goes wrong with one closes its channel.
pub(super) struct Session {
    connection: Connection,
    idle: Mutex<Vec<Channel>>,
}

impl Server {
    /// The one that the pipeline file names; relative paths begin at `folder`.
    pub(super) fn new(config: &DestinationConfig, folder: &Path, world: World) -> Result<Self> {
        let password = config.password.as_ref().map_or(USUAL_USER, |password| password.expose());
        let username = config.username.as_deref().unwrap_or(USUAL_USER);
        Ok(Self {
            address: config.address()?,
            virtual_host: config.virtual_host.clone(),
            user: AMQPUserInfo { username: username.to_owned(), password: password.to_owned() },
            trust: config.trust(folder),
            world,
        })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Session> {
        let tls = self.address.is_secure().then(|| self.trust.tls()).transpose()?;
        let (connector, host) =
            (tls.map(|config| RustlsConnector::from(Arc::new(config))), self.address.host().to_owned());
        let properties = ConnectionProperties::default().with_connection_name("tidemark".into());
        let runtime = runtime::default_runtime().map_err(|error| refusal::of_connection(self, &error))?;
        let connecting = Connection::connector(
            self.uri(),
            runtime,
            async move |uri, runtime| {
                let plain: AsyncTcpStream<_> =
                    uri.connect_with_config_async(TLSConfig::default(), &runtime).await?;
                match &connector {
                    None => Ok(plain),
                    Some(connector) => Ok(plain.into_rustls(connector, &host).await?),
                }
            },
            properties,
        );
        let connection =
            self.in_time(connecting).await?.map_err(|error| refusal::of_connection(self, &error))?;
        Ok(Session { connection, idle: Mutex::default() })
    }

    /// What `answer` becomes, should the server be as quick as it may be expected to be.
    pub(super) async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            answer = answer => Ok(answer),
            () = self.world.sleep(PATIENCE) => Err(refusal::too_late(self)),
        }
    }

    /// TLS is for us to speak: the library does not know whom we trust.
    fn uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: self.user.clone(),
                host: self.address.host().to_owned(),
                port: self.address.port(),
            },
            vhost: self.virtual_host.clone(),
            query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
        }
    }
}

impl Session {
    /// Whether it can still be used.
    pub(super) fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the server takes nothing for now: it is out of memory or disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// A channel on which the server confirms what it has taken, for the caller alone.
    pub(super) async fn channel(&self) -> Result<Channel, lapin::Error> {
        let idle = self.idle().pop().filter(|channel| channel.status().connected());
        if let Some(channel) = idle {
            return Ok(channel);
        }
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Takes back a channel on which nothing is under way.
    pub(super) fn give_back(&self, channel: Channel) {
        self.idle().push(channel);
    }

    pub(super) async fn close(&self) -> Result<(), lapin::Error> {
        self.connection.close(200, "".into()).await
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
