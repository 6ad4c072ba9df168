//! The same table as an API answers with it: pages of JSON that are linked, through the staging log into a database. Beside it the
//! pages fetched over one connection, and thrown away.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use tidemark_test_servers::{Database, Nginx};

use super::{
    super::{
        kit::Kit,
        report::{Comparison, Pair, Report},
    },
    Servers, orders, value,
};
use crate::{
    Result,
    measure::{bytes_below, measure as usage},
    shell::command,
};

/// Rows of a page.
const PAGE: u64 = 1_000;

pub(super) fn measure(kit: &Kit<'_>, servers: &Servers, report: &mut Report) -> Result {
    let rows = (kit.sizes.rows / 4).next_multiple_of(PAGE);
    let source = orders::filled(&servers.source, rows);
    let folder = kit.fresh_folder("rest")?;
    let pages = write_pages(&source, &folder.join("pages"), rows)?;
    let server = Nginx::serve(&folder.join("pages"));
    let pairs = kit.pairs(|run| {
        let mirror = servers.destination.database();
        servers.settle();
        let fetched = usage(&mut fetch(&server, pages))?.wall;

        let folder = folder.join(format!("run{run}"));
        fs::create_dir(&folder)?;
        fs::write(folder.join("pipeline.yaml"), pipeline(&server, &mirror))?;
        let mut tidemark = command(kit.program(), ["run", "pipeline.yaml", "--once", "--log-level", "warn"]);
        let ours = usage(tidemark.current_dir(&folder).stdout(Stdio::null()))?;

        compare(&source, &mirror)?;
        mirror.execute("TRUNCATE orders");
        Ok(Pair { limit: Some(fetched), ours, staged: bytes_below(&folder.join("staging"))? })
    })?;
    orders::empty(&[&source]);
    fs::remove_dir_all(folder)?;
    report.compared(Comparison {
        work: format!("{rows} rows in pages of {PAGE}: HTTP -> staging -> PostgreSQL"),
        unit: "row",
        count: rows,
        limit: "curl of all pages into /dev/null",
        pairs,
    });
    Ok(())
}

/// Writes the table as files `1.json`, `2.json`, …, each with a link to the next; how many.
fn write_pages(source: &Database<'_>, folder: &Path, rows: u64) -> Result<u64> {
    fs::create_dir_all(folder)?;
    let pages = rows / PAGE;
    for page in 1..=pages {
        let (first, last) = ((page - 1) * PAGE + 1, page * PAGE);
        let next = if page < pages { format!("'/{}.json'", page + 1) } else { "NULL".to_owned() };
        let body = value(
            source,
            &format!(
                "SELECT json_build_object('value', json_agg(orders ORDER BY id), 'next', {next})
                 FROM orders WHERE id BETWEEN {first} AND {last}"
            ),
        )?;
        fs::write(folder.join(format!("{page}.json")), body)?;
    }
    Ok(pages)
}

fn fetch(server: &Nginx, pages: u64) -> Command {
    let url = format!("{}/[1-{pages}].json", server.url());
    command("curl", ["--silent", "--fail", "--output", "/dev/null", &url])
}

fn pipeline(server: &Nginx, mirror: &Database<'_>) -> String {
    format!(
        "name: rest
source:
  type: http
  url: {}
  allow_hosts: [127.0.0.1]
  streams:
    orders:
      path: /1.json
      records: $.value[*]
      paging: {{type: link, next: $.next}}
      steady: true
      key: [id]
      types: {{total: \"decimal(12,2)\", created: timestamptz, due: date, weight: float64, details: json}}
staging: ./staging
destinations:
  mirror: {{type: postgres, url: \"{}\", write: mirror}}
",
        server.url(),
        mirror.url()
    )
}

/// Fails unless both hold the same rows. JSON has no type for identifiers and bytes: they are text there.
fn compare(source: &Database<'_>, mirror: &Database<'_>) -> Result {
    let checksum = "SELECT count(*), sum(hashtextextended(ROW(id, reference::text, total, created, due, paid, quantity, weight, customer,
            details::jsonb, signature::text, note)::text, 0)) FROM orders";
    let [expected, found] = [source, mirror].map(|database| database.query(checksum));
    if found == expected {
        return Ok(());
    }
    Err(format!("the tables differ (rows, sum of hashes): {found:?} instead of {expected:?}").into())
}
