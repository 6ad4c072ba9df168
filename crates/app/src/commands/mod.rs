//! One file a command: its arguments, its help, and what it does. A new command is a file, a variant and an arm in
//! `main`.

mod changes;
mod check;
mod dead_letters;
mod discover;
mod fsck;
mod init;
mod pause;
mod presets;
mod replay;
mod resume;
mod resync;
mod run;
mod schema;
mod status;
mod teardown;
mod test;
mod trigger;
mod verify;

use clap::Subcommand;
use tidemark_engine::log::Runner;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Check(check::Check),
    Test(test::Test),
    Discover(discover::Discover),
    Run(run::Run),
    Status(status::Status),
    Changes(changes::Changes),
    Replay(replay::Replay),
    DeadLetters(dead_letters::DeadLetters),
    Trigger(trigger::Trigger),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Resync(resync::Resync),
    Verify(verify::Verify),
    Fsck(fsck::Fsck),
    Teardown(teardown::Teardown),
    Presets(presets::Presets),
    Schema(schema::Schema),
}

impl Command {
    /// Whether programs read what it prints.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Check(check) => check.json,
            Self::Test(test) => test.json,
            Self::Discover(discover) => discover.json,
            Self::Run(run) => run.json,
            Self::Status(status) => status.json,
            Self::Changes(changes) => changes.json,
            Self::Replay(replay) => replay.json,
            Self::DeadLetters(dead_letters) => dead_letters.json,
            Self::Trigger(trigger) => trigger.json,
            Self::Pause(pause) => pause.json,
            Self::Resume(resume) => resume.json,
            Self::Resync(resync) => resync.json,
            Self::Verify(verify) => verify.json,
            Self::Fsck(fsck) => fsck.json,
            Self::Teardown(teardown) => teardown.json,
            Self::Presets(presets) => presets.json,
            Self::Init(_) | Self::Schema(_) => false,
        }
    }
}

/// What programs read where nothing tells who runs a pipeline.
const UNKNOWN: &str = "unknown";

/// Who runs a pipeline, as programs read it.
fn running_for_programs(runner: &Runner) -> Option<&str> {
    match runner {
        Runner::Nobody => None,
        Runner::Process(holder) => Some(&holder.process),
        Runner::Untold => Some(UNKNOWN),
    }
}
