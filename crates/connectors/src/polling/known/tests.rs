//! What is known, held against a map in memory, whatever happens in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use proptest::prelude::*;
use tidemark_engine::{
    ErrorKind,
    contract::states::states,
    log::{Log, Store},
    world::World,
};

use super::*;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A page with these keys, in their order or not, and the contents of their records.
    Compare(Vec<(Vec<u8>, u64)>),
    Forget(Vec<Vec<u8>>),
    /// It is recorded, and the boundary becomes durable or not.
    Record {
        is_durable: bool,
    },
    Tidy,
    Crash,
    BeginSweep,
    /// A sweep ends, and what has vanished is forgotten in batches of so many; or not, for somebody refuses.
    EndSweep {
        most: usize,
        is_refused: bool,
    },
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    // Keys that share beginnings, of which many come again.
    prop_oneof![
        (0u16..400).prop_map(|number| format!("order-{number:04}").into_bytes()),
        prop::collection::vec(0u8..3, 0..5),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let page = prop::collection::vec((key(), 0u64..3), 0..60);
    let range = (0u16..400, 1u16..200, 0u64..3).prop_map(|(from, count, content)| {
        let numbers = from..from.saturating_add(count).min(400);
        numbers.map(|number| (format!("order-{number:04}").into_bytes(), content)).collect()
    });
    prop_oneof![
        6 => prop_oneof![page, range].prop_map(Step::Compare),
        2 => prop::collection::vec(key(), 0..20).prop_map(Step::Forget),
        6 => any::<bool>().prop_map(|is_durable| Step::Record { is_durable }),
        2 => Just(Step::Tidy),
        1 => Just(Step::Crash),
        2 => Just(Step::BeginSweep),
        2 => (1usize..90, prop::bool::weighted(0.3))
            .prop_map(|(most, is_refused)| Step::EndSweep { most, is_refused }),
    ]
}

/// What is known, beside what should be.
struct Bench {
    objects: Arc<InMemory>,
    store: Store,
    known: Known,
    target: usize,
    room: usize,
    now: BTreeMap<Vec<u8>, u64>,
    seen: Option<BTreeSet<Vec<u8>>>,
    /// What the last durable cursor says, and what it should.
    durable: (KnownRef, BTreeMap<Vec<u8>, u64>),
    /// Whether the cursor names everything that is recorded.
    is_durable: bool,
}

impl Bench {
    async fn new(target: usize, room: usize) -> Self {
        let objects = Arc::new(InMemory::new());
        let store = Store::new(objects.clone(), "memory");
        let known = open(&store, KnownRef::default(), target, room).await;
        Self {
            objects,
            store,
            known,
            target,
            room,
            now: BTreeMap::new(),
            seen: None,
            durable: Default::default(),
            is_durable: true,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Compare(page) => self.compare(page).await,
            Step::Forget(keys) => self.forget(&keys).await,
            Step::Record { is_durable } => self.record(is_durable).await,
            Step::Tidy if self.is_durable => {
                self.known.tidy().await.unwrap();
                let named: BTreeSet<String> =
                    self.known.runs.iter().flat_map(Run::objects).map(|object| object.name.clone()).collect();
                assert_eq!(self.names().await, named);
            }
            Step::Tidy => {}
            Step::Crash => self.crash().await,
            Step::BeginSweep => {
                self.record(true).await;
                self.known.begin_sweep();
                self.seen = Some(BTreeSet::new());
            }
            Step::EndSweep { most, is_refused } => self.end_sweep(most, is_refused).await,
        }
        assert_eq!(self.known.records(), self.now.len() as u64);
        let oldest = self.known.runs.iter().take(1).flat_map(|run| &run.parts);
        assert!(oldest.into_iter().all(|part| part.gone == 0), "what is gone is forgotten in the end");
        assert!(self.known.runs.len() < 24, "{} runs", self.known.runs.len());
    }

    async fn compare(&mut self, page: Vec<(Vec<u8>, u64)>) {
        let mut prints = Fingerprints::default();
        page.iter().for_each(|(key, content)| prints.push(key, RowHash(*content)));
        let standings = self.known.compare(prints).await.unwrap();
        assert_eq!(standings.len(), page.len());
        for ((key, content), standing) in page.into_iter().zip(standings) {
            self.seen.iter_mut().for_each(|seen| _ = seen.insert(key.clone()));
            let expected = match self.now.insert(key, content) {
                None => Standing::New,
                Some(before) if before == content => Standing::Same,
                Some(_) => Standing::Changed,
            };
            assert_eq!(standing, expected);
        }
    }

    async fn forget(&mut self, keys: &[Vec<u8>]) {
        let were_known = self.known.forget(keys).await.unwrap();
        let expected: Vec<bool> = keys.iter().map(|key| self.now.remove(key).is_some()).collect();
        assert_eq!(were_known, expected);
    }

    async fn record(&mut self, is_durable: bool) {
        let before: BTreeSet<String> = self.names().await;
        let is_nothing = self.known.pending.is_empty();
        let reference = self.known.record().await.unwrap();
        if is_nothing {
            assert_eq!(self.names().await, before, "where nothing has changed, nothing is written");
        }
        let json = serde_json::to_vec(&reference).unwrap();
        assert!(json.len() < 24 << 10, "{} bytes of cursor", json.len());
        self.is_durable = is_durable;
        if is_durable {
            self.durable = (serde_json::from_slice(&json).unwrap(), self.now.clone());
        }
    }

