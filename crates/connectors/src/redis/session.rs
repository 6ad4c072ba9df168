//! A connection to the server.

use std::{collections::HashMap, path::Path, time::Duration};

use redis::{
    AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, ServerErrorKind,
    aio::MultiplexedConnection, cmd,
};
use tidemark_engine::{Error, Result, world::World};

use super::{DestinationConfig, refusal};
use crate::broker::{Address, Broker};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a server takes in one value that was not told otherwise: 512 MiB.
const USUAL_VALUE: usize = 512 << 20;
/// The setting that says so.
const LARGEST_VALUE: &str = "proto-max-bulk-len";
/// What a server keeps of one transaction that was not told otherwise: 1 GiB.
const USUAL_TRANSACTION: usize = 1 << 30;
/// The setting that says so.
const LARGEST_TRANSACTION: &str = "client-query-buffer-limit";

/// A server that can be connected to.
#[derive(Debug, Clone)]
pub(super) struct Server {
    broker: Broker,
    login: RedisConnectionInfo,
    world: World,
}

/// An open connection; everything that goes over it keeps its order. Cheap to clone.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connection: MultiplexedConnection,
    /// The largest value that the server takes.
    pub(super) value_bytes: usize,
    /// The largest transaction that it takes.
    pub(super) transaction_bytes: usize,
}

impl Server {
    /// The one that the pipeline file names; relative paths begin at `folder`.
    pub(super) fn new(config: &DestinationConfig, folder: &Path, world: World) -> Result<Self> {
        let mut login = RedisConnectionInfo::default().set_db(i64::from(config.database));
        if let Some(username) = &config.username {
            login = login.set_username(username);
        }
        if let Some(password) = &config.password {
            login = login.set_password(password.expose());
        }
        Ok(Self { broker: config.broker(folder)?, login, world })
    }

    pub(super) fn address(&self) -> &Address {
        &self.broker.address
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Session> {
        let stream = self.broker.open(&self.world).await?;
        // Patience is ours to have: the library's own is half a second.
        let settings = AsyncConnectionConfig::new().set_response_timeout(None);
        let connecting = MultiplexedConnection::new_with_config(&self.login, stream, settings);
        let refused = |error| refusal::of_connection(self, error);
        let (mut connection, driver) = self.in_time(connecting).await?.map_err(refused)?;
        // It ends when the last clone of the connection is gone.
        tokio::spawn(driver);
        let value = self.in_time(setting(&mut connection, LARGEST_VALUE, USUAL_VALUE)).await?;
        let value_bytes = value.map_err(refused)?;
        let transaction =
            self.in_time(setting(&mut connection, LARGEST_TRANSACTION, USUAL_TRANSACTION)).await?;
        Ok(Session { value_bytes, transaction_bytes: transaction.map_err(refused)?, connection })
    }

    /// Fails where the server is a part of a cluster: a transaction is of one server.
    pub(super) async fn check_alone(&self, connection: &mut MultiplexedConnection) -> Result<()> {
        let asked = self.in_time(cmd("INFO").arg("cluster").query_async::<String>(connection)).await?;
        match asked {
            Ok(told) if told.contains("cluster_enabled:1") => {
                Err(Error::config(format!("`{}` is a node of a cluster", self.address()))
                    .hint("name a server that has all keys"))
            }
            Err(error) if !is_not_told(&error) => Err(refusal::lost(self, error)),
            _ => Ok(()),
        }
    }

    /// What `answer` becomes, should the server be as quick as it may be expected to be.
    pub(super) async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        let too_late = || {
            let message =
                format!("`{}` has not answered within {} seconds", self.address(), PATIENCE.as_secs());
            Error::unavailable(message).hint("look at the server's log")
        };
        tokio::select! {
            answer = answer => Ok(answer),
            () = self.world.sleep(PATIENCE) => Err(too_late()),
        }
    }
}

/// A setting of the server, where we may know.
async fn setting(
    connection: &mut MultiplexedConnection,
    name: &str,
    usual: usize,
) -> Result<usize, RedisError> {
    let mut ask = cmd("CONFIG");
    let asked = ask.arg("GET").arg(name).query_async::<HashMap<String, usize>>(connection).await;
    match asked {
        Ok(settings) => Ok(settings.get(name).copied().unwrap_or(usual)),
        Err(error) if is_not_told(&error) => Ok(usual),
        Err(error) => Err(error),
    }
}

/// Whether a question is one that the server does not answer to us, or to anybody: rented servers have no `CONFIG`.
pub(super) fn is_not_told(error: &RedisError) -> bool {
    let kinds = [ServerErrorKind::NoPerm, ServerErrorKind::ResponseError];
    kinds.iter().any(|kind| error.kind() == ErrorKind::Server(*kind))
}
