//! Streams that are read anew or truncated: what concerns all of their records.

use std::time::Duration;

use tidemark_engine::{
    Time,
    change::Op,
    contract::write::{delivery, log, standing},
    read::Phase,
    schema::{Kind, StreamName},
    world::World,
    write::{Anew, Delivery, Standing, Unit, WriteStrategy},
};
use tidemark_test_servers::Redis;

use super::{FORMS, Mirror, assert_tidy, config, link, patient, records};
use crate::{
    redis::{DestinationConfig, mirror::link::Link},
    tables::stories::{
        changes::{Change, Said, batch, schema, text},
        source::unit_of,
    },
};

fn changes(sequence: u64, phase: Phase, changes: &[Change]) -> Delivery {
    let schema = schema("s", &[("id", Kind::Int64), ("a", Kind::Int64), ("b", Kind::Int64)], &["id"]);
    Delivery { phase, ..delivery(sequence, batch(&schema, changes, 0)) }
}

fn change(op: Op, id: i64, a: Said) -> Change {
    Change { op, old_key: None, values: vec![text(id), a, text(id)] }
}

fn read(sequence: u64, ids: impl IntoIterator<Item = (i64, i64)>) -> Delivery {
    let records = ids.into_iter().map(|(id, a)| change(Op::Read, id, text(a)));
    changes(sequence, Phase::InitialSync, &records.collect::<Vec<_>>())
}

/// Updates that leave `a` as it is.
fn touched(sequence: u64, ids: impl IntoIterator<Item = i64>) -> Delivery {
    let updates = ids.into_iter().map(|id| change(Op::Update, id, Said::Unchanged));
    changes(sequence, Phase::Changes, &updates.collect::<Vec<_>>())
}

/// The standing after `sequence` while `s` is filled anew from commit `from` on, and has come to `after`.
fn filling(sequence: u64, from: u64, after: u64) -> Standing {
    let time = Time::from_micros(1_700_000_000_000_020);
    let anew = Anew { from, after, until: None, waits: false, schema: None, time };
    Standing { anew: [(StreamName::new("s"), anew)].into(), ..standing(sequence) }
}

/// The key and `a` of every record.
async fn found(link: &mut Link) -> Vec<(i64, i64)> {
    let records = records(link).await;
    let number = |text: &str| text.parse::<i64>().unwrap();
    let pair = |(key, fields): (String, super::BTreeMap<String, Option<String>>)| {
        (number(key.strip_prefix("s:").unwrap()), number(fields["a"].as_deref().unwrap()))
    };
    let mut found = records.into_iter().map(pair).collect::<Vec<_>>();
    found.sort_unstable();
    found
}

/// Has a generation that is one record take the place of what is there.
pub(super) async fn read_anew(mirror: &mut Mirror, at: u64) {
    mirror.apply(&mut unit_of(standing(at), filling(at + 1, 1, 1), Vec::new())).await.unwrap();
    let one = read(2, [(7, 7)]);
    let (begin, end) = (filling(at + 1, 1, 1), filling(at + 1, 1, 2));
    mirror.apply(&mut unit_of(begin, end, vec![one]).into_shadows()).await.unwrap();
    let unit = unit_of(filling(at + 1, 1, 2), standing(at + 1), Vec::new());
    mirror.apply(&mut unit.into_shadows()).await.unwrap();
}

async fn opened(config: &DestinationConfig, few: usize) -> Mirror {
    let mut mirror = patient(config, few);
    mirror.open(&log()).await.unwrap();
    mirror
}

#[tokio::test]
async fn a_new_generation_takes_the_place_of_the_former() {
    for (form, few) in FORMS.into_iter().flat_map(|form| [(form, 0), (form, 100)]) {
        let server = Redis::start();
        let config = config(&server, form);
        let (mut copy, mut link) = (opened(&config, few).await, link(&config).await);
        // 1 stays, 2 changes, 3 goes, 4 comes.
        let before = read(1, [(1, 10), (2, 20), (3, 30)]);
        copy.apply(&mut unit_of(standing(0), standing(9), vec![before])).await.unwrap();
        // A generation that was begun and given up leaves nothing.
        copy.apply(&mut unit_of(standing(9), filling(19, 8, 8), Vec::new())).await.unwrap();
        let void = read(9, [(7, 70)]);
        copy.apply(&mut unit_of(filling(19, 8, 8), filling(19, 8, 9), vec![void]).into_shadows())
            .await
            .unwrap();
        copy.apply(&mut unit_of(filling(19, 8, 9), filling(20, 10, 10), Vec::new())).await.unwrap();
        assert_tidy_but_for(&mut link, 0).await;
        let first = read(11, [(1, 10), (2, 21)]);
        let unit = &mut unit_of(filling(20, 10, 10), filling(20, 10, 11), vec![first]).into_shadows();
        copy.apply(unit).await.unwrap();
        assert_eq!(copy.open(&log()).await.unwrap(), Some(filling(20, 10, 11)), "the standing moves with it");
        assert_eq!(found(&mut link).await, [(1, 10), (2, 20), (3, 30)], "it is out of sight");
        assert_tidy_but_for(&mut link, 3).await;
        let second = vec![read(12, [(4, 40)]), touched(13, [1, 2])];
        let unit = &mut unit_of(filling(20, 10, 11), standing(20), second).into_shadows();
        copy.apply(unit).await.unwrap();
        assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(20)));
        assert_eq!(found(&mut link).await, [(1, 10), (2, 21), (4, 40)]);
        assert_tidy(&mut link, "s").await;
    }
}

