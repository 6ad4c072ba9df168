//! Random stories, told in units cut at random: the tables must hold what a simple model in memory holds, whatever the cuts.

use proptest::prelude::*;
use tidemark_engine::{
    ErrorKind,
    contract::write::{log, standing},
    write::{Delivery, WriteStrategy},
};
use tidemark_test_servers::{Mariadb, MariadbDatabase};

use super::{Destination, open, rows};
use crate::tables::stories::{
    models::{Images, Model, Row, Versions},
    source::{Cuts, Story, cuts, story, unit_of},
};

/// Of the schemas those that follow upon one another in any order: a column of floats does not become one of integers here.
const SCHEMAS: &[usize] = &[0, 1, 3];

/// A unit whose table must be altered in its middle comes again.
async fn apply(destination: &mut Destination, (begin, end): (u64, u64), deliveries: &[Delivery]) {
    for _ in 0..6 {
        let unit = &mut unit_of(standing(begin), standing(end), deliveries.to_vec());
        match destination.apply(unit).await {
            Ok(()) => return,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error} {error:?}");
                assert_eq!(
                    destination.open(&log()).await.unwrap().map_or(0, |it| it.position.sequence),
                    begin
                );
            }
        }
    }
    panic!("a unit came again and again");
}

async fn tell<M: Model>(database: &MariadbDatabase<'_>, story: &Story, cuts: &Cuts, check: bool) {
    let mut destination = open(database, M::MODE).await;
    let (mut model, mut has_c) = (M::default(), false);
    let (mut deliveries, mut begin) = (Vec::new(), 0);
    for (commit, index) in story.commits.iter().zip(0..) {
        let sequence = index as u64 + 1;
        for staged in commit {
            has_c |= !staged.changes.is_empty() && staged.schema == 1;
            model.apply(staged);
            deliveries.extend(staged.deliveries(cuts.batch));
        }
        let is_last = index + 1 == story.commits.len();
        if !is_last && !cuts.ends[index % cuts.ends.len()] {
            continue;
        }
        apply(&mut destination, (begin, sequence), &std::mem::take(&mut deliveries)).await;
        begin = sequence;
        if check && has_table(database) {
            assert_eq!(table::<M>(database, has_c), model.rows(), "after commit {sequence}");
        }
        if cuts.reopens[index % cuts.reopens.len()] {
            destination = open(database, M::MODE).await;
        }
    }
}

fn has_table(database: &MariadbDatabase<'_>) -> bool {
    !database.rows("SHOW TABLES LIKE 's'").is_empty()
}

/// The table as the model tells it: times as canonical text.
fn table<M: Model>(database: &MariadbDatabase<'_>, has_c: bool) -> Vec<Row> {
    let columns = M::columns().split(", ").map(|column| match column {
        "NULL" | "_tidemark_position" => column.to_owned(),
        time => format!("DATE_FORMAT({time}, '%Y-%m-%dT%H:%i:%s.%fZ')"),
    });
    let (columns, c) = (columns.collect::<Vec<_>>().join(", "), if has_c { "c" } else { "NULL" });
    let mut rows = rows(database, &format!("SELECT {columns}, id, a, b, {c} FROM s"));
    rows.sort();
    rows
}

fn dump(database: &MariadbDatabase<'_>) -> Vec<Row> {
    if has_table(database) { rows(database, "SELECT * FROM s ORDER BY 1, 2, 3") } else { Vec::new() }
}

async fn check<M: Model>(story: Story, cuts: Cuts, other: Cuts) {
    let (database, again) = (Mariadb::shared().database(), Mariadb::shared().database());
    tell::<M>(&database, &story, &cuts, true).await;
    let first = dump(&database);
    tell::<M>(&again, &story, &other, false).await;
    assert_eq!(dump(&again), first, "cut in another way");
    // A replay from the beginning over what is there.
    database.execute("DELETE FROM _tidemark_positions");
    let changes = || story.commits.iter().flatten().flat_map(|staged| &staged.changes);
    if M::MODE == tidemark_engine::write::WriteMode::History || changes().all(|it| it.old_key.is_none()) {
        tell::<M>(&database, &story, &other, false).await;
        assert_eq!(dump(&database), first, "told again");
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

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
