//! When the staging store takes its time, in simulated time.

use bytes::Bytes;
use futures::FutureExt;
use object_store::{memory::InMemory, throttle::ThrottledStore};

use super::*;

/// A source that hands over batches for ever, on two lanes, and knows how far it may acknowledge.
struct Endless {
    handed: Arc<AtomicU64>,
    durable: watch::Sender<u64>,
}

#[async_trait]
impl ReadStrategy for Endless {
    async fn run(&mut self, _from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        let lane = |part: &str| {
            let (mut lane, handed) = (out.lane(PartId::new(part), Phase::Changes), self.handed.clone());
            let stream = part.to_owned();
            async move {
                for number in 0..u64::MAX {
                    let batch = numbered_rows(&stream, 0, 1_000);
                    let bytes = batch.byte_size() as u64;
                    lane.batch(batch).await?;
                    handed.fetch_add(bytes, Ordering::Relaxed);
                    lane.boundary(number.to_be_bytes().to_vec().into(), None).await?;
                }
                Ok::<_, Error>(())
            }
        };
        let mut durable = out.durable();
        let telling = async {
            while durable.changed().await.is_ok() {
                self.durable.send_modify(|count| *count += 1);
            }
        };
        tokio::select! {
            () = cx.stop.stopped() => Ok(End::Stopped),
            never = lane("a") => never.map(|()| End::Stopped),
            never = lane("b") => never.map(|()| End::Stopped),
            () = telling => Ok(End::Stopped),
        }
    }
}

/// Nothing is acknowledged while a put is under way, what is handed over stays within the budget, and it is told how long it takes;
/// then it goes on.
#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "time is paused")]
async fn a_store_that_does_not_answer_holds_the_source_within_its_memory_and_is_told_of() {
    const MEMORY: u64 = 1 << 20;
    let slow =
        Arc::new(ThrottledStore::new(InMemory::new(), object_store::throttle::ThrottleConfig::default()));
    let store = Store::new(slow.clone(), "slow");
    let trouble = store.trouble();
    let log = Log::open_or_create(store, "slow", World::real()).await.unwrap();
    slow.config_mut(|config| config.wait_put_per_call = Duration::from_secs(300));
    let settings = ReadSettings {
        format: Format::Arrow,
        max_delay: Duration::ZERO,
        memory: MEMORY,
        until_caught_up: false,
    };
    let stop = Stop::new();
    let mut read_loop = ReadLoop::new(log.clone(), settings, stop.clone());
    let (handed, (durable, watched)) = (Arc::new(AtomicU64::new(0)), watch::channel(0));
    let mut source = Endless { handed: handed.clone(), durable };
    let running = tokio::spawn(async move { read_loop.run(&mut source).await });

    tokio::time::sleep(Duration::from_secs(250)).await;
    let taken = handed.load(Ordering::Relaxed);
    assert!(taken > 0 && taken <= MEMORY + (128 << 10), "{taken} bytes were taken of at most {MEMORY}");
    assert_eq!(*watched.borrow(), 0, "nothing is durable");
    let told = trouble.borrow().clone().expect("it is told that the store takes long");
    assert!(told.message.contains("has not answered for 160 s"), "{}", told.message);

    slow.config_mut(|config| config.wait_put_per_call = Duration::from_millis(1));
    watched.clone().wait_for(|count| *count > 2).await.expect("it goes on");
    assert!(log.head().sequence > 2);
    assert!(trouble.borrow().is_none());
    stop.stop();
    assert_eq!(running.await.unwrap().unwrap(), End::Stopped);
}

/// A source that looks which commit is under way.
struct Attentive;

#[async_trait]
impl ReadStrategy for Attentive {
    async fn run(&mut self, _from: Cursor, out: Outlet, cx: ReadContext) -> Result<End> {
        let mut lane = out.lane(PartId::new("a"), Phase::Changes);
        assert!(lane.under_way().is_over(), "there is nothing to wait for yet");
        lane.batch(numbered_rows("a", 0, 1)).await?;
        let first = lane.boundary(Bytes::from_static(b"1"), None).await?;
        cx.world.sleep(Duration::from_secs(1)).await;
        let mut commit = lane.under_way();
        assert!(!commit.is_over());
        // What waits already begins the next one at once, and that is another.
        let second = lane.boundary(Bytes::from_static(b"2"), None).await?;
        commit.over().await;
        assert!(first.durable().now_or_never().is_some_and(|durable| durable.is_ok()));
        cx.world.sleep(Duration::from_secs(1)).await;
        assert!(commit.is_over() && !lane.under_way().is_over());
        second.durable().await?;
        assert!(lane.under_way().is_over());
        Ok(End::CaughtUp)
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_knows_whether_a_commit_is_under_way() {
    let slow =
        Arc::new(ThrottledStore::new(InMemory::new(), object_store::throttle::ThrottleConfig::default()));
    let log = Log::open_or_create(Store::new(slow.clone(), "slow"), "slow", World::real()).await.unwrap();
    slow.config_mut(|config| config.wait_put_per_call = Duration::from_secs(10));
    let settings = ReadSettings {
        format: Format::Arrow,
        max_delay: Duration::ZERO,
        memory: 1 << 20,
        until_caught_up: true,
    };
    let mut read_loop = ReadLoop::new(log, settings, Stop::new());
    assert_eq!(read_loop.run(&mut Attentive).await.unwrap(), End::CaughtUp);
}
