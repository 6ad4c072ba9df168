//! What proves to a server who we are, and how it is renewed.

mod identity;
mod oauth;
mod pass;
mod refresh;
mod session;
mod store;

pub(super) use identity::identity;
pub(super) use pass::Pass;
pub(crate) use store::TokenStore;

use std::sync::Arc;

use tidemark_engine::{Result, Time};
use tokio::sync::Mutex;

use super::{config::Auth, failure::Failed, wire::Wire};
use oauth::OAuthTokens;
use session::Sessions;

/// The credentials of one connection.
pub(super) struct Credentials {
    maker: Maker,
    held: Mutex<Held>,
}

/// Where they come from.
enum Maker {
    /// They are the same for every request.
    Fixed(Arc<Pass>),
    OAuth(Box<OAuthTokens>),
    Session(Box<Sessions>),
}

/// A token, and until when it is used.
struct Token {
    pass: Arc<Pass>,
    until: Option<Time>,
}

/// The token that is held, the how-manieth it is.
#[derive(Default)]
struct Held {
    token: Option<Token>,
    number: u64,
}

impl Credentials {
    /// Touches no network.
    pub(super) fn new(auth: &Auth, tokens: Option<Arc<dyn TokenStore>>) -> Result<Self> {
        let maker = match auth {
            Auth::OAuth2(oauth) => Maker::OAuth(Box::new(OAuthTokens::new(oauth, tokens)?)),
            Auth::Session(session) => Maker::Session(Box::new(Sessions::new(session)?)),
            fixed => Maker::Fixed(Arc::new(Pass::fixed(fixed)?)),
        };
        Ok(Self { maker, held: Mutex::default() })
    }

    /// Whether others can be had when these are refused.
    pub(super) fn can_renew(&self) -> bool {
        !matches!(self.maker, Maker::Fixed(_))
    }

    /// What to send with a request now, renewed when its end is near, and which it is. Whoever else asks meanwhile waits and
    /// gets the same.
    pub(super) async fn pass(&self, wire: &Wire) -> Result<(Arc<Pass>, u64), Failed> {
        let mut held = self.held.lock().await;
        let now = wire.world.now();
        let sound = |token: &&Token| token.until.is_none_or(|until| now < until);
        if let Some(token) = held.token.as_ref().filter(sound) {
            return Ok((token.pass.clone(), held.number));
        }
        let token = match &self.maker {
            Maker::Fixed(pass) => return Ok((pass.clone(), held.number)),
            Maker::OAuth(oauth) => oauth.token(wire).await?,
            Maker::Session(sessions) => sessions.token(wire).await?,
        };
        held.number += 1;
        let pass = token.pass.clone();
        held.token = Some(token);
        Ok((pass, held.number))
    }

    /// Forgets the token of this number: the server refuses it. One that was made since stays.
    pub(super) async fn forget(&self, number: u64) {
        let mut held = self.held.lock().await;
        if held.number == number {
            held.token = None;
        }
    }
}
