//! What is held, and what is let go again.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, Int64Array, UInt8Array};
use arrow_buffer::BooleanBuffer;

use super::{
    groups::groups,
    holds::{Holds, Sifted},
    letters::Letters,
};
use crate::{
    Error, Time,
    change::{Before, ChangeBatch, Columns, Op},
    contract::write::{delivery, position, standing},
    log::{DeadLetter, LetterId, Log, Playing, Store},
    read::Phase,
    schema::{Field, Kind, StreamName, StreamSchema},
    world::World,
    write::{Anew, Delivery, Standing, WriteMode},
};

/// One change: of which key, and which it was before.
type Change = (Op, i64, Option<i64>);

fn changes(sequence: u64, with_key: bool, changes: &[Change]) -> Delivery {
    let key = if with_key { vec!["id".to_owned()] } else { Vec::new() };
    let schema = StreamSchema::new(StreamName::new("a"), vec![Field::new("id", Kind::Int64)], key).unwrap();
    let ids = |id: &dyn Fn(&Change) -> Option<i64>| -> ArrayRef {
        Arc::new(changes.iter().map(id).collect::<Int64Array>())
    };
    let before = Before {
        present: changes.iter().map(|(_, _, old)| old.is_some()).collect::<BooleanBuffer>(),
        unknown: None,
        values: vec![ids(&|(_, _, old)| *old)],
    };
    let ops = UInt8Array::from_iter_values(changes.iter().map(|(op, ..)| op.letter()));
    let columns = Columns { before: Some(before), ..Columns::new(ops, vec![ids(&|(_, id, _)| Some(*id))]) };
    delivery(sequence, ChangeBatch::new(schema, columns).unwrap().numbered_from(0))
}

fn letter(sequence: u64, ordinal: u64, keys: &[i64]) -> DeadLetter {
    let error = Error::data("it does not fit");
    DeadLetter {
        id: LetterId { sequence, ordinal, shadow: None },
        stream: StreamName::new("a"),
        op: 'c',
        keys: keys.iter().map(|key| format!("{{\"id\":{key}}}")).collect(),
        played: sequence,
        phase: Phase::Changes,
        from: 0,
        by_shadow: None,
        error: error.to_string(),
        kind: error.kind(),
        hint: None,
        behind: None,
        time: Time::EPOCH,
        attempts: 1,
        at_first: false,
        discarded: false,
        released: None,
        voided_by: None,
    }
}

/// Where `letters` are known, the ordinals that pass of `delivery` and what is held behind what, when the destination stands at
/// commit `at`.
fn sifted(letters: &[DeadLetter], at: u64, deliveries: Vec<Delivery>) -> Vec<(Vec<u64>, Vec<String>)> {
    let playing = Playing::new(0, WriteMode::Mirror);
    let mut holds = Holds::new(letters.iter(), |_| at, playing, Time::EPOCH);
    let sift = |delivery| {
        let Sifted { delivery, behind, .. } = holds.sift(delivery).unwrap();
        let passed = delivery.map(|it| it.changes.ordinals().unwrap().values().to_vec()).unwrap_or_default();
        let behind = behind.iter().map(|it| format!("{} behind {}", it.id, it.behind.unwrap()));
        (passed, behind.collect())
    };
    deliveries.into_iter().map(sift).collect()
}

const C: Op = Op::Create;
const U: Op = Op::Update;
const D: Op = Op::Delete;
const T: Op = Op::Truncate;

#[test]
fn what_comes_later_of_a_dead_key_is_held_and_nothing_else() {
    let dead = [letter(5, 1, &[1])];
    let unit = || {
        vec![
            changes(4, true, &[(C, 1, None)]),
            changes(5, true, &[(C, 2, None), (U, 1, None), (D, 1, None), (U, 2, None)]),
            changes(6, true, &[(C, 1, None)]),
        ]
    };
    let found = sifted(&dead, 3, unit());
    assert_eq!(
        found,
        [
            (vec![0], vec![]),
            (vec![0, 3], vec!["5-2 behind 5-1".into()]),
            (vec![], vec!["6-0 behind 5-1".into()])
        ]
    );
    // Once it is past the dead change, all of that key is held from the start.
    let found = sifted(&dead, 5, vec![changes(6, true, &[(U, 1, None), (U, 3, None)])]);
    assert_eq!(found, [(vec![1], vec!["6-0 behind 5-1".into()])]);
    // Another stream has keys of its own.
    let mut other = letter(5, 0, &[1]);
    other.stream = StreamName::new("b");
    assert_eq!(sifted(&[other], 5, vec![changes(6, true, &[(U, 1, None)])]), [(vec![0], vec![])]);
}