/// As many keys are out of sight.
async fn assert_tidy_but_for(link: &mut Link, count: usize) {
    let all = super::keys(link).await;
    assert_eq!(all.iter().filter(|key| key.contains(":anew:")).count(), count, "{all:?}");
}

/// Applies a unit, gives it up after a while, and takes the destination anew.
async fn given_up(
    config: &DestinationConfig,
    few: usize,
    after: Duration,
    mut unit: Unit,
) -> (Mirror, Standing) {
    let mut copy = opened(config, few).await;
    let world = World::real();
    tokio::select! {
        biased;
        applied = copy.apply(&mut unit) => applied.unwrap(),
        () = world.sleep(after) => {}
    }
    let mut copy = patient(config, few);
    let standing = copy.open(&log()).await.unwrap().unwrap();
    (copy, standing)
}

const RECORDS: i64 = 2_500;

fn waits() -> impl Iterator<Item = Duration> {
    (0..24).map(|step| Duration::from_micros(step * step * 250))
}

/// Fills a server, and gives up the unit that empties it when some records are gone and others are still there.
async fn truncated_in_part(config: &DestinationConfig, link: &mut Link, unit: impl Fn() -> Unit) {
    for _ in 0..50 {
        let () = link.ask(redis::cmd("FLUSHALL")).await.unwrap();
        let mut copy = opened(config, 0).await;
        let all = read(1, (0..RECORDS).map(|id| (id, id)));
        copy.apply(&mut unit_of(standing(0), standing(1), vec![all])).await.unwrap();
        let size = async |link: &mut Link| link.ask::<i64>(redis::cmd("DBSIZE")).await.unwrap();
        let full = size(link).await;
        let fewer = async { while size(link).await >= full {} };
        let mut truncating = unit();
        tokio::select! {
            biased;
            () = fewer => {}
            applied = copy.apply(&mut truncating) => applied.unwrap(),
        }
        if size(link).await > full - RECORDS {
            return;
        }
    }
    panic!("it was never given up between two pieces");
}

#[tokio::test]
async fn a_truncate_that_is_given_up_between_two_pieces_is_made() {
    let server = Redis::start();
    let config = config(&server, "hash");
    let mut link = link(&config).await;
    let second = || touched(2, (0..RECORDS).step_by(10));
    let truncate = Change { op: Op::Truncate, old_key: None, values: vec![Said::Null; 3] };
    let third = || changes(3, Phase::Changes, &[truncate.clone(), change(Op::Create, 5, text(6))]);
    let unit = || unit_of(standing(1), standing(3), vec![second(), third()]);
    truncated_in_part(&config, &mut link, unit).await;
    let mut copy = patient(&config, 0);
    assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(1)));
    // Of records that are gone already a change comes again that leaves columns as they are.
    copy.apply(&mut unit_of(standing(1), standing(2), vec![second()])).await.unwrap();
    copy.apply(&mut unit_of(standing(2), standing(3), vec![third()])).await.unwrap();
    assert_eq!(found(&mut link).await, [(5, 6)]);
    assert_tidy(&mut link, "s").await;
    copy.apply(&mut unit_of(standing(3), standing(4), vec![touched(4, [5])])).await.unwrap();
    // And from then on it is an error again.
    let missing = copy.apply(&mut unit_of(standing(4), standing(5), vec![touched(5, [1])])).await;
    assert_eq!(missing.unwrap_err().change(), Some((5, 0)));
}

#[tokio::test]
async fn a_new_generation_that_is_given_up_anywhere_takes_its_place() {
    let server = Redis::start();
    let config = config(&server, "hash");
    let mut link = link(&config).await;
    let mut unfinished = 0;
    for wait in waits() {
        let () = link.ask(redis::cmd("FLUSHALL")).await.unwrap();
        let mut copy = opened(&config, 0).await;
        let all = read(1, (0..RECORDS).map(|id| (id, id)));
        copy.apply(&mut unit_of(standing(0), standing(9), vec![all])).await.unwrap();
        copy.apply(&mut unit_of(standing(9), filling(20, 10, 10), Vec::new())).await.unwrap();
        let first = read(11, (100..RECORDS).map(|id| (id, id + 1)));
        copy.apply(&mut unit_of(filling(20, 10, 10), filling(20, 10, 11), vec![first]).into_shadows())
            .await
            .unwrap();
        let last = || vec![read(12, [(-1, -1)]), touched(13, (100..RECORDS).step_by(50))];
        let unit = unit_of(filling(20, 10, 11), standing(20), last()).into_shadows();
        let (mut copy, stands) = given_up(&config, 0, wait, unit).await;
        if stands != standing(20) {
            unfinished += 1;
            // A change of the former generation comes in between.
            let change = vec![touched(21, [1, 2_000])];
            copy.apply(&mut unit_of(filling(20, 10, 11), filling(21, 10, 11), change)).await.unwrap();
            let unit = &mut unit_of(filling(21, 10, 11), standing(21), last()).into_shadows();
            copy.apply(unit).await.unwrap();
        }
        let expected = (100..RECORDS).map(|id| (id, id + 1));
        assert_eq!(found(&mut link).await, [(-1, -1)].into_iter().chain(expected).collect::<Vec<_>>());
        assert_tidy(&mut link, "s").await;
    }
    assert!(unfinished > 0);
}
