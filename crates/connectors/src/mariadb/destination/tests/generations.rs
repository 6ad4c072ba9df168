//! Streams that are read anew: their shadows take the places of their tables.

use tidemark_engine::{
    Time,
    change::Op,
    contract::write::{delivery, log, standing},
    read::Phase,
    schema::{Kind, StreamName},
    write::{Anew, Delivery, Standing, WriteMode, WriteStrategy},
};
use tidemark_test_servers::Mariadb;

use super::{open, rows};
use crate::tables::stories::{
    changes::{Change, batch, schema, text},
    source::unit_of,
};

fn read(sequence: u64, kind: Kind, records: &[(i64, i64)]) -> Delivery {
    let schema = schema("s", &[("id", Kind::Int64), ("a", kind)], &["id"]);
    let record =
        |(id, a): &(i64, i64)| Change { op: Op::Read, old_key: None, values: vec![text(id), text(a)] };
    let changes = batch(&schema, &records.iter().map(record).collect::<Vec<_>>(), 0);
    Delivery { phase: Phase::InitialSync, ..delivery(sequence, changes) }
}

fn time(sequence: u64) -> Time {
    Time::from_micros(1_700_000_000_000_000 + sequence.cast_signed())
}

/// The standing after `sequence` while `s` is filled anew from commit `from` on, and has come to `after`.
fn filling(sequence: u64, from: u64, after: u64) -> Standing {
    let anew = Anew { from, after, until: None, waits: false, schema: None, time: time(20) };
    Standing { anew: [(StreamName::new("s"), anew)].into(), ..standing(sequence) }
}

#[tokio::test]
async fn a_new_generation_takes_the_place_of_the_former_in_every_mode() {
    for mode in
        [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace]
    {
        let database = Mariadb::shared().database();
        let mut copy = open(&database, mode).await;
        // 1 stays, 2 changes, 3 goes, 4 comes; and the column has become wider.
        let before = read(1, Kind::Int64, &[(1, 10), (2, 20), (3, 30)]);
        copy.apply(&mut unit_of(standing(0), standing(9), vec![before])).await.unwrap();
        // A generation that was begun and given up leaves nothing.
        copy.apply(&mut unit_of(standing(9), filling(19, 8, 8), Vec::new())).await.unwrap();
        let void = read(9, Kind::Text, &[(7, 70)]);
        copy.apply(&mut unit_of(filling(19, 8, 8), filling(19, 8, 9), vec![void]).into_shadows())
            .await
            .unwrap();
        copy.apply(&mut unit_of(filling(19, 8, 9), filling(20, 10, 10), Vec::new())).await.unwrap();
        let first = read(11, Kind::Text, &[(1, 10), (2, 21)]);
        let unit = &mut unit_of(filling(20, 10, 10), filling(20, 10, 11), vec![first]).into_shadows();
        copy.apply(unit).await.unwrap();
        assert_eq!(
            copy.open(&log()).await.unwrap(),
            Some(filling(20, 10, 11)),
            "the standing moves with the shadow"
        );
        assert_eq!(database.rows("SELECT id FROM s ORDER BY id"), ["1", "2", "3"], "it is out of sight");
        let second = read(12, Kind::Text, &[(4, 40)]);
        let unit = &mut unit_of(filling(20, 10, 11), standing(20), vec![second]).into_shadows();
        copy.apply(unit).await.unwrap();
        assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(20)));

        let micros = |column: &str| format!("TIMESTAMPDIFF(MICROSECOND, '2023-11-14 22:13:20', {column})");
        let row = |cells: &[&str]| {
            cells.iter().map(|cell| (!cell.is_empty()).then(|| (*cell).to_owned())).collect::<Vec<_>>()
        };
        let fresh = [row(&["1", "10", ""]), row(&["2", "21", ""]), row(&["4", "40", ""])];
        match mode {
            WriteMode::Mirror | WriteMode::Replace => {
                assert_eq!(rows(&database, "SELECT id, a, NULL FROM s ORDER BY id"), fresh);
            }
            WriteMode::SoftDelete => {
                let found = rows(
                    &database,
                    &format!("SELECT id, a, {} FROM s ORDER BY id", micros("_tidemark_deleted_at")),
                );
                let gone = row(&["3", "30", "20"]);
                assert_eq!(found, [fresh[0].clone(), fresh[1].clone(), gone, fresh[2].clone()]);
            }
            WriteMode::History => {
                let (from, to) = (micros("_tidemark_valid_from"), micros("_tidemark_valid_to"));
                let found = rows(&database, &format!("SELECT id, a, {from}, {to} FROM s ORDER BY id, 3"));
                let expected = [
                    row(&["1", "10", "1", ""]),
                    row(&["2", "20", "1", "11"]),
                    row(&["2", "21", "11", ""]),
                    row(&["3", "30", "1", "20"]),
                    row(&["4", "40", "12", ""]),
                ];
                assert_eq!(found, expected);
            }
            WriteMode::Append => {
                let found = database.rows("SELECT id, a FROM s ORDER BY id, a");
                assert_eq!(found, ["1\t10", "1\t10", "2\t20", "2\t21", "3\t30", "4\t40"]);
            }
        }
        let hidden = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
            AND TABLE_NAME LIKE '\\_tidemark\\_shadow%'; SELECT name FROM _tidemark_tables WHERE name <> 's'";
        assert_eq!(database.rows(hidden), Vec::<String>::new(), "{mode:?}");
    }
}
