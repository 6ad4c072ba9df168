//! What is staged of a polled source, in a destination.

use rusqlite::Connection;
use tidemark_engine::{
    Stop,
    write::{Plan as Play, WriteLoop, WriteMode},
};
use tokio::sync::watch;

use super::{
    bench::{Fate, Restless},
    convergence::live,
    plan, run,
    server::{Habits, Order},
};
use crate::{
    config::{TableName, Writing},
    polling::{Changes, Plan},
    sqlite::{Destination, DestinationConfig},
};

#[test]
fn a_mirror_of_what_is_staged_is_what_the_source_holds() {
    for seed in 0..8 {
        run(async {
            let habits = Habits {
                order: Order::Keys,
                size: 4,
                keys: 25,
                is_untidy: true,
                tells_time: true,
                late: 0,
                deletes: true,
                sparse: false,
                drifts: true,
            };
            let plan = Plan { max_deletes: 100, ..plan(&["id"], Changes::FullRefresh) };
            let mut restless = Restless::new(habits, plan, seed);
            let folder = tempfile::tempdir().unwrap();
            live(&mut restless, seed).await;
            play(&restless, folder.path()).await;
            assert_eq!(notes(folder.path()), held(&restless));

            // Read anew, with changes in the middle.
            restless.server().is_restless = true;
            restless.server().patience = 60;
            let asked = restless.bench.run_asked(Fate::Killed(60), Some(&[])).await;
            assert!(asked.is_none_or(|ended| ended.is_ok()));
            play(&restless, folder.path()).await;
            live(&mut restless, !seed).await;
            play(&restless, folder.path()).await;
            assert_eq!(notes(folder.path()), held(&restless));
        });
    }
}

async fn play(restless: &Restless, folder: &std::path::Path) {
    let writing = Writing {
        destination: "copy".into(),
        mode: WriteMode::Mirror,
        table: TableName::default(),
        adopt: false,
        shadow: false,
    };
    let config = DestinationConfig { path: "copy.db".into() };
    let mut destination = Destination::new(&config, folder, writing);
    let log = restless.bench.log().await;
    let (_keep, horizon) = watch::channel(Some(log.head().sequence));
    let play = Play::new(WriteMode::Mirror);
    WriteLoop::new(log, "copy", play, horizon, Stop::new()).run(&mut destination).await.unwrap();
}

/// Keys and notes in the table.
fn notes(folder: &std::path::Path) -> Vec<(String, Option<String>)> {
    let connection = Connection::open(folder.join("copy.db")).unwrap();
    let mut query = connection.prepare("SELECT CAST(id AS TEXT), note FROM orders ORDER BY id").unwrap();
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// The same at the source.
fn held(restless: &Restless) -> Vec<(String, Option<String>)> {
    let server = restless.server();
    let image = server.image();
    server.rows.keys().map(|key| (key.to_string(), image[&key.to_string()].get("note").cloned())).collect()
}
