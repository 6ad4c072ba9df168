//! Drives the real binary as a person or a script would.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its folder has failed")]

mod help;
mod pipeline_file;
mod starter;
mod workbench;
