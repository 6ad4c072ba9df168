//! What becomes of a log whose keys change, are lost, or are not given.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use futures::{StreamExt, future, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory,
};

use super::*;
use crate::{
    ErrorKind,
    log::{Log, Request},
    schema::StreamName,
};

/// A store of objects whose calls take turns at random, and end with the process that makes them.
#[derive(Debug, Clone)]
struct Objects {
    kept: Arc<InMemory>,
    /// Calls that are left before the process dies.
    left: Arc<AtomicU64>,
    /// Whether the last of them takes effect.
    last_counts: bool,
    seed: Arc<AtomicU64>,
}

impl Objects {
    fn new() -> Self {
        let left = Arc::new(AtomicU64::new(u64::MAX));
        Self { kept: Arc::default(), left, last_counts: false, seed: Arc::default() }
    }

    /// A copy that is used by a process which dies after `calls`.
    fn dying(&self, calls: u64, last_counts: bool) -> Self {
        Self { kept: Arc::new(self.kept.fork()), left: Arc::new(calls.into()), last_counts, ..self.clone() }
    }

    fn store(&self) -> Store {
        Store::new(Arc::new(self.clone()), "objects")
    }

    fn under(&self, current: &str, previous: &[&str]) -> Store {
        self.store().encrypted(keys(current, previous), World::real())
    }

    /// Everything that is there, as it is stored.
    async fn everything(&self) -> Vec<(Path, Bytes)> {
        let mut everything: Vec<_> = self
            .kept
            .list(None)
            .then(async |meta| {
                let path = meta.unwrap().location;
                let bytes = self.kept.get(&path).await.unwrap().bytes().await.unwrap();
                (path, bytes)
            })
            .collect()
            .await;
        everything.sort_by(|(a, _), (b, _)| a.cmp(b));
        everything
    }

    async fn call<T>(&self, call: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
        let seed = self.seed.load(Ordering::Relaxed);
        self.seed
            .store(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed & 1), Ordering::Relaxed);
        for _ in 0..(seed >> 60) % 4 {
            tokio::task::yield_now().await;
        }
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        let dead =
            || Err(object_store::Error::Generic { store: "objects", source: "the process is dead".into() });
        match left {
            0 => dead(),
            1 if !self.last_counts => dead(),
            1 => call.await.and_then(|_| dead()),
            _ => call.await,
        }
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.call(self.kept.put_opts(path, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.call(self.kept.put_multipart_opts(path, options)).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.call(self.kept.get_opts(path, options)).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.kept.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (objects, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let listed = async { Ok(objects.kept.list(prefix.as_ref()).collect::<Vec<_>>().await) };
            objects.call(listed).await.unwrap_or_else(|error| vec![Err(error)])
        };
        futures::stream::once(listed).flat_map(futures::stream::iter).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.call(self.kept.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.call(self.kept.copy_opts(from, to, options)).await
    }
}

fn master(digits: &str) -> MasterKey {
    MasterKey::parse(&digits.repeat(32)).unwrap()
}

fn keys(current: &str, previous: &[&str]) -> MasterKeys {
    MasterKeys::new(master(current), previous.iter().map(|digits| master(digits)).collect()).unwrap()
}

async fn begin(store: Store) -> Result<Log> {
    Log::open_or_create(store, "vault", World::real()).await
}

async fn look(store: Store) -> Result<Option<Log>> {
    Log::open(store, World::real()).await
}

/// Keeps something in the log.
async fn ask(log: &Log, stream: &str) -> Result<String> {
    log.ask(&Request::Resync { streams: vec![StreamName::new(stream)] }).await
}

/// The streams that were asked for.
async fn asked(log: &Log) -> Result<Vec<String>> {
    let mut asked: Vec<_> = log.requests().await?.iter().map(|(_, request)| format!("{request:?}")).collect();
    asked.sort();
    Ok(asked)
}

/// The numbers and master keys of the rings that hold keys.
async fn rings(objects: &Objects) -> Vec<(u64, KeyId)> {
    let everything = objects.everything().await;
    let ring = |(path, bytes): &(Path, Bytes)| {
        Some((names::number(path).filter(|_| path.prefix_matches(&names::keys()))?, Ring::master_of(bytes)?))
    };
    everything.iter().filter_map(ring).collect()
}

#[tokio::test]
async fn everything_but_the_names_is_encrypted() {
    let objects = Objects::new();
    let log = begin(objects.under("aa", &[])).await.unwrap();
    ask(&log, "a marker that is easily found").await.unwrap();
    let everything = objects.everything().await;
    assert_eq!(everything.len(), 3);
    for (path, bytes) in everything {
        assert!(envelope::is_sealed(&bytes) || path.prefix_matches(&names::keys()), "{path}");
        for plain in [&b"marker"[..], b"vault", &[0xaa; 8]] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain), "{path}");
        }
    }
}

