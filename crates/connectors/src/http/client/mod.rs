//! The client for servers that are spoken to over HTTP: how they are reached, what they may make us do, and what of their
//! answers is believed.
//!
//! A request goes through it in this order:
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say? | `config` |
//! | Is it our turn? | `budget` |
//! | Who are we, and is that still true? | `credentials`, `signing` |
//! | May it go there? | `guard`, `addresses`, `redirect` |
//! | What came back, and is it whole? | `wire`, `answer` |
//! | What does a failure ask for? | `failure`, `retry` |

mod addresses;
mod answer;
mod budget;
mod config;
mod credentials;
mod failure;
mod guard;
mod pointer;
mod redirect;
mod request;
mod retry;
mod shown;
mod signing;
mod socket;
mod streamed;
mod template;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::{fmt, path::Path, sync::Arc};

use tidemark_engine::{Error, Result, world::World};
use url::{Origin, Url};

pub(crate) use budget::Budgets;
pub use config::*;
pub(crate) use credentials::TokenStore;
pub(crate) use failure::Failure;
pub use pointer::JsonPath;
pub(crate) use request::{Answer, Expect, Request};
pub(crate) use signing::{WEBHOOK_ID, hmac_sha256};
pub(crate) use socket::Socket;
pub(crate) use streamed::Streamed;
pub(crate) use template::Template;

use budget::Budget;
use credentials::{Credentials, identity};
use failure::{Failed, What};
use guard::Guard;
use request::Hop;
use retry::{Next, Tries};
use socket::Handshake;
use wire::{Manner, Opened, Wire};

/// What a client finds around itself.
pub(crate) struct Surroundings<'s> {
    /// Time and chance.
    pub(crate) world: World,
    /// Where relative paths begin: the pipeline file's folder.
    pub(crate) folder: &'s Path,
    /// What connections may use: [`Budgets::of_process`].
    pub(crate) budgets: Budgets,
    /// Where a refresh token is kept; `None` where there is no such place, and then none is used.
    pub(crate) tokens: Option<Arc<dyn TokenStore>>,
}

/// A client for one server. Clones are the same client.
#[derive(Clone)]
pub(crate) struct Client(Arc<Parts>);

struct Parts {
    config: ClientConfig,
    wire: Wire,
    credentials: Credentials,
    budget: Arc<Budget>,
    /// Whom the credentials are for.
    origin: Origin,
    world: World,
}

impl Client {
    /// A client for the server of `base`, which alone gets the credentials. Touches no network.
    pub(crate) fn new(config: &ClientConfig, base: &Url, around: Surroundings<'_>) -> Result<Self> {
        Guard::new(config).check_carries(base, config.auth != Auth::None)?;
        let origin = base.origin();
        Ok(Self(Arc::new(Parts {
            wire: Wire::new(config, around.folder, around.world.clone())?,
            credentials: Credentials::new(&config.auth, around.tokens)?,
            budget: around.budgets.join(origin.clone(), identity(&config.auth), &config.limits),
            origin,
            world: around.world,
            config: config.clone(),
        })))
    }

    /// Sends `request`, repeatedly where that may help, and returns the answer when it can be used: it says success (or, with 304,
    /// that nothing has changed), is whole, and is what was expected.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Unavailable`] when the server is out of reach, slow, busy or broken after all
    /// attempts, with `Denied` when it refuses the credentials, with `Config` when the address is wrong or out of bounds, with
    /// `Data` when the answer cannot be used, with `Conflict` when what was asked for is gone ([`Failure::is_gone`]). No error
    /// holds a body, a query or a secret.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let mut tries = Tries::new(&self.0.config.retry);
        loop {
            let mut pass = 0;
            match self.attempt(request, &mut pass).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => self.0.recover(&mut tries, failed, pass).await?,
            }
        }
    }

    async fn attempt(&self, request: &Request, pass: &mut u64) -> Result<Answer, Failed> {
        let Parts { wire, config, world, .. } = &*self.0;
        let (opened, permit) = self.0.open(request, Manner::Whole, pass).await?;
        let method = opened.hop.method.clone();
        let (taken, body) = wire.body(opened, Some(&permit)).await?;
        let is_empty = matches!(taken.status.as_u16(), 204 | 205 | 304) || method == http::Method::HEAD;
        let what = What { method: &method, url: &taken.url };
        let body = if is_empty && body.is_empty() {
            body
        } else {
            answer::check(&what, request.expect, &taken.headers, body, config, world).await?
        };
        Ok(Answer { status: taken.status, headers: taken.headers, body, url: taken.url })
    }

    /// Sends `request` in the same way and returns its answer as it begins, to be read for as long as it goes on. It may take any
    /// time; only silence ends it (`limits.idle_timeout`). Once it has begun nothing is repeated: its reader knows from where.
    pub(crate) async fn stream(&self, request: &Request) -> Result<Streamed, Failure> {
        let mut tries = Tries::new(&self.0.config.retry);
        loop {
            let mut pass = 0;
            let failed = match self.0.open(request, Manner::Stream, &mut pass).await {
                Ok((opened, permit)) if request.expect == Expect::Anything => {
                    return Ok(Streamed::new(opened, permit));
                }
                Ok((opened, _)) if answer::is_page(opened.response.headers(), b"") => {
                    let message =
                        format!("{} was answered with a web page, likely one to log in", opened.what());
                    Failed::stop(Error::denied(message).hint("check `auth` and the address"))
                }
                Ok((opened, permit)) => return Ok(Streamed::new(opened, permit)),
                Err(failed) => failed,
            };
            self.0.recover(&mut tries, failed, pass).await?;
        }
    }
}

impl Client {
    /// Sends `request` in the same way, as one for a WebSocket, and returns that when it is open. Once it is, nothing is repeated.
    pub(crate) async fn socket(&self, request: &Request) -> Result<Socket, Failure> {
        let Parts { config, world, .. } = &*self.0;
        let bounds = (config.limits.max_response.0, config.limits.idle_timeout.0);
        let mut tries = Tries::new(&config.retry);
        loop {
            let (mut pass, handshake) = (0, Handshake::new(world));
            let mut request = request.clone();
            request.headers.extend(handshake.headers.clone());
            let opened = self.0.open(&request, Manner::Socket, &mut pass).await;
            let socket = match opened {
                Ok(opened) => Socket::new(opened, &handshake, bounds, world.clone()).await,
                Err(failed) => Err(failed),
            };
            match socket {
                Ok(socket) => return Ok(socket),
                Err(failed) => self.0.recover(&mut tries, failed, pass).await?,
            }
        }
    }
}

impl Parts {
    /// Sends `request` once, when it is its turn; `pass` becomes the number of the credentials that went with it.
    async fn open(
        &self,
        request: &Request,
        manner: Manner,
        pass: &mut u64,
    ) -> Result<(Opened, budget::Permit), Failed> {
        let permit = self.budget.enter(&self.world).await;
        let (credentials, number) = self.credentials.pass(&self.wire).await?;
        *pass = number;
        let opened = self.wire.open(Hop::from(request), Some((&credentials, &self.origin)), manner).await?;
        Ok((opened, permit))
    }

    /// Does what a failed attempt asks for, so that the next may succeed.
    async fn recover(&self, tries: &mut Tries<'_>, failed: Failed, pass: u64) -> Result<(), Failure> {
        if failed.reaction == retry::Reaction::Renew && !self.credentials.can_renew() {
            return Err(failed.failure);
        }
        if tries.after(failed, &self.budget, &self.world).await? == Next::Renewed {
            self.credentials.forget(pass).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
