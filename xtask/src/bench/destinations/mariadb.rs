//! MariaDB: a mirror.

use std::time::{Duration, Instant};

use tidemark_test_servers::{Mariadb, MariadbDatabase};

use super::{Target, feed::Feed};
use crate::Result;

pub(super) struct Table {
    database: MariadbDatabase<'static>,
}

impl Target for Table {
    const NAME: &'static str = "MariaDB, a mirror";
    const LIMIT: &'static str = "LOAD DATA LOCAL of as many into a table with the same key";

    fn start(_feed: &Feed) -> Result<Self> {
        Ok(Self { database: Mariadb::shared().database() })
    }

    fn destination(&self) -> String {
        format!("{{type: mariadb, url: \"{}\", write: mirror}}", self.database.url())
    }

    fn limit(&self, feed: &Feed) -> Result<Option<Duration>> {
        self.database.execute(
            "CREATE TABLE loaded (id bigint PRIMARY KEY, customer varchar(100), status varchar(100), total decimal(12,2),
             created varchar(40), note varchar(200))",
        );
        let load = format!(
            "LOAD DATA LOCAL INFILE '{}' INTO TABLE loaded FIELDS TERMINATED BY ',' IGNORE 1 LINES",
            feed.orders().display()
        );
        let start = Instant::now();
        self.database.execute(&load);
        Ok(Some(start.elapsed()))
    }

    fn check(&self, feed: &Feed) -> Result {
        let [ours, theirs] = ["orders", "loaded"].map(|table| {
            self.database.rows(&format!(
                "SELECT count(*), sum(crc32(concat_ws(',', id, customer, status, total, note))) FROM {table}"
            ))
        });
        if ours == theirs && ours.concat().starts_with(&feed.rows.to_string()) {
            return Ok(());
        }
        Err(format!("the tables differ (rows, sum of checksums): {ours:?} instead of {theirs:?}").into())
    }
}
