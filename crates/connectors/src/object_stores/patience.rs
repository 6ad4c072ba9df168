//! How long a store is waited for. The loops try again for as long as it takes, so that they are told of an outage within seconds is worth
//! more than that a single call gets through.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    BackoffConfig, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, RetryConfig,
    path::Path,
};

/// A store that says nothing for so long does not answer.
const SILENCE: Duration = Duration::from_secs(10);
/// What is sent may take so much longer: a line is expected to carry half a MiB a second.
const BYTES_A_SECOND: usize = 512 << 10;
/// How long a connection may take to come to be, as the library reads it.
pub(super) const CONNECT_TIMEOUT: &str = "5 seconds";
/// The bound on a whole exchange, far beyond those above, which are the ones that are met: at half a MiB a second it is 1.7 GiB.
pub(super) const REQUEST_TIMEOUT: &str = "1 hour";

/// What the library does by itself about an answer such as 503: a few attempts in quick succession.
pub(super) fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(5) }
}

/// A store whose silence is an error.
#[derive(Debug)]
pub(super) struct Patient(Box<dyn ObjectStore>);

impl Patient {
    pub(super) fn new(store: Box<dyn ObjectStore>) -> Self {
        Self(store)
    }
}

#[expect(clippy::disallowed_methods, reason = "only a real network is silent; no simulated loop comes here")]
async fn within<T>(time: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(time, call).await.unwrap_or_else(|_| Err(silent(time)))
}

fn silent(time: Duration) -> Error {
    Error::Generic { store: "object store", source: format!("no answer within {} s", time.as_secs()).into() }
}

/// The same items, none of which is waited for without end.
fn without_silence<T: Send + 'static>(items: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
    let next = async |items: Option<BoxStream<'static, Result<T>>>| {
        let mut items = items?;
        match within(SILENCE, async { Ok(items.next().await) }).await {
            Ok(Some(item)) => Some((item, Some(items))),
            Ok(None) => None,
            Err(silent) => Some((Err(silent), None)),
        }
    };
    stream::unfold(Some(items), next).fuse().boxed()
}

#[async_trait]
impl ObjectStore for Patient {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let sending = Duration::from_secs((payload.content_length() / BYTES_A_SECOND) as u64);
        within(SILENCE + sending, self.0.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        within(SILENCE, self.0.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = within(SILENCE, self.0.get_opts(location, options)).await?;
        found.payload = match found.payload {
            GetResultPayload::Stream(content) => GetResultPayload::Stream(without_silence(content)),
            other => other,
        };
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        without_silence(self.0.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        without_silence(self.0.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        without_silence(self.0.list_with_offset(prefix, offset))
    }

    /// One answer of many pages.
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        within(SILENCE * 6, self.0.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        within(SILENCE, self.0.copy_opts(from, to, options)).await
    }
}

impl fmt::Display for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
