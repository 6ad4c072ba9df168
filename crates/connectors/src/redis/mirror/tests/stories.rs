//! Random stories, told in units cut at random: Redis must hold what a simple model in memory holds, whatever the cuts.

use std::collections::BTreeMap;

use proptest::test_runner::{Config, TestRunner};
use redis::cmd;
use tidemark_engine::{
    change::Op,
    contract::write::{log, standing},
    write::WriteStrategy,
};
use tidemark_test_servers::Redis;

use super::{FORMS, Records, assert_tidy, config, link, patient, records};
use crate::{
    redis::{DestinationConfig, mirror::link::Link},
    tables::stories::{
        changes::{Change, Said, text},
        source::{Cuts, Staged, Story, cuts, schemas, story, unit_of},
    },
};

const SCHEMAS: &[usize] = &[0, 1, 2, 3];

type Fields = BTreeMap<String, Option<String>>;

/// The last image of every record, with the columns that its stream had then.
#[derive(Default)]
struct Model {
    records: BTreeMap<i64, Fields>,
}

fn key(change: &Change) -> i64 {
    match &change.values[0] {
        Said::Text(text) => text.parse().unwrap(),
        other => panic!("{other:?} is no key"),
    }
}

impl Model {
    fn apply(&mut self, staged: &Staged) {
        let schema = &schemas()[staged.schema];
        let image = |change: &Change, before: Option<&Fields>| {
            let fields = schema.fields().iter().zip(&change.values).map(|(field, said)| {
                let value = match said {
                    Said::Text(text) => Some(text.clone()),
                    Said::Null => None,
                    Said::Unchanged => before.and_then(|before| before.get(&field.name).cloned().flatten()),
                };
                (field.name.clone(), value)
            });
            fields.collect::<Fields>()
        };
        let mut aside: BTreeMap<i64, Fields> = BTreeMap::new();
        for change in &staged.changes {
            if change.op == Op::Truncate {
                self.records.clear();
                aside.clear();
                continue;
            }
            let key = key(change);
            let moved = change.old_key.filter(|old| change.op == Op::Update && change.values[0] != text(old));
            match (change.op, moved) {
                (Op::Delete, _) => {
                    if aside.remove(&key).is_none() {
                        self.records.remove(&key);
                    }
                }
                (_, Some(old)) => {
                    let before = aside.remove(&old).unwrap_or_else(|| self.records.remove(&old).unwrap());
                    if let Some(displaced) = self.records.insert(key, image(change, Some(&before))) {
                        aside.insert(key, displaced);
                    }
                }
                (Op::Update, None) => {
                    let image = image(change, self.records.get(&key));
                    self.records.insert(key, image);
                }
                _ => drop(self.records.insert(key, image(change, None))),
            }
        }
        assert!(aside.is_empty());
    }

    /// As Redis has it: a hash has no field for NULL.
    fn records(&self, form: &str) -> Records {
        let fields = |fields: &Fields| {
            let fields = fields.iter().filter(|(_, value)| form == "json" || value.is_some());
            fields.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        self.records.iter().map(|(key, found)| (format!("s:{key}"), fields(found))).collect()
    }
}

async fn tell(
    config: &DestinationConfig,
    link: &mut Link,
    form: &str,
    (story, cuts): (&Story, &Cuts),
    check: bool,
) {
    // So that truncates of anything at all are made piece by piece in half of the cases.
    let few = if cuts.ends[0] { 0 } else { 100 };
    let mut mirror = patient(config, few);
    mirror.open(&log()).await.unwrap();
    let mut model = Model::default();
    let (mut deliveries, mut begin) = (Vec::new(), 0);
    for (commit, index) in story.commits.iter().zip(0..) {
        let sequence = index as u64 + 1;
        for staged in commit {
            model.apply(staged);
            deliveries.extend(staged.deliveries(cuts.batch));
        }
        let is_last = index + 1 == story.commits.len();
        if !is_last && !cuts.ends[index % cuts.ends.len()] {
            continue;
        }
        let unit = &mut unit_of(standing(begin), standing(sequence), std::mem::take(&mut deliveries));
        mirror.apply(unit).await.unwrap();
        begin = sequence;
        if check {
            assert_eq!(records(link).await, model.records(form), "after commit {sequence}");
        }
        if cuts.reopens[index % cuts.reopens.len()] {
            mirror = patient(config, few);
            mirror.open(&log()).await.unwrap();
        }
    }
    assert_eq!(records(link).await, model.records(form), "in the end");
    assert_tidy(link, "s").await;
}

async fn check(server: &Redis, form: &str, story: &Story, (one, other): (&Cuts, &Cuts)) {
    let config = config(server, form);
    let mut link = link(&config).await;
    let () = link.ask(cmd("FLUSHALL")).await.unwrap();
    tell(&config, &mut link, form, (story, one), true).await;
    // A replay from the beginning over what is there.
    let () = link.ask(cmd("DEL").arg("_tidemark:copy").clone()).await.unwrap();
    let changes = || story.commits.iter().flatten().flat_map(|staged| &staged.changes);
    if changes().all(|it| it.old_key.is_none()) {
        tell(&config, &mut link, form, (story, other), false).await;
    }
    let () = link.ask(cmd("FLUSHALL")).await.unwrap();
    tell(&config, &mut link, form, (story, other), false).await;
}

#[test]
fn a_mirror_holds_the_last_images() {
    for form in FORMS {
        let server = Redis::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut runner =
            TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
        let stories = (story(SCHEMAS), cuts(), cuts());
        let told = runner.run(&stories, |(story, one, other)| {
            runtime.block_on(check(&server, form, &story, (&one, &other)));
            Ok(())
        });
        if let Err(error) = told {
            panic!("{form}: {error}");
        }
    }
}
