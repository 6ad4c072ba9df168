//! A refresh token that its server replaces.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemark_engine::{Digest, Error, Result, Time, seal::Seal};
use zeroize::Zeroizing;

use super::{TokenStore, oauth::Given};
use crate::{config::Secret, http::client::config::OAuth2};

/// The chain of refresh tokens that began with that of the pipeline file.
pub(super) struct Refresh {
    current: Secret,
    /// Which token of the pipeline file the chain began with: another one there begins another.
    began: String,
    seal: Seal,
    store: Arc<dyn TokenStore>,
    loaded: bool,
    /// What was given last, and when it was asked for, until it is kept.
    pending: Option<(Given, Time)>,
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Kept<'k> {
    began: &'k str,
    token: &'k str,
}

impl Refresh {
    pub(super) fn new(config: &OAuth2, store: Option<Arc<dyn TokenStore>>) -> Result<Self> {
        let first = config.refresh_token.clone().ok_or_else(|| {
            Error::config("there is no refresh token to begin with").hint("give `auth.refresh_token`")
        })?;
        // To use one and to lose what it is replaced by would lock the pipeline out.
        let store = store.ok_or_else(|| {
            Error::config(
                "a refresh token may be replaced when it is used, and only a run can keep the new one",
            )
            .hint("run the pipeline: this is told to the source by nothing else")
        })?;
        let secret = config.client_secret.clone().unwrap_or_else(|| first.clone());
        let purpose = format!("refresh token of {} at {}", config.client_id, config.token_url.0);
        Ok(Self {
            began: Digest::of(first.expose().as_bytes()).to_string(),
            current: first,
            seal: Seal::derive(secret.expose().as_bytes(), &purpose)?,
            store,
            loaded: false,
            pending: None,
        })
    }

    /// Takes up the chain where it was left.
    pub(super) async fn load(&mut self) -> Result<()> {
        if self.loaded {
            return Ok(());
        }
        if let Some(sealed) = self.store.load().await? {
            match self.opened(&sealed) {
                Some(token) => self.current = token,
                None => tracing::warn!(
                    "the refresh token that was kept belongs to other credentials: that of the pipeline file is used"
                ),
            }
        }
        self.loaded = true;
        Ok(())
    }

    fn opened(&self, sealed: &[u8]) -> Option<Secret> {
        let opened = self.seal.open(sealed)?;
        let kept: Kept<'_> = serde_json::from_slice(&opened).ok()?;
        (kept.began == self.began).then(|| Secret::new(kept.token))
    }

    pub(super) fn current(&self) -> &Secret {
        &self.current
    }

    /// Whether something was given that is not kept yet.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Takes what the server gave at `asked`. It is not to be used before it is kept.
    pub(super) fn take(&mut self, given: Given, asked: Time) {
        self.pending = Some((given, asked));
    }

    /// Keeps the refresh token that was given, where it is another one, and hands out what came with it.
    pub(super) async fn keep(&mut self) -> Result<(Given, Time)> {
        let missing = || Error::internal("there is no token to be kept");
        let (given, _) = self.pending.as_ref().ok_or_else(missing)?;
        let replaced = given.refresh_token.clone().filter(|token| *token != self.current);
        if let Some(token) = replaced {
            let kept = Kept { began: &self.began, token: token.expose() };
            let kept = Zeroizing::new(
                serde_json::to_vec(&kept)
                    .map_err(|error| Error::internal("a token cannot be written").source(error))?,
            );
            self.store.save(self.seal.close(&kept)?).await?;
            self.current = token;
        }
        self.pending.take().ok_or_else(missing)
    }
}
