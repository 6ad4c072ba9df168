//! Random stories, told to destinations that keep more than the last image of a record, in units cut at random: the tables must
//! hold what a simple model in memory holds, whatever the cuts.

use std::path::Path;

use proptest::prelude::*;
use tidemark_engine::{
    contract::write::standing,
    write::{WriteMode, WriteStrategy},
};

use super::{Destination, connect, open, rows};
use crate::tables::stories::{
    models::{Images, Model, Row, Versions},
    source::{Cuts, Story, cuts, story, unit_of},
};

/// Every schema there is.
const SCHEMAS: &[usize] = &[0, 1, 2, 3];

async fn tell<M: Model>(folder: &Path, story: &Story, cuts: &Cuts, check: bool) -> Destination {
    let mut destination = open(folder, M::MODE).await;
    let mut model = M::default();
    let mut has_c = false;
    let (mut deliveries, mut begin) = (Vec::new(), 0);
    for (commit, index) in story.commits.iter().zip(0..) {
        let sequence = index as u64 + 1;
        for staged in commit {
            has_c |= !staged.changes.is_empty() && matches!(staged.schema, 1 | 2);
            model.apply(staged);
            deliveries.extend(staged.deliveries(cuts.batch));
        }
        let is_last = index + 1 == story.commits.len();
        if !is_last && !cuts.ends[index % cuts.ends.len()] {
            continue;
        }
        let unit = std::mem::take(&mut deliveries);
        let exists = !unit.is_empty() || begin > 0;
        destination.apply(&mut unit_of(standing(begin), standing(sequence), unit)).await.unwrap();
        begin = sequence;
        if check && exists && table_exists(folder) {
            assert_eq!(table::<M>(folder, has_c), model.rows(), "after commit {sequence}");
        }
        if cuts.reopens[index % cuts.reopens.len()] {
            destination = open(folder, M::MODE).await;
        }
    }
    destination
}

fn table_exists(folder: &Path) -> bool {
    !rows(folder, "SELECT name FROM sqlite_schema WHERE name = 's'").is_empty()
}

fn table<M: Model>(folder: &Path, has_c: bool) -> Vec<Row> {
    let c = if has_c { "c" } else { "NULL" };
    rows(folder, &format!("SELECT {}, id, a, b, {c} FROM s ORDER BY 1, id", M::columns()))
}

/// Everything that is in the database and not about positions.
fn dump(folder: &Path) -> Vec<Row> {
    if !table_exists(folder) {
        return Vec::new();
    }
    rows(folder, "SELECT * FROM s ORDER BY 1, 2, 3")
}

async fn check<M: Model>(story: Story, cuts: Cuts, other: Cuts) {
    let (folder, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(tell::<M>(folder.path(), &story, &cuts, true).await);
    let first = dump(folder.path());
    drop(tell::<M>(again.path(), &story, &other, false).await);
    assert_eq!(dump(again.path()), first, "cut in another way");
    if M::MODE == WriteMode::History && !first.is_empty() {
        let overlap =
            "SELECT a.id FROM s AS a JOIN s AS b USING (id) WHERE a._tidemark_position < b._tidemark_position
            AND coalesce(a._tidemark_valid_to > b._tidemark_valid_from, true)";
        assert_eq!(rows(folder.path(), overlap), Vec::<Row>::new(), "versions overlap");
    }
    // A replay from the beginning over what is there.
    connect(folder.path()).execute("DELETE FROM _tidemark_positions", []).unwrap();
    let moves =
        story.commits.iter().flatten().flat_map(|staged| &staged.changes).any(|it| it.old_key.is_some());
    if M::MODE == WriteMode::History || !moves {
        drop(tell::<M>(folder.path(), &story, &other, false).await);
        assert_eq!(dump(folder.path()), first, "told again");
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn soft_delete_keeps_what_was_deleted(story in story(SCHEMAS), cuts in cuts(), other in cuts()) {
        block_on(check::<Images<true>>(story, cuts, other));
    }

    #[test]
    fn mirror_holds_the_last_images(story in story(SCHEMAS), cuts in cuts(), other in cuts()) {
        block_on(check::<Images<false>>(story, cuts, other));
    }

    #[test]
    fn history_has_every_version(story in story(SCHEMAS), cuts in cuts(), other in cuts()) {
        block_on(check::<Versions>(story, cuts, other));
    }
}
