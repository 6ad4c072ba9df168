//! What is measured, on how much, and with which binary.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};

/// What the command line says.
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure: everything but `micro`, unless named
    #[arg(value_enum, value_name = "WORK")]
    pub(super) works: Vec<Work>,

    /// Rows of the tables that are read and replayed; changes are a quarter as many [default: 2000000]
    #[arg(long, value_parser = value_parser!(u64).range(10_000..))]
    rows: Option<u64>,

    /// Changes of the largest transaction [default: half as many as rows]
    #[arg(long, value_parser = value_parser!(u64).range(1_000..))]
    transaction: Option<u64>,

    /// How long transactions are made for the latency, and how long an idle program is watched [default: 20]
    #[arg(long, value_parser = value_parser!(u64).range(1..))]
    seconds: Option<u64>,

    /// Commits of one small change each, for `staging` [default: 20000]
    #[arg(long, value_parser = value_parser!(u64).range(100..))]
    commits: Option<u64>,

    /// A folder that does not exist yet, for the log of `staging`
    #[arg(long = "in", value_name = "FOLDER")]
    pub(super) folder: Option<PathBuf>,

    /// Measure in pairs of the limit and ours, so many times; what counts is the pair with the median ratio
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    pub(super) runs: u32,

    /// Little work, and a binary that need not be built for it: whether the results are right, not how fast
    #[arg(long)]
    pub(super) small: bool,

    /// The profile that the binary is built with [default: dist; dev when small]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// Something that is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Work {
    /// All that is measured with PostgreSQL servers
    Postgres,
    /// A table from PostgreSQL through staging into PostgreSQL
    InitialSync,
    /// A table from PostgreSQL into staging alone
    Parquet,
    /// A staged table into PostgreSQL
    Replay,
    /// A quarter of the table as pages of JSON over HTTP, through staging into PostgreSQL
    Rest,
    /// Changes that were made before, into staging
    Drain,
    /// The same through staging into PostgreSQL
    CatchUp,
    /// One large transaction into staging, and from there into PostgreSQL
    Transaction,
    /// From commit to visible at the destination
    Latency,
    /// 336,776 flights on their way to SQLite and Parquet
    Flights,
    /// A twentieth of the table, staged, into Kafka, MariaDB, NATS, RabbitMQ and Redis
    Destinations,
    /// What becomes of commits of one small change
    Staging,
    /// The binary's size, start and memory
    Program,
    /// Codecs, decoders and the log by themselves
    Micro,
}

/// What `postgres` stands for, in the order of work.
const OF_POSTGRES: [Work; 8] = [
    Work::InitialSync,
    Work::Parquet,
    Work::Replay,
    Work::Rest,
    Work::Drain,
    Work::CatchUp,
    Work::Transaction,
    Work::Latency,
];

/// How much work.
pub(super) struct Sizes {
    pub(super) rows: u64,
    pub(super) changes: u64,
    pub(super) transaction: u64,
    pub(super) seconds: u64,
    pub(super) commits: u64,
    /// Of the flights, so many; all when `None`.
    pub(super) flights: Option<usize>,
}

impl Options {
    /// What CI measures.
    pub(crate) fn small() -> Self {
        Self {
            works: vec![],
            rows: None,
            transaction: None,
            seconds: None,
            commits: None,
            folder: None,
            runs: 1,
            small: true,
            profile: None,
        }
    }

    /// Whether `work` was asked for.
    pub(super) fn wants(&self, work: Work) -> bool {
        self.works.is_empty() && work != Work::Micro
            || self.works.contains(&work)
            || OF_POSTGRES.contains(&work) && self.works.contains(&Work::Postgres)
    }

    /// Whether anything but `work` was asked for.
    pub(super) fn wants_more_than(&self, work: Work) -> bool {
        self.works.is_empty() || self.works.iter().any(|wanted| *wanted != work)
    }

    /// What was asked for that takes PostgreSQL servers.
    pub(super) fn of_postgres(&self) -> Vec<Work> {
        let works = OF_POSTGRES.into_iter().chain([Work::Program]);
        works.filter(|work| self.wants(*work)).collect()
    }

    pub(super) fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or(if self.small { "dev" } else { "dist" })
    }

    pub(super) fn sizes(&self) -> Sizes {
        let choose = |said: Option<u64>, small, usual| said.unwrap_or(if self.small { small } else { usual });
        let rows = choose(self.rows, 20_000, 2_000_000);
        Sizes {
            rows,
            changes: rows / 4,
            transaction: self.transaction.unwrap_or(rows / 2),
            seconds: choose(self.seconds, 2, 20),
            commits: choose(self.commits, 500, 20_000),
            flights: self.small.then_some(20_000),
        }
    }
}