#[test]
fn a_hold_follows_a_record_to_another_key_and_back() {
    let dead = [letter(5, 0, &[1])];
    let moves =
        changes(6, true, &[(U, 2, Some(1)), (U, 2, None), (C, 1, None), (U, 3, Some(4)), (U, 2, Some(3))]);
    let behind = ["6-0 behind 5-0", "6-1 behind 5-0", "6-2 behind 5-0", "6-4 behind 5-0"];
    let after = changes(7, true, &[(U, 3, None), (U, 4, None)]);
    let found = sifted(&dead, 5, vec![moves, after]);
    // A record that moves to a held key is held too, and with it the key that it has left.
    assert_eq!(found[0], (vec![3], behind.map(str::to_owned).to_vec()));
    assert_eq!(found[1], (vec![1], vec!["7-0 behind 5-0".to_owned()]));
    // One that was on its way when it died holds both of its keys.
    let found = sifted(&[letter(5, 0, &[2, 1])], 5, vec![changes(6, true, &[(U, 1, None), (U, 2, None)])]);
    assert!(found[0].0.is_empty());
}

#[test]
fn a_truncate_lets_go_and_passes() {
    let playing = Playing::new(0, WriteMode::Mirror);
    let dead = [letter(5, 0, &[1]), letter(6, 1, &[2])];
    let mut holds = Holds::new(dead.iter(), |_| 5, playing, Time::EPOCH);
    let unit = changes(6, true, &[(U, 1, None), (C, 2, None), (T, 0, None), (C, 1, None), (C, 2, None)]);
    let Sifted { delivery, behind, released } = holds.sift(unit).unwrap();
    let passed = delivery.unwrap().changes.ordinals().unwrap().values().to_vec();
    assert_eq!(passed, [2, 3, 4]);
    assert_eq!(behind.iter().map(|it| it.id.ordinal).collect::<Vec<_>>(), [0]);
    let released = released.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(released, ["5-0", "6-0", "6-1"], "those before it are void, that of the unit included");
    // What a truncate has let go holds nothing behind that truncate any more.
    let mut dead = letter(5, 0, &[1]);
    dead.released = Some(6);
    let later = vec![changes(7, true, &[(U, 1, None)])];
    assert_eq!(sifted(&[dead.clone()], 6, later.clone()), [(vec![0], vec![])]);
    assert!(sifted(&[dead], 5, later)[0].0.is_empty());
}

#[test]
fn without_a_key_a_dead_change_holds_nothing() {
    let dead = [letter(5, 0, &[])];
    let found = sifted(&dead, 4, vec![changes(5, false, &[(C, 1, None), (C, 1, None)])]);
    assert_eq!(found, [(vec![1], vec![])]);
}

#[test]
fn a_discarded_change_is_kept_out_and_holds_nothing() {
    let mut dead = letter(5, 0, &[1]);
    dead.discarded = true;
    let found = sifted(&[dead], 4, vec![changes(5, true, &[(C, 1, None), (U, 1, None)])]);
    assert_eq!(found, [(vec![1], vec![])]);
}

#[test]
fn letters_hang_together_by_their_keys() {
    let letters = vec![
        letter(9, 0, &[3]),
        letter(5, 0, &[1]),
        letter(6, 0, &[2]),
        letter(7, 0, &[4]),
        letter(8, 0, &[2, 1]),
        letter(6, 1, &[]),
        letter(6, 2, &[]),
        letter(8, 1, &[2]),
    ];
    let named = |group: Vec<DeadLetter>| group.iter().map(|it| it.id.to_string()).collect::<Vec<_>>();
    let mut found = groups(letters).into_iter().map(named).collect::<Vec<_>>();
    found.sort();
    assert_eq!(found, [vec!["5-0", "6-0", "8-0", "8-1"], vec!["6-1"], vec!["6-2"], vec!["7-0"], vec!["9-0"]]);
    let mut other = letter(6, 0, &[1]);
    other.stream = StreamName::new("b");
    let of_two = groups(vec![letter(5, 0, &[1]), other]);
    assert_eq!(of_two.len(), 2, "streams have keys of their own");
}

