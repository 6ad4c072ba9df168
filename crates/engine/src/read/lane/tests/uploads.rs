//! Segments that are long on their way to the store.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult, memory::InMemory,
    path::Path,
};

use super::{Outlet, Phase};
use crate::{
    Cursor, PartId, Result,
    contract::{read::ReadBench, samples::numbered_rows},
    log::Store,
    read::{End, ReadContext, ReadStrategy},
};

const BOUNDARIES: usize = 6;
/// More than a commit takes inline.
const ROWS: usize = 60_000;

/// Puts under way, and the most that ever were at once.
#[derive(Debug, Default)]
struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A store that is far away.
#[derive(Debug, Default)]
struct Distant {
    store: InMemory,
    segments: Arc<Count>,
    commits: Arc<Count>,
}

#[async_trait]
impl ObjectStore for Distant {
    #[expect(clippy::disallowed_methods, reason = "time is paused")]
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        let count = match location.as_ref().split('/').next() {
            Some("data") => &self.segments,
            Some("log") => &self.commits,
            _ => return self.store.put_opts(location, payload, opts).await,
        };
        let now = count.now.fetch_add(1, Ordering::SeqCst) + 1;
        count.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let outcome = self.store.put_opts(location, payload, opts).await;
        count.now.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.store.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Distant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("distant")
    }
}

/// Large boundaries, one after the other.
struct Source;

#[async_trait]
impl ReadStrategy for Source {
    async fn run(&mut self, _from: Cursor, out: Outlet, _cx: ReadContext) -> Result<End> {
        let mut lane = out.lane(PartId::new("a"), Phase::Changes);
        let mut last = None;
        for boundary in 0..BOUNDARIES {
            lane.batch(numbered_rows("a", (boundary * ROWS) as i64, ROWS)).await?;
            last = Some(lane.boundary(Bytes::from_static(b"x"), None).await?);
        }
        if let Some(last) = last {
            last.durable().await?;
        }
        Ok(End::CaughtUp)
    }
}

#[tokio::test(start_paused = true)]
async fn segments_are_put_side_by_side_and_commits_one_after_the_other() {
    let distant = Distant::default();
    let (segments, commits) = (distant.segments.clone(), distant.commits.clone());
    let mut bench = ReadBench::over(Store::new(Arc::new(distant), "distant")).await;
    let deliveries = bench.catch_up(&mut Source).await.unwrap();
    let rows: usize = deliveries.iter().map(|delivery| delivery.changes.rows()).sum();
    assert_eq!(rows, BOUNDARIES * ROWS);
    let most = |count: &Count| count.most.load(Ordering::SeqCst);
    assert!(most(&segments) > 1, "uploads overlap");
    assert_eq!(most(&commits), 1, "commits do not");
}
