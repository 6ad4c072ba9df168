//! `cargo xtask example-data`: cuts the data of `examples/flights` out of the whole of nycflights13. Lines are copied
//! as they are.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    ops::RangeInclusive,
};

use crate::{
    Result,
    needs::{self, Need},
    project::Project,
};

/// The first days of January 2013.
const DAYS: RangeInclusive<u32> = 1..=10;

pub(crate) fn cut(project: &Project, install: bool) -> Result {
    needs::meet(project, &[Need::Flights], install, "cargo xtask example-data")?;
    let whole = project.nycflights13();
    let example = project.file("examples/flights/data");
    fs::create_dir_all(&example)?;
    let extract = |from: &str, to: &str, wanted: &dyn Fn(&str) -> bool| -> Result {
        let mut lines = BufReader::new(File::open(whole.join(from))?).lines();
        let mut out = BufWriter::new(File::create(example.join(to))?);
        let header = lines.next().ok_or_else(|| format!("{from} is empty"))??;
        writeln!(out, "{header}")?;
        for line in lines {
            let line = line?;
            if wanted(&line) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(out.flush()?)
    };
    for day in DAYS {
        let start = format!("2013,1,{day},");
        extract("flights.csv", &format!("flights-2013-01-{day:02}.csv"), &|line| line.starts_with(&start))?;
    }
    extract("weather.csv", "weather-2013-01.csv", &|line| {
        // The line begins with the airport, the year and the month.
        line.split_once(',').is_some_and(|(_, rest)| rest.starts_with("2013,1,"))
    })?;
    extract("airlines.csv", "airlines.csv", &|_| true)
}