#[test]
fn a_letter_reads_back_as_it_was_written() {
    let mut whole = letter(5, 1, &[1, 2]);
    (whole.hint, whole.behind) = (Some("make it fit".into()), Some(LetterId { shadow: Some(3), ..whole.id }));
    (whole.released, whole.voided_by, whole.discarded) = (Some(7), Some(8), true);
    for letter in [letter(5, 0, &[]), whole] {
        let json = serde_json::to_string(&letter).unwrap();
        assert_eq!(serde_json::from_str::<DeadLetter>(&json).unwrap(), letter, "{json}");
    }
}

/// The names of the letters that are left, in memory and in the store.
async fn left(letters: &Letters, log: &Log) -> Vec<String> {
    let stored = log.dead_letters("d").await.unwrap();
    let known = letters.book.all().into_iter().map(|letter| (letter.id, letter)).collect();
    assert_eq!(stored, known, "what is known is what is stored");
    stored.keys().map(ToString::to_string).collect()
}

fn anew(from: u64, after: u64) -> BTreeMap<StreamName, Anew> {
    let anew = Anew { from, after, until: None, waits: false, schema: None, time: Time::EPOCH };
    [(StreamName::new("a"), anew)].into()
}

#[tokio::test]
async fn letters_go_when_what_they_are_of_goes() {
    let log = Log::open_or_create(Store::memory(), "letters", World::real()).await.unwrap();
    let mut letters = Letters::new(&log, "d", WriteMode::Mirror, Arc::default());
    let in_shadow = |from| {
        let mut letter = letter(4, 0, &[1]);
        letter.id.shadow = Some(from);
        letter.by_shadow = Some(from);
        letter
    };
    let (mut released, mut discarded) = (letter(6, 0, &[7]), letter(6, 1, &[8]));
    (released.released, discarded.discarded) = (Some(8), true);
    let kept = vec![letter(4, 0, &[1]), in_shadow(2), in_shadow(3), released, discarded, letter(7, 7, &[9])];
    letters.book.keep(&StreamName::new("a"), kept).await.unwrap();

    // The second shadow voids the letters of the first. What is to be void at commit 8 is not yet, at commit 5.
    let filling = Standing { anew: anew(3, 4), ..standing(5) };
    letters.settle(filling.clone(), false).await.unwrap();
    assert_eq!(left(&letters, &log).await, ["4-0", "4-0-3", "6-0", "6-1", "7-7"]);
    letters.settle(Standing { position: position(8), ..filling.clone() }, false).await.unwrap();
    assert_eq!(left(&letters, &log).await, ["4-0", "4-0-3", "7-7"]);

    // What a unit has written is named by the standing that it led to.
    let settled = [LetterId { sequence: 7, ordinal: 7, shadow: None }].into();
    let told = Standing { settled, position: position(8), ..filling.clone() };
    let standing = letters.settle(told, false).await.unwrap();
    assert!(standing.settled.is_empty());
    assert_eq!(left(&letters, &log).await, ["4-0", "4-0-3"]);

    // With the shadow in place its letter is the stream's own; without the shadow's unit nothing has changed.
    letters.void_by(&filling, &[StreamName::new("a")]).await.unwrap();
    letters.settle(Standing { position: position(8), ..filling }, false).await.unwrap();
    assert_eq!(left(&letters, &log).await, ["4-0", "4-0-3"]);
    letters.passed(&position(8).into()).await.unwrap();
    assert_eq!(left(&letters, &log).await, ["4-0"]);
    assert_eq!(letters.book.all()[0].by_shadow, Some(3), "it is that of the shadow");

    // A destination that has been emptied has none, but those that it has met since.
    for expected in [vec![], vec!["9-9"], vec!["9-9"]] {
        let mut next = Letters::new(&log, "d", WriteMode::Mirror, Arc::default());
        next.read().await.unwrap();
        next.settle(position(0).into(), true).await.unwrap();
        assert_eq!(left(&next, &log).await, expected);
        next.book.keep(&StreamName::new("a"), vec![letter(9, 9, &[1])]).await.unwrap();
    }
}
