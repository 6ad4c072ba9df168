//! 336,776 flights from CSV through the staging log into SQLite and Parquet, with the real
//! binary; beside it what SQLite's own shell needs to import the same file into the same table. No rate is printed
//! before the two tables are known to be equal.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    kit::Kit,
    report::{Comparison, Pair, Report},
};
use crate::{
    Result,
    measure::{bytes_below, measure as usage},
    shell::{command, read},
};

const PIPELINE: &str = r#"name: bench
source:
  type: files
  path: ./data
  null_values: [NA]
  streams:
    flights: {files: flights.csv, key: [time_hour, carrier, flight], types: {time_hour: timestamptz}}
staging: ./staging
destinations:
  database: {type: sqlite, path: ./flights.db, write: mirror}
  archive: {type: files, path: ./archive, format: parquet, write: append}
"#;

/// The table as a person would declare it.
const TABLE: &str = "CREATE TABLE flights (
    year INTEGER, month INTEGER, day INTEGER, dep_time INTEGER, sched_dep_time INTEGER, dep_delay INTEGER,
    arr_time INTEGER, sched_arr_time INTEGER, arr_delay INTEGER, carrier TEXT, flight INTEGER, tailnum TEXT,
    origin TEXT, dest TEXT, air_time INTEGER, distance INTEGER, hour INTEGER, minute INTEGER, time_hour TEXT,
    PRIMARY KEY (time_hour, carrier, flight));";

const COLUMNS: [&str; 19] = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "hour",
    "minute",
    "time_hour",
];

/// The file, in a pipeline's folder.
const FLIGHTS: &str = "data/flights.csv";

pub(super) fn measure(kit: &Kit<'_>, report: &mut Report) -> Result {
    let mut rows = 0;
    let pairs = kit.pairs(|_| {
        let folder = fresh_folder(kit)?;
        let limit = usage(&mut sqlite_import(&folder))?.wall;
        let ours = usage(&mut tidemark(kit, &folder))?;
        rows = compare(&folder)?;
        Ok(Pair { limit: Some(limit), ours, staged: bytes_below(&folder.join("staging"))? })
    })?;
    report.compared(Comparison {
        work: format!("{rows} flights: CSV -> staging -> SQLite and Parquet"),
        unit: "row",
        count: rows,
        limit: "sqlite3 .import into SQLite",
        pairs,
    });
    Ok(())
}

/// A pipeline on the data, not run yet.
fn fresh_folder(kit: &Kit<'_>) -> Result<PathBuf> {
    let folder = kit.fresh_folder("flights")?;
    fs::create_dir_all(folder.join("data"))?;
    let all = fs::read_to_string(kit.project.nycflights13().join("flights.csv"))?;
    let lines = kit.sizes.flights.map_or(usize::MAX, |flights| 1 + flights);
    fs::write(folder.join(FLIGHTS), all.split_inclusive('\n').take(lines).collect::<String>())?;
    fs::write(folder.join("pipeline.yaml"), PIPELINE)?;
    Ok(folder)
}

fn tidemark(kit: &Kit<'_>, folder: &Path) -> Command {
    let mut tidemark = command(kit.program(), ["run", "pipeline.yaml", "--once"]);
    tidemark.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    tidemark
}

fn sqlite_import(folder: &Path) -> Command {
    let import = format!(".import --csv --skip 1 {FLIGHTS} flights");
    let mut sqlite3 = command("sqlite3", ["limit.db", TABLE, &import]);
    sqlite3.current_dir(folder);
    sqlite3
}

/// The number of rows, once it is known that both tables hold the same ones.
fn compare(folder: &Path) -> Result<u64> {
    let ours = COLUMNS.join(", ");
    let limit = COLUMNS.map(|column| format!("nullif({column}, 'NA')")).join(", ");
    let question = format!(
        "ATTACH 'limit.db' AS other;
         SELECT count(*) FROM main.flights;
         SELECT count(*) FROM other.flights;
         SELECT count(*) FROM (SELECT {ours} FROM main.flights EXCEPT SELECT {limit} FROM other.flights);
         SELECT count(*) FROM (SELECT {limit} FROM other.flights EXCEPT SELECT {ours} FROM main.flights);"
    );
    let answer = read(command("sqlite3", ["flights.db", &question]).current_dir(folder))?;
    match answer.lines().map(str::parse).collect::<std::result::Result<Vec<u64>, _>>()?[..] {
        [ours, limit, 0, 0] if ours == limit => Ok(ours),
        ref counts => {
            Err(format!("the tables differ (rows, rows, only here, only there): {counts:?}").into())
        }
    }
}
