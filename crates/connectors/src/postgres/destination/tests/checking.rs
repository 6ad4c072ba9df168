//! What `check` and `teardown` say.

use tidemark_engine::{
    ErrorKind,
    contract::write::log,
    schema::StreamName,
    write::{WriteMode, WriteStrategy},
};

use super::{
    Destination, apply,
    changes::{Change, Said, batch, plain, text},
    config, database, open, value, writing,
};
use crate::config::Secret;

#[tokio::test]
async fn check_tells_without_touching() {
    let database = database();
    let mirror = writing(WriteMode::Mirror);
    assert!(Destination::check(&config(&database), &mirror).await.is_empty());
    assert_eq!(value(&database, "SELECT to_regnamespace('_tidemark')"), "NULL");
    let user = format!("poor_{}", database.name());
    database.execute(&format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'p'; REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC",
        database.name()
    ));
    let mut poor = config(&database);
    poor.url = Secret::new(database.url_as(&user, "p"));
    poor.schema = Some("mine".into());
    let errors = Destination::check(&poor, &mirror).await;
    let hints = errors.iter().map(|error| error.hint_text().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        hints,
        [
            format!("run: GRANT TEMPORARY ON DATABASE \"{}\" TO \"{user}\"", database.name()),
            format!(
                "run: GRANT CREATE ON DATABASE \"{}\" TO \"{user}\", or CREATE SCHEMA _tidemark AUTHORIZATION \"{user}\"",
                database.name()
            ),
            format!("run: GRANT CREATE ON DATABASE \"{}\" TO \"{user}\"", database.name()),
        ]
    );
    let error = Destination::new(&poor, mirror.clone()).unwrap().open(&log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");

    let mut copy = open(&database, WriteMode::Mirror).await;
    let changes = [Change::create([text(1), Said::Null, Said::Null])];
    apply(&mut copy, 0, 1, vec![batch(&plain("s"), &changes, 0)]).await.unwrap();
    let errors = Destination::check(&config(&database), &writing(WriteMode::Append)).await;
    assert_eq!(errors[0].message(), "table `public.s` was made for another write mode");
}

#[tokio::test]
async fn teardown_leaves_the_data() {
    let database = database();
    let (config, mirror) = (config(&database), writing(WriteMode::Mirror));
    assert!(Destination::leftovers(&config, &mirror).await.unwrap().is_empty());
    let mut copy = open(&database, WriteMode::Mirror).await;
    let changes = [Change::create([text(1), Said::Null, Said::Null])];
    apply(&mut copy, 0, 1, vec![batch(&plain("s"), &changes, 0)]).await.unwrap();
    copy.close().await.unwrap();
    let expected = [
        "the position of destination `copy` in `_tidemark.positions`",
        "the note in `_tidemark.tables` that it writes to 1 table",
        "schema `_tidemark`",
    ];
    assert_eq!(Destination::leftovers(&config, &mirror).await.unwrap(), expected);
    assert_eq!(Destination::teardown(&config, &mirror).await.unwrap(), expected);
    assert_eq!(value(&database, "SELECT to_regnamespace('_tidemark')"), "NULL");
    assert_eq!(value(&database, "SELECT count(*) FROM s"), "1");
    let streams = ["sales.orders", "flights"].map(StreamName::new);
    let written = Destination::written(&config, &mirror, &streams).await.unwrap();
    let sql =
        "SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
               FROM pg_control_system()";
    assert_eq!(written.database, value(&database, sql));
    assert_eq!(written.tables, ["public.flights".to_owned(), "sales.orders".to_owned()].into());
}
