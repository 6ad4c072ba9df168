//! A table that changes while it is read, again and again.

use proptest::prelude::*;

use super::{mirrored, play, put_base};
use crate::{
    log::{
        SyncStep,
        playing::tests::{
            reader::{self, Event, Reader},
            table::Mirror,
        },
    },
    schema::StreamName,
    write::Delivery,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn from_a_base_on_a_table_is_the_table(
        events in prop::collection::vec(reader::event(), 1..80),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(check(events, cuts));
    }
}

async fn check(events: Vec<Event>, cuts: Vec<prop::sample::Index>) {
    let mut reader = Reader::new().await;
    for event in events {
        reader.meet(event).await;
    }
    reader.finish().await;
    let (log, head) = (reader.log.clone(), reader.log.head().sequence);
    let mut settled = Vec::new();
    for sequence in 1..=head {
        if log.commit(sequence).await.unwrap().syncing().is_empty() {
            settled.push(sequence);
        }
    }
    let mut cuts = cuts.iter().map(|cut| settled[cut.index(settled.len())]).collect::<Vec<_>>();
    cuts.sort_unstable();
    cuts.dedup();
    // One base after another, each made of the one before.
    for upper in cuts {
        let base = put_base(&log, upper).await;
        assert_eq!(rows(&mirrored(&log, &base).await), reader.complete_at[&upper], "after commit {upper}");
        assert_eq!(rows(&play(&log, upper, head).await), reader.table.rows, "in the end");
    }
}

fn rows(deliveries: &[Delivery]) -> crate::log::playing::tests::table::Rows {
    let mut mirror = Mirror::default();
    deliveries.iter().for_each(|delivery| mirror.apply(delivery));
    mirror.rows
}

/// What a base says of initial syncs: one of each stream, complete.
#[tokio::test]
async fn a_base_is_a_first_and_complete_generation() {
    let mut reader = Reader::new().await;
    reader.meet(Event::Write((0..40).map(|key| (reader::Write::Insert, key, 0)).collect())).await;
    reader.finish().await;
    reader.meet(Event::Anew).await;
    reader.finish().await;
    let (log, head) = (reader.log.clone(), reader.log.head());
    let original = log.commit(head.sequence).await.unwrap();
    let base = put_base(&log, head.sequence).await;
    assert_eq!(
        (base.position(), base.time(), base.watermark()),
        (head, original.time(), original.watermark())
    );
    assert_eq!(base.header().previous, original.header().previous);
    let syncing = base.header().completed[&StreamName::new("table")];
    assert_eq!((syncing.generation, syncing.since), (2, base.sequence()), "it is the last one");
    assert!(matches!(
        base.header().steps.as_slice(),
        [SyncStep::Begin { .. }, SyncStep::Chunk { .. }, SyncStep::Done { generation: 2, .. }]
    ));
    assert_eq!((base.rows(), base.header().schemas_at), (40, base.sequence()));
}