#[tokio::test]
async fn a_new_key_opens_what_was_written_under_the_old_and_is_soon_enough_alone() {
    let objects = Objects::new();
    let log = begin(objects.under("aa", &[])).await.unwrap();
    ask(&log, "first").await.unwrap();
    // Whoever only looks changes nothing.
    let before = objects.everything().await;
    let looking = look(objects.under("bb", &["cc", "aa"])).await.unwrap().unwrap();
    assert_eq!(asked(&looking).await.unwrap().len(), 1);
    assert_eq!(objects.everything().await, before);

    let log = begin(objects.under("bb", &["cc", "aa"])).await.unwrap();
    ask(&log, "second").await.unwrap();
    assert_eq!(rings(&objects).await, [(2, master("bb").id())]);
    let log = begin(objects.under("bb", &[])).await.unwrap();
    assert_eq!(asked(&log).await.unwrap().len(), 2);
    assert_eq!(rings(&objects).await, [(2, master("bb").id())]);
    // A process that began with the old key goes on, and what it met no key for is found.
    assert_eq!(asked(&looking).await.unwrap().len(), 2);
    ask(&looking, "third").await.unwrap();
    assert_eq!(asked(&log).await.unwrap().len(), 3);
    let error = look(objects.under("aa", &[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn new_objects_are_under_the_new_log_key_and_old_ones_stay_as_they_are() {
    let objects = Objects::new();
    ask(&begin(objects.under("aa", &[])).await.unwrap(), "first").await.unwrap();
    let before = objects.everything().await;
    let log = begin(objects.under("bb", &["aa"])).await.unwrap();
    ask(&log, "second").await.unwrap();
    let mut log_keys = std::collections::HashSet::new();
    for (path, bytes) in objects.everything().await {
        log_keys.extend(envelope::log_key_of(&bytes));
        let found = before.iter().find(|(former, _)| *former == path);
        assert!(found.is_none_or(|(_, former)| *former == bytes) || path == names::key_ring(1), "{path}");
    }
    assert_eq!(log_keys.len(), 2);
}

#[tokio::test]
async fn a_process_may_die_at_every_step_of_a_change_of_key() {
    let objects = Objects::new();
    ask(&begin(objects.under("aa", &[])).await.unwrap(), "first").await.unwrap();
    ask(&begin(objects.under("bb", &["aa"])).await.unwrap(), "second").await.unwrap();
    let mut deaths = 0;
    for last_counts in [false, true] {
        for calls in 1.. {
            let dying = objects.dying(calls, last_counts);
            let outcome = begin(dying.under("cc", &["bb"])).await;
            let lived = outcome.is_ok() && dying.left.load(Ordering::Relaxed) > 0;
            dying.left.store(u64::MAX, Ordering::Relaxed);
            // Until it has happened, the former key is as good as before.
            let number = rings(&dying).await.iter().map(|(number, _)| *number).max().unwrap();
            let counts = if number == 2 { "bb" } else { "cc" };
            let looking = look(dying.under(counts, &[])).await.unwrap().unwrap();
            assert_eq!(asked(&looking).await.unwrap().len(), 2, "after {calls} calls");

            let log = begin(dying.under("cc", &["bb"])).await.unwrap();
            ask(&log, "third").await.unwrap();
            assert_eq!(rings(&dying).await, [(3, master("cc").id())]);
            let log = begin(dying.under("cc", &[])).await.unwrap();
            assert_eq!(asked(&log).await.unwrap().len(), 3, "after {calls} calls");
            if lived {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 8, "it died {deaths} times");
}

#[tokio::test]
async fn of_many_that_change_the_key_at_once_none_loses_one() {
    for seed in 0..400 {
        let objects = Objects::new();
        ask(&begin(objects.under("aa", &[])).await.unwrap(), "first").await.unwrap();
        objects.seed.store(seed * 2 + 0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        // Some agree, some are of another mind.
        let minds = [("bb", ["aa", "cc"]), ("cc", ["aa", "bb"]), ("bb", ["cc", "aa"]), ("aa", ["bb", "cc"])];
        let all = minds.iter().enumerate().map(async |(n, (current, previous))| {
            let log = begin(objects.under(current, previous)).await.unwrap();
            ask(&log, &format!("of {n}")).await.unwrap();
            asked(&log).await.unwrap();
        });
        future::join_all(all).await;
        let log = look(objects.under("aa", &["bb", "cc"])).await.unwrap().unwrap();
        assert_eq!(asked(&log).await.unwrap().len(), 5, "seed {seed}");
        let log = begin(objects.under("dd", &["aa", "bb", "cc"])).await.unwrap();
        assert_eq!(asked(&log).await.unwrap().len(), 5, "seed {seed}");
        assert_eq!(rings(&objects).await.len(), 1, "seed {seed}");
    }
}

#[tokio::test]
async fn of_many_that_begin_a_log_at_once_all_have_its_keys() {
    for seed in 0..200 {
        let objects = Objects::new();
        objects.seed.store(seed * 2 + 0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let all = (0..3).map(async |n| {
            let log = begin(objects.under("aa", &[])).await.unwrap();
            ask(&log, &format!("of {n}")).await.unwrap();
        });
        future::join_all(all).await;
        let log = look(objects.under("aa", &[])).await.unwrap().unwrap();
        assert_eq!(asked(&log).await.unwrap().len(), 3, "seed {seed}");
        assert_eq!(rings(&objects).await.len(), 1, "seed {seed}");
    }
}

#[tokio::test]
async fn who_has_no_key_or_another_is_told_which_and_writes_nothing() {
    let objects = Objects::new();
    ask(&begin(objects.under("aa", &[])).await.unwrap(), "first").await.unwrap();
    let before = objects.everything().await;
    let id = master("aa").id().to_string();
    for (store, kind) in [
        (objects.store(), ErrorKind::Config),
        (objects.under("bb", &[]), ErrorKind::Denied),
        (objects.under("bb", &["cc"]), ErrorKind::Denied),
    ] {
        for error in [begin(store.clone()).await.unwrap_err(), look(store).await.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(&id) && error.hint_text().is_some(), "{error}");
        }
    }
    assert_eq!(objects.everything().await, before);
}

#[tokio::test]
async fn a_log_that_was_begun_without_encryption_is_refused() {
    let objects = Objects::new();
    begin(objects.store()).await.unwrap();
    let before = objects.everything().await;
    for error in [
        begin(objects.under("aa", &[])).await.unwrap_err(),
        look(objects.under("aa", &[])).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    assert_eq!(objects.everything().await, before);
    assert!(look(Objects::new().under("aa", &[])).await.unwrap().is_none());
}

#[tokio::test]
async fn beside_keys_no_log_begins_without_encryption() {
    let objects = Objects::new();
    begin(objects.under("aa", &[])).await.unwrap();
    // The process that began it died between its keys and its identity.
    objects.kept.delete(&names::identity()).await.unwrap();
    let before = objects.everything().await;
    let error = begin(objects.store()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.hint_text().unwrap().contains("staging.encryption"));
    assert_eq!(objects.everything().await, before);
    begin(objects.under("aa", &[])).await.unwrap();

    // Where one did begin, it is told apart from damage.
    let plain = Objects::new();
    begin(plain.store()).await.unwrap();
    let identity = plain.kept.get(&names::identity()).await.unwrap().bytes().await.unwrap();
    objects.kept.put(&names::identity(), identity.into()).await.unwrap();
    for error in [
        begin(objects.under("aa", &[])).await.unwrap_err(),
        look(objects.under("aa", &[])).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("begun without encryption"), "{error}");
    }
}

#[tokio::test]
async fn what_was_damaged_exchanged_or_put_there_in_plain_is_refused() {
    let objects = Objects::new();
    let log = begin(objects.under("aa", &[])).await.unwrap();
    let (one, two) = (ask(&log, "one").await.unwrap(), ask(&log, "two").await.unwrap());
    let (one, two) = (names::request(&one), names::request(&two));
    let sound = objects.kept.get(&one).await.unwrap().bytes().await.unwrap();
    let other = objects.kept.get(&two).await.unwrap().bytes().await.unwrap();
    let elsewhere = Objects::new();
    let foreign = ask(&begin(elsewhere.under("aa", &[])).await.unwrap(), "one").await.unwrap();
    let foreign = elsewhere.kept.get(&names::request(&foreign)).await.unwrap().bytes().await.unwrap();
    let plain = Bytes::from_static(br#"{"ask":"resync","streams":["one"]}"#);
    let flipped = (0..sound.len()).map(|byte| {
        let mut flipped = sound.to_vec();
        flipped[byte] ^= 0x10;
        flipped.into()
    });
    let cut = (0..sound.len()).map(|length| sound.slice(..length));
    for damage in flipped.chain(cut).chain([other, foreign, plain]) {
        objects.kept.put(&one, damage.into()).await.unwrap();
        let error = asked(&log).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
    objects.kept.put(&one, sound.into()).await.unwrap();
    assert_eq!(asked(&log).await.unwrap().len(), 2);
}

#[tokio::test]
async fn keys_that_are_missing_or_damaged_are_not_made_anew() {
    let objects = Objects::new();
    begin(objects.under("aa", &[])).await.unwrap();
    let path = names::key_ring(1);
    let ring = objects.kept.get(&path).await.unwrap().bytes().await.unwrap();
    let mut flipped = ring.to_vec();
    flipped[14] ^= 1;
    for damage in
        [None, Some(flipped.into()), Some(ring.slice(..40)), Some(Bytes::new()), Some(ring.slice(..12))]
    {
        objects.kept.delete(&path).await.unwrap();
        if let Some(damage) = damage {
            objects.kept.put(&path, damage.into()).await.unwrap();
        }
        let before = objects.everything().await;
        for error in [
            begin(objects.under("aa", &[])).await.unwrap_err(),
            look(objects.under("aa", &[])).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        }
        assert_eq!(objects.everything().await, before);
    }
}