    async fn crash(&mut self) {
        let (reference, map) = self.durable.clone();
        self.known = open(&self.store, reference, self.target, self.room).await;
        (self.now, self.seen, self.is_durable) = (map, None, true);
    }

    async fn end_sweep(&mut self, most: usize, is_refused: bool) {
        self.record(true).await;
        let vanished = self.known.end_sweep().await.unwrap();
        let seen = self.seen.take();
        let is_gone = |key: &&Vec<u8>| seen.as_ref().is_some_and(|seen| !seen.contains(*key));
        let expected: Vec<Vec<u8>> = self.now.keys().filter(is_gone).cloned().collect();
        assert_eq!(vanished, expected.len() as u64);
        if is_refused {
            self.known.void_sweep();
            assert!(self.known.vanished(most).await.unwrap().is_empty());
            return;
        }
        let mut told = Vec::new();
        loop {
            let keys = self.known.vanished(most).await.unwrap();
            if keys.is_empty() {
                break;
            }
            assert!(keys.len() <= most);
            self.forget(&keys).await;
            self.record(true).await;
            // What is yet to be told of is not removed.
            self.known.tidy().await.unwrap();
            told.extend(keys);
        }
        assert_eq!(told, expected);
    }

    /// The names of all states in the store.
    async fn names(&self) -> BTreeSet<String> {
        let listing = self.objects.list(Some(&"state".into())).map_ok(|meta| meta.location.to_string());
        listing.try_collect().await.unwrap()
    }
}

async fn open(store: &Store, reference: KnownRef, target: usize, room: usize) -> Known {
    Known::in_parts(states(store).await, StreamName::new("a"), reference, room, target).await.unwrap()
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn it_knows_what_a_map_would(
        steps in prop::collection::vec(step(), 1..60),
        target in 40usize..600,
        room in 0usize..3_000,
    ) {
        run(async {
            let mut bench = Bench::new(target, room).await;
            for step in steps {
                bench.step(step).await;
            }
            bench.end_sweep(7, false).await;
            bench.step(Step::Tidy).await;
            bench.crash().await;
            let all: Vec<_> = bench.now.clone().into_iter().collect();
            bench.compare(all).await;
        });
    }
}

fn page(numbers: impl IntoIterator<Item = u64>, content: u64) -> Vec<(Vec<u8>, u64)> {
    numbers.into_iter().map(|number| (format!("order-{number:06}").into_bytes(), content)).collect()
}

#[tokio::test]
async fn parts_that_nothing_changed_in_are_not_written_again() {
    let mut bench = Bench::new(4 << 10, 1 << 20).await;
    for begin in (0..20_000).step_by(500) {
        bench.compare(page(begin..begin + 500, 1)).await;
        bench.record(true).await;
    }
    bench.step(Step::Tidy).await;
    let before = bench.names().await;
    assert!(before.len() > 40, "{} parts", before.len());
    bench.compare(page(7_000..7_010, 2)).await;
    bench.record(true).await;
    let merged =
        runs::merge(&bench.known.runs, true, bench.target, &mut bench.known.shelf, None).await.unwrap();
    let kept = merged.parts.iter().filter(|part| before.contains(&part.object.name)).count();
    assert!(merged.parts.len() - kept <= 4, "{kept} of {} parts stay as they are", merged.parts.len());
    bench.known.runs = vec![merged];
    bench.compare(page(0..20_000, 1)).await;
}

#[tokio::test]
async fn a_cursor_stays_small_however_much_is_known() {
    let mut bench = Bench::new(200, 0).await;
    for begin in (0..4_000).step_by(250) {
        bench.compare(page((begin..begin + 250).map(|number| number * 7_919 % 4_001), 1)).await;
        bench.record(true).await;
    }
    let parts: usize = bench.known.runs.iter().map(|run| run.parts.len()).sum();
    let cursor = serde_json::to_vec(&bench.durable.0).unwrap();
    assert!(parts > 200 && cursor.len() < 4 << 10, "{parts} parts, {} bytes", cursor.len());
    bench.crash().await;
    bench.compare(page((0..4_000).map(|number| number * 7_919 % 4_001), 1)).await;
}

#[tokio::test]
async fn an_object_that_is_damaged_is_found_and_nothing_said() {
    let mut bench = Bench::new(400, 0).await;
    bench.compare(page(0..400, 1)).await;
    bench.record(true).await;
    for name in bench.names().await {
        let path = object_store::path::Path::from(name);
        let whole = bench.objects.get(&path).await.unwrap().bytes().await.unwrap();
        let mut damaged = whole.to_vec();
        damaged[whole.len() / 2] ^= 1;
        bench.objects.put(&path, damaged.into()).await.unwrap();
        let states = states(&bench.store).await;
        let (stream, reference) = (StreamName::new("a"), bench.durable.0.clone());
        let error = match Known::in_parts(states, stream, reference, 0, 400).await {
            Ok(mut known) => {
                let mut prints = Fingerprints::default();
                page(0..400, 1).iter().for_each(|(key, row)| prints.push(key, RowHash(*row)));
                let error = known.compare(prints).await.unwrap_err();
                assert!(known.record().await.is_err(), "it takes no more");
                error
            }
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.hint_text().unwrap().contains("tidemark resync"), "{error:?}");
        let findings = Log::inspect(bench.store.clone(), World::real()).await.unwrap().unwrap();
        assert_eq!(findings.problems.len(), 1, "{findings:?}");
        bench.objects.put(&path, whole.into()).await.unwrap();
    }
    bench.crash().await;
    bench.compare(page(0..400, 1)).await;
}
