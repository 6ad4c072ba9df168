//! Where a token is kept that must not be lost.

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::Result;

/// Keeps the one refresh token that counts, sealed.
///
/// A server that replaces a refresh token when it is used takes the former one no more. So the client
///
/// 1. loads what is kept, once, before it asks for its first token;
/// 2. saves each replacement, and waits;
/// 3. only then uses anything that came with it.
#[async_trait]
pub(crate) trait TokenStore: Send + Sync {
    /// What was saved last; `None` when nothing was.
    async fn load(&self) -> Result<Option<Bytes>>;

    /// Keeps `sealed` instead of what was kept. Returns once it is durable: a process that starts after a crash at any later
    /// moment loads it.
    async fn save(&self, sealed: Bytes) -> Result<()>;
}
