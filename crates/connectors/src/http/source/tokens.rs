//! The refresh token that counts, kept in the cursor.

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::{
    Cursor, PartId, Result,
    read::{Outlet, Phase},
};
use tokio::sync::Mutex;

use super::super::client::TokenStore;

/// The part of the cursor that it stands in; no stream has such a name.
const PART: &str = "@credentials";

/// Keeps a token, sealed, in a part of the cursor of its own.
pub(super) struct CursorTokens {
    out: Outlet,
    kept: Mutex<Option<Bytes>>,
}

impl CursorTokens {
    /// Goes on with what stands in `from`.
    pub(super) fn new(from: &Cursor, out: &Outlet) -> Self {
        Self { out: out.clone(), kept: Mutex::new(from.get(&PartId::new(PART)).cloned()) }
    }
}

#[async_trait]
impl TokenStore for CursorTokens {
    async fn load(&self) -> Result<Option<Bytes>> {
        Ok(self.kept.lock().await.clone())
    }

    async fn save(&self, sealed: Bytes) -> Result<()> {
        let mut kept = self.kept.lock().await;
        let mut lane = self.out.lane(PartId::new(PART), Phase::Changes);
        lane.boundary(sealed.clone(), None).await?.durable().await?;
        *kept = Some(sealed);
        Ok(())
    }
}
