//! One file a command: its arguments, its help, and what it does. A new command is a file, a variant and an arm in
//! `main`.

mod check;
mod init;
mod schema;

use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Check(check::Check),
    Schema(schema::Schema),
}

impl Command {
    /// Whether programs read what it prints.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Check(check) => check.json,
            Self::Init(_) | Self::Schema(_) => false,
        }
    }
}
