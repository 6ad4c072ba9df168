//! Destinations that are filled out of sight, and take the place of the real one.

use tidemark_engine::{
    ErrorKind,
    change::{ChangeBatch, Op},
    contract::write::{log, standing},
    schema::Kind,
    write::{Takeover, WriteMode, WriteStrategy},
};
use tidemark_test_servers::{Mariadb, MariadbDatabase};

use super::{Destination, Writing, apply, destination, open, writing};
use crate::tables::stories::changes::{Change, batch, schema, text};

const MODES: [WriteMode; 5] =
    [WriteMode::Append, WriteMode::Mirror, WriteMode::SoftDelete, WriteMode::History, WriteMode::Replace];

fn created(stream: &str, ids: &[i64]) -> ChangeBatch {
    let schema = schema(stream, &[("id", Kind::Int64), ("a", Kind::Text)], &["id"]);
    let change = |id: &i64| Change { op: Op::Create, old_key: None, values: vec![text(id), text("x")] };
    batch(&schema, &ids.iter().map(change).collect::<Vec<_>>(), 0)
}

async fn hidden(database: &MariadbDatabase<'_>, mode: WriteMode) -> Destination {
    let mut hidden = destination(database, Writing { shadow: true, ..writing(mode) });
    hidden.open(&log()).await.unwrap();
    hidden
}

fn ids(database: &MariadbDatabase<'_>, stream: &str) -> Vec<String> {
    database.rows(&format!("SELECT id FROM {stream} ORDER BY id"))
}

fn hidden_things(database: &MariadbDatabase<'_>) -> Vec<String> {
    database.rows(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
             AND (TABLE_NAME LIKE '\\_tidemark\\_replay%' OR TABLE_NAME LIKE '\\_tidemark\\_shadow%');
         SELECT name FROM _tidemark_tables WHERE destination LIKE '%:%';
         SELECT destination FROM _tidemark_positions WHERE destination LIKE '%:%'",
    )
}

#[tokio::test]
async fn the_other_is_open_meanwhile_and_goes_on() {
    for mode in MODES {
        let database = Mariadb::shared().database();
        let mut copy = open(&database, mode).await;
        apply(&mut copy, 0, 1, vec![created("s", &[1, 2, 3]), created("t", &[1])]).await.unwrap();
        let mut hidden = hidden(&database, mode).await;
        apply(&mut hidden, 0, 1, vec![created("s", &[1, 2])]).await.unwrap();
        assert_eq!(ids(&database, "s"), ["1", "2", "3"], "it is out of sight");
        apply(&mut copy, 1, 2, vec![created("t", &[2])]).await.unwrap();
        apply(&mut hidden, 1, 2, Vec::new()).await.unwrap();
        let takeover = Takeover { standing: standing(2), streams: Vec::new(), goes_on: true, adds: false };
        hidden.take_place(&takeover).await.unwrap();
        let all = if mode == WriteMode::Append { vec!["1", "2", "3"] } else { vec!["1", "2"] };
        assert_eq!(ids(&database, "s"), all, "{mode:?}");
        assert_eq!(ids(&database, "t"), ["1", "2"], "nobody asked for it");
        assert_eq!(hidden_things(&database), Vec::<String>::new());

        let next = || vec![created("s", &[4])];
        let error = apply(&mut copy, 2, 3, next()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(copy.open(&log()).await.unwrap(), Some(standing(2)));
        apply(&mut copy, 2, 3, next()).await.unwrap();
        assert_eq!(ids(&database, "s"), [all, vec!["4"]].concat());
    }
}

#[tokio::test]
async fn what_is_abandoned_leaves_nothing() {
    let database = Mariadb::shared().database();
    let mut hidden = hidden(&database, WriteMode::Mirror).await;
    apply(&mut hidden, 0, 1, vec![created("s", &[1, 2])]).await.unwrap();
    hidden.abandon().await.unwrap();
    assert_eq!(hidden.open(&log()).await.unwrap(), None);
    assert_eq!(hidden_things(&database), ["copy:replay"], "but its epoch");
}
